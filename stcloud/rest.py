"""The one room that knows urllib3: pools, TLS, proxies, time timeouts, one attempt."""

from __future__ import annotations

import os
import re
import ssl
import weakref
import zlib
from collections.abc import Callable, Iterator
from http.client import BadStatusLine, HTTPException, UnknownProtocol
from operator import attrgetter
from queue import LifoQueue
from typing import Any, TypeAlias, cast
from urllib.parse import unquote, urlsplit

import urllib3
from certifi import where
from urllib3 import exceptions as failures
from urllib3.util import create_urllib3_context, make_headers, parse_url
from urllib3.util.ssl_match_hostname import CertificateError

from stcloud import _validators
from stcloud.configuration import Configuration
from stcloud.connection import (
    ConnectError,
    DeadlineHTTPConnection,
    DeadlineHTTPSConnection,
    DeadlineTimeout,
    Timeouts,
)
from stcloud.exceptions import (
    ApiException,
    ConnectionException,
    TimeoutException,
    UnexpectedResponseException,
)
from stcloud.retry import Outcome

__all__ = ["ApiException", "RawResponse", "RestClient", "Timeouts"]

RawResponse: TypeAlias = urllib3.BaseHTTPResponse
"""What ``_preload_content=False`` returns: urllib3's response, its body not read yet."""

_CHUNK = 65536
_GZIP = b"\x1f"  # the first byte of each of its members
_connection_settings = attrgetter(
    "verify_ssl",
    "ssl_ca_cert",
    "cert_file",
    "key_file",
    "assert_hostname",
    "proxy",
    "trust_env",
    "connection_pool_maxsize",
)
_ONE_ATTEMPT = urllib3.Retry(False)  # raises what happened as it is, follows no redirect
_FAILURES = (
    failures.HTTPError,
    failures.HTTPWarning,  # raised where warnings are errors
    failures.ProxySchemeUnsupported,  # a bare ValueError
    HTTPException,
    OSError,
)
_ALERT = r"ALERT_(\w*CERTIFICATE|UNKNOWN_CA)"
_NON_RETRYABLE = (
    failures.LocationValueError,
    failures.HTTPWarning,
    failures.ProxySchemeUnsupported,
)
_EXCEPTION_MAP: tuple[tuple[type[Exception], type[ConnectionException], str], ...] = (
    # the first that fits; urllib3 derives its connection errors from its time-outs
    (failures.NameResolutionError, ConnectionException, "the host's name could not be resolved"),
    (failures.NewConnectionError, ConnectionException, "no connection"),
    (failures.ConnectTimeoutError, TimeoutException, "connecting took too long"),
    (failures.EmptyPoolError, TimeoutException, "all connections were busy for too long"),
    (failures.TimeoutError, TimeoutException, "the answer took too long"),
    (TimeoutError, TimeoutException, "connecting took too long"),
    (failures.SSLError, ConnectionException, "no secure connection"),
    (ssl.SSLError, ConnectionException, "no secure connection"),
    (CertificateError, ConnectionException, "no secure connection"),
    (failures.ProxyError, ConnectionException, "no connection through the proxy"),
    (Exception, ConnectionException, "no whole answer"),
)


class _Route:
    """The pool that leads to a host, and what precedes each path that is sent through it."""

    def __init__(self, pool: urllib3.HTTPConnectionPool, prefix: str) -> None:
        self.pool = pool
        self.prefix = prefix


class RestClient:
    """The connections of one client; threads share them, a forked process makes its own."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._routes: dict[tuple[object, ...], _Route] = {}
        self._process = os.getpid()

    def request(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes | None,
        timeouts: Timeouts,
        *,
        raw: bool,
    ) -> RawResponse:
        """Make one attempt; return the answer when its headers are here.

        An answer that the caller keeps (``raw``) comes over a connection that nobody waits for.

        Raises:
            ConnectionException: no answer came; TimeoutException if time ran out.
        """
        host = self._configuration.host
        try:
            route = self._route(host, raw)
            response = route.pool.urlopen(
                method,
                route.prefix + path,
                body,
                headers,
                retries=_ONE_ATTEMPT,
                redirect=False,
                assert_same_host=False,  # it would refuse a proxy's absolute URLs
                timeout=DeadlineTimeout(timeouts, None if raw else self._max_wire_bytes()),
                pool_timeout=max(timeouts.remaining(), 0.001),  # type: ignore[arg-type]  # a queue's time limit, any number
                preload_content=False,
            )
        except ConnectError as unsent:
            outcome = (
                Outcome.FINAL if _is_permanent_connect_error(unsent.cause) else Outcome.NOT_SENT
            )
            raise _map_exception(unsent.cause, host, outcome) from unsent.cause
        except _FAILURES as error:
            failure = _redact_exception(error)
            raise _map_exception(failure, host, _outcome(error)) from failure
        if response.status < 200:  # but for 100, http.client takes it for the answer
            _discard_response(response)
            reason = f"{response.status} {response.reason}: no final answer"
            raise ConnectionException(reason=reason, outcome=Outcome.UNKNOWN)
        return response

    def _max_wire_bytes(self) -> int:
        """Return the bytes that may come over the wire: what frames a body, and headers, too."""
        return 2 * self._configuration.max_response_bytes + 8 * 1024 * 1024

    def read(self, response: RawResponse) -> bytes:
        """Return the body of an answer and give its connection back.

        Of an answer that is too large to read, an error's text is cut.

        Raises:
            ConnectionException: the body did not come whole; TimeoutException if time ran out.
            UnexpectedResponseException: a 2xx answer is too large.
        """
        most = self._configuration.max_response_bytes
        chunks: list[bytes] = []
        size = 0
        try:
            length = response.length_remaining
            if length is not None and length <= most and "Content-Encoding" not in response.headers:
                return response.read()  # the usual case, and the quickest
            for chunk in _iter_decoded(response):
                chunks.append(chunk)
                size += len(chunk)
                if size > most:
                    break
        except (*_FAILURES, ValueError, zlib.error) as error:  # ValueError: odd sizes of chunks
            _discard_response(response)
            failure = _redact_exception(error)
            raise _map_exception(failure, self._configuration.host, _outcome(error)) from failure
        if size > most:
            _discard_response(response)
            if 200 <= response.status < 300:
                raise UnexpectedResponseException(
                    response.status,
                    response.reason,
                    headers=response.headers,
                    message=f"the answer has more than {most} bytes",
                    outcome=Outcome.INVALID_RESPONSE,
                )
        return b"".join(chunks)[:most]

    def reset_pools(self) -> None:
        """Use new connections from now on; those of calls under way end with them."""
        self._routes = {}

    def close(self) -> None:
        """Close the idle connections; a later request opens new ones."""
        routes, self._routes = self._routes, {}
        for route in routes.values():
            route.pool.close()

    def _route(self, host: str, raw: bool) -> _Route:
        if self._process != os.getpid():  # forked: the open sockets are the parent's
            self._routes, self._process = {}, os.getpid()
        connection = urllib3.HTTPConnectionPool.ConnectionCls  # a recording tool's, while one runs
        key = host, raw, connection, _connection_settings(self._configuration)
        return self._routes.get(key) or self._routes.setdefault(key, self._new_route(host, raw))

    def _new_route(self, host: str, raw: bool) -> _Route:
        secure = host.startswith("https:")
        proxy = self._proxy(host)
        settings = self._tls_settings() if secure else {}
        settings["maxsize"] = self._configuration.connection_pool_maxsize
        # Wait for a connection, rather than open one and throw it away; but the place of one
        # that a caller keeps would never come back.
        settings["block"] = not raw
        if proxy is None:
            manager = urllib3.PoolManager(**settings)
        else:
            auth = parse_url(proxy).auth
            proxy_headers = make_headers(proxy_basic_auth=unquote(auth)) if auth else None
            if proxy.startswith("https:"):
                context = self._tls_settings()["ssl_context"]
                settings["proxy_ssl_context"] = context
                settings.setdefault("ssl_context", context)  # old urllib3's, if it forwards
            manager = urllib3.ProxyManager(proxy, proxy_headers=proxy_headers, **settings)
        pool = manager.connection_from_url(host)
        if not raw:
            _keep_places(pool, settings["maxsize"])
        kind = DeadlineHTTPSConnection if pool.scheme == "https" else DeadlineHTTPConnection
        if pool.ConnectionCls in kind.__mro__:  # a recording tool's stays
            pool.ConnectionCls = cast("Any", kind)
        forwarded = proxy is not None and not secure
        return _Route(pool, host if forwarded else urlsplit(host).path)

    def _proxy(self, host: str) -> str | None:
        configuration = self._configuration
        if configuration.proxy is not None or not configuration.trust_env:
            return configuration.proxy
        if not any(name.lower().endswith("_proxy") for name in os.environ):
            return None
        from urllib.request import getproxies, proxy_bypass  # rarely needed, slow to import

        parts, proxies = urlsplit(host), getproxies()
        if proxy_bypass(parts.netloc):
            return None
        proxy = proxies.get(parts.scheme) or proxies.get("all")
        if not proxy:
            return None
        proxy = proxy if "://" in proxy else f"http://{proxy}"
        return _validators.url("the environment's proxy", proxy, credentials=True)

    def _tls_settings(self) -> dict[str, Any]:
        configuration = self._configuration
        context = create_urllib3_context()
        context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)
        if configuration.verify_ssl:
            given = configuration.ssl_ca_cert
            outer = os.environ.get("SSL_CERT_FILE") if configuration.trust_env else None
            source = "ssl_ca_cert" if given else "SSL_CERT_FILE"
            _load_pem(source, lambda: context.load_verify_locations(given or outer or where()))
        else:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        certificate, key = configuration.cert_file, configuration.key_file
        if certificate is not None:  # an empty password, so that nobody is asked for one
            _load_pem("cert_file", lambda: context.load_cert_chain(certificate, key, password=""))
        return {"ssl_context": context, "assert_hostname": configuration.assert_hostname}


def _keep_places(pool: urllib3.HTTPConnectionPool, count: int) -> None:
    """Let a pool have its places until Python's very end, for the calls of atexit functions.

    urllib3 takes them all out, connections or not, of the queue that it made, when Python begins
    to end; whoever asks for one then waits in vain.
    """
    pool.pool = places = LifoQueue[Any](count)
    for _ in range(count):
        places.put(None)
    weakref.finalize(pool, _close_idle, places)


def _close_idle(places: LifoQueue[Any]) -> None:
    with places.mutex:  # so that nobody takes what is closed here
        for connection in filter(None, places.queue):
            connection.close()


def _load_pem(source: str, load: Callable[[], None]) -> None:
    try:
        load()
    except OSError as error:  # ssl.SSLError is one
        raise ValueError(f"{source} names no readable PEM file of its kind: {error}") from error


def _iter_decoded(response: RawResponse) -> Iterator[bytes]:
    """Read an answer's body in pieces, unpacked, each of a bounded size."""
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding in ("", "identity"):
        while chunk := response.read(_CHUNK):
            yield chunk
        return
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise HTTPException(f"the answer's Content-Encoding is {encoding!r}")
    unpacker = None  # nothing came, as with 204, whatever its headers say
    while chunk := response.read(_CHUNK, decode_content=False):
        while chunk:
            if unpacker is None or (unpacker.eof and chunk.startswith(_GZIP)):
                unpacker = zlib.decompressobj(_zlib_wbits(chunk))
            elif unpacker.eof:  # padding follows
                break
            yield unpacker.decompress(chunk, _CHUNK)
            chunk = unpacker.unconsumed_tail or unpacker.unused_data
    if unpacker is not None:
        yield unpacker.flush()  # a few bytes, if a piece was full just when its input ended
        if not unpacker.eof:
            raise HTTPException("the compressed body is cut off")


def _zlib_wbits(chunk: bytes) -> int:
    """Return what tells zlib the format: gzip, zlib or, as some send for deflate, neither."""
    is_framed = chunk.startswith(_GZIP) or chunk[0] & 0x0F == zlib.DEFLATED
    return zlib.MAX_WBITS + 32 if is_framed else -zlib.MAX_WBITS


def _discard_response(response: RawResponse) -> None:
    """Close the answer's connection, and give its place in the pool back."""
    response.close()
    response.release_conn()


def _redact_exception(error: Exception) -> Exception:
    """Return the failure, or what stands for one whose causes tell what came, secrets included."""
    kinds = {type(cause) for cause in _causes(error)}
    if kinds & {BadStatusLine, UnknownProtocol}:
        return HTTPException("what came is no HTTP")
    if type(error) is ValueError or kinds & {ValueError, failures.InvalidChunkLength}:
        return HTTPException("the body's chunks have no readable sizes")
    return error


def _causes(error: BaseException) -> Iterator[object]:
    """Yield what a failure came from; urllib3 keeps some of it among the arguments alone."""
    yield from error.args
    cause = error.__cause__ or error.__context__
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _is_permanent_connect_error(error: Exception) -> bool:
    """Whether TLS, or the address itself, stands against connecting; else it may succeed later."""
    lost = isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError))
    return isinstance(error, (ssl.SSLError, ValueError)) and not lost


def _outcome(error: Exception) -> Outcome:
    """Return what is known of a request that failed otherwise than by connecting."""
    if isinstance(error, failures.EmptyPoolError):
        return Outcome.NOT_SENT
    # TLS 1.3 servers refuse a client's certificate only after the client has begun to send
    refused = isinstance(error, failures.SSLError) and re.search(_ALERT, str(error)) is not None
    settled = refused or isinstance(error, _NON_RETRYABLE)
    return Outcome.FINAL if settled else Outcome.UNKNOWN


def _map_exception(error: Exception, host: str, outcome: Outcome) -> ConnectionException:
    kind, words = next(
        (kind, words) for cause, kind, words in _EXCEPTION_MAP if isinstance(error, cause)
    )
    return kind(reason=f"{words}: {urlsplit(host).netloc}: {error}", outcome=outcome)
