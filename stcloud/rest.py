"""The one room that knows urllib3: pools, TLS, proxies, time limits, one attempt."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from http.client import HTTPException
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

import urllib3
from certifi import where
from urllib3 import exceptions as failures
from urllib3.util import create_urllib3_context, make_headers, parse_url

from stcloud.configuration import Configuration
from stcloud.exceptions import ApiException, ConnectionException, TimeoutException

__all__ = ["ApiException", "Limits", "RawResponse", "RestClient"]

RawResponse: TypeAlias = urllib3.BaseHTTPResponse
"""What ``_preload_content=False`` returns: urllib3's response, its body not read yet."""

_ONE_ATTEMPT = urllib3.Retry(False)  # raises what happened as it is, follows no redirect
_FAILURES = (
    failures.HTTPError,
    failures.HTTPWarning,  # raised where warnings are errors
    failures.ProxySchemeUnsupported,  # a bare ValueError
    HTTPException,
    OSError,
)
_WORDS: tuple[
    tuple[type[Exception], type[ConnectionException], str], ...
] = (  # the first that fits; urllib3 derives its connection errors from its time-outs
    (failures.NameResolutionError, ConnectionException, "the host's name could not be resolved"),
    (failures.NewConnectionError, ConnectionException, "no connection"),
    (failures.ConnectTimeoutError, TimeoutException, "connecting took too long"),
    (failures.EmptyPoolError, TimeoutException, "all connections stayed busy"),
    (failures.TimeoutError, TimeoutException, "the answer took too long"),
    (failures.SSLError, ConnectionException, "no secure connection"),
    (failures.ProxyError, ConnectionException, "no connection through the proxy"),
    (Exception, ConnectionException, "no whole answer"),
)


class Limits(NamedTuple):
    """Time limits of one attempt in seconds: to connect, and for each silence of the server."""

    connect: float
    read: float


class _Target(NamedTuple):
    """The pool that leads to a host, and what precedes each path that is sent through it."""

    pool: urllib3.HTTPConnectionPool
    prefix: str


class RestClient:
    """The connections of one client; threads share them, a forked process makes its own."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._targets: dict[str, _Target] = {}
        self._process = os.getpid()

    def request(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None, limits: Limits
    ) -> RawResponse:
        """Make one attempt; return the answer when its headers are here.

        Raises:
            ConnectionException: no answer came; TimeoutException if time ran out.
        """
        host = self._configuration.host
        target = self._target(host)
        try:
            return target.pool.urlopen(
                method,
                target.prefix + path,
                body,
                headers,
                retries=_ONE_ATTEMPT,
                redirect=False,
                assert_same_host=False,  # it would refuse a proxy's absolute URLs
                timeout=urllib3.Timeout(connect=limits.connect, read=limits.read),
                preload_content=False,
            )
        except _FAILURES as error:
            raise _translated(error, host) from error

    def read(self, response: RawResponse) -> bytes:
        """Return the body of an answer and give its connection back.

        Raises:
            ConnectionException: the body did not come whole; TimeoutException if time ran out.
        """
        try:
            return response.read()
        except _FAILURES as error:
            response.close()
            raise _translated(error, self._configuration.host) from error

    def close(self) -> None:
        """Close the idle connections; a later request opens new ones."""
        targets, self._targets = self._targets, {}
        for target in targets.values():
            target.pool.close()

    def _target(self, host: str) -> _Target:
        if self._process != os.getpid():  # forked: the open sockets are the parent's
            self._targets, self._process = {}, os.getpid()
        return self._targets.get(host) or self._targets.setdefault(host, self._new_target(host))

    def _new_target(self, host: str) -> _Target:
        secure = host.startswith("https:")
        settings = self._tls_settings() if secure else {}
        settings["maxsize"] = self._configuration.connection_pool_maxsize
        settings["block"] = True  # wait for a connection, rather than open one and throw it away
        proxy = self._configuration.proxy
        if proxy is None:
            manager = urllib3.PoolManager(**settings)
        else:
            auth = parse_url(proxy).auth
            proxy_headers = make_headers(proxy_basic_auth=auth) if auth else None
            manager = urllib3.ProxyManager(proxy, proxy_headers=proxy_headers, **settings)
        forwarded = proxy is not None and not secure
        return _Target(
            manager.connection_from_url(host), host if forwarded else urlsplit(host).path
        )

    def _tls_settings(self) -> dict[str, Any]:
        configuration = self._configuration
        context = create_urllib3_context()
        if configuration.verify_ssl:
            _load(
                "ssl_ca_cert", context.load_verify_locations, configuration.ssl_ca_cert or where()
            )
        else:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if configuration.cert_file is not None:
            _load(
                "cert_file",
                context.load_cert_chain,
                configuration.cert_file,
                configuration.key_file,
            )
        return {"ssl_context": context, "assert_hostname": configuration.assert_hostname}


def _load(name: str, load: Callable[..., object], *files: str | None) -> None:
    try:
        load(*files)
    except OSError as error:  # ssl.SSLError is one
        raise ValueError(f"{name} is not a readable PEM file of its kind: {files[0]}") from error


def _translated(error: Exception, host: str) -> ConnectionException:
    kind, words = next((kind, words) for cause, kind, words in _WORDS if isinstance(error, cause))
    return kind(reason=f"{words}: {urlsplit(host).netloc}: {error}")
