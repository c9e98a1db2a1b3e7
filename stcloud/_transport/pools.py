"""Routes to a host: pools of connections, TLS, and proxies."""

from __future__ import annotations

import errno
import os
import ssl
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeAlias, cast
from urllib.parse import unquote, urlsplit
from weakref import ref

import urllib3
from certifi import where
from urllib3.util import create_urllib3_context, parse_url

from stcloud import _validators
from stcloud._redaction import mask_uuids
from stcloud._transport.connection import DeadlineHTTPConnection, DeadlineHTTPSConnection
from stcloud._transport.slots import ConnectionQueue
from stcloud.configuration import Configuration
from stcloud.exceptions import ConnectionException
from stcloud.logs import logger
from stcloud.retry import Outcome

_connection_settings = attrgetter(
    "verify_ssl",
    "ssl_ca_cert",
    "cert_file",
    "key_file",
    "assert_hostname",
    "proxy",
    "trust_env",
    "connection_pool_maxsize",
    "idle_timeout",
    "ssl_context",
)


_Settings: TypeAlias = tuple[object, ...]
_Place: TypeAlias = tuple[str, bool, object]
_Source: TypeAlias = tuple[_Settings, str, str | None]


class Route:
    """The pool that leads to a host, and what precedes each path that is sent through it.

    Its ``host`` and ``proxy`` are names for the texts of errors.
    """

    def __init__(
        self, pool: urllib3.HTTPConnectionPool, slots: ConnectionQueue, prefix: str, host: str
    ) -> None:
        self.pool = pool
        self.slots = slots
        self.prefix = prefix
        self.host: str = urlsplit(host).netloc
        proxy = pool.proxy
        self.proxy: str | None = proxy and f"the proxy {proxy.netloc}"


class Pools:
    """The routes of one client; threads share them, a forked process makes its own."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._routes: dict[tuple[_Place, _Settings, _Settings], Route] = {}
        self._tls: dict[_Source, tuple[_Settings, dict[str, Any]]] = {}  # read last
        self._process = os.getpid()

    def reset(self) -> None:
        """Use new connections from now on; those of calls in flight end with them."""
        self._routes = {}

    def close(self) -> None:
        """Close the idle connections; a later request opens new ones."""
        routes, self._routes = self._routes, {}
        for route in list(routes.values()):
            route.slots.close_idle()

    def route(self, host: str, raw: bool) -> Route:
        """Return the route to a host; raw responses have pools of their own.

        Other settings make another route, and so does a certificate's file that has changed.
        """
        if self._process != os.getpid():  # forked: the open sockets are the parent's
            self._routes, self._process = {}, os.getpid()
        connection = urllib3.HTTPConnectionPool.ConnectionCls  # a recording tool's, while one runs
        place = host, raw, connection
        settings: _Settings = _connection_settings(self._configuration)
        files = self._files() if host.startswith("https:") else ()
        route = self._routes.get((place, settings, files))
        return route or self._change_route(place, settings, files)

    def _change_route(self, place: _Place, settings: _Settings, files: _Settings) -> Route:
        """Return the route by these settings and files; it replaces the others of its place."""
        host, raw, _ = place
        proxy = self._proxy(host)
        files, tls = self._read_tls(settings, files, host, proxy)
        key, routes = (place, settings, files), self._routes
        route = routes.get(key)
        if route is None:  # another thread may be quicker
            route = routes.setdefault(key, self._new_route(host, raw, proxy, tls))
        for other in routes.copy():
            if other[0] == place and other != key:
                routes.pop(other, None)
        return route

    def _read_tls(
        self, settings: _Settings, files: _Settings, host: str, proxy: str | None
    ) -> tuple[_Settings, dict[str, Any]]:
        """Return what urllib3 needs for TLS, and the state of the files that it was read from.

        While files are being renewed, they may not fit each other: then what was read before
        remains, also for new connections.
        """
        source = settings, host, proxy
        try:
            read = files, self._tls_settings(host, proxy)
        except ValueError as error:
            if source not in self._tls:
                raise
            logger.warning("%s; the files that were read before stay in use", error)
            return self._tls[source]
        others = {key: known for key, known in self._tls.items() if key[0] == settings}
        self._tls = others | {source: read}
        return read

    def _new_route(self, host: str, raw: bool, proxy: str | None, tls: dict[str, Any]) -> Route:
        configuration = self._configuration
        settings: dict[str, Any] = tls | {"maxsize": configuration.connection_pool_maxsize}
        # Wait for a connection, rather than open one and throw it away; but the slot of one
        # that a caller keeps would never come back.
        settings["block"] = not raw
        if proxy is None:
            manager = urllib3.PoolManager(**settings)
        else:
            manager = urllib3.ProxyManager(proxy, proxy_headers=_credentials(proxy), **settings)
        pool = manager.connection_from_url(host)
        slots = ConnectionQueue(configuration.connection_pool_maxsize)
        pool.pool = cast("Any", slots)
        kind = DeadlineHTTPSConnection if pool.scheme == "https" else DeadlineHTTPConnection
        if pool.ConnectionCls in kind.__mro__:  # a recording tool's stays
            pool.ConnectionCls = cast("Any", kind)
            pool.conn_kw.update(idle_timeout=configuration.idle_timeout, siblings=ref(slots))
        forwarded = proxy is not None and not host.startswith("https:")
        return Route(pool, slots, host if forwarded else urlsplit(host).path, host)

    def _files(self) -> tuple[object, ...]:
        """Return the state on disk of the files that TLS takes; certificates get renewed."""
        configuration = self._configuration
        if configuration.ssl_context is not None:
            return ()
        files = [configuration.cert_file, configuration.key_file, *self._authorities().values()]
        return tuple(_state(file) for file in files if file is not None)

    def _authorities(self) -> dict[str, str]:
        """Return the files of the trusted certificates, by the setting or variable of each."""
        configuration = self._configuration
        if configuration.ssl_ca_cert is not None:
            return {"ssl_ca_cert": configuration.ssl_ca_cert}
        names = ("SSL_CERT_FILE", "SSL_CERT_DIR") if configuration.trust_env else ()
        found = {name: os.environ[name] for name in names if os.environ.get(name)}
        return found or {"certifi": where()}

    def _proxy(self, host: str) -> str | None:
        configuration = self._configuration
        if configuration.proxy is not None or not configuration.trust_env:
            return configuration.proxy
        if not any(name.lower().endswith("_proxy") for name in os.environ):
            return None
        from urllib.request import getproxies  # rarely needed, slow to import

        from stcloud._transport.no_proxy import is_bypassed

        parts, proxies = urlsplit(host), getproxies()
        scheme = parts.scheme if proxies.get(parts.scheme) else "all"
        proxy = proxies.get(scheme)
        if not proxy or is_bypassed(parts.hostname or "", parts.port, proxies.get("no", "")):
            return None
        proxy = proxy if "://" in proxy else f"http://{proxy}"
        name = f"{scheme}_proxy"  # counts before the one in capitals
        return _validators.proxy_url(name if os.environ.get(name) else name.upper(), proxy)

    def _tls_settings(self, host: str, proxy: str | None) -> dict[str, Any]:
        settings: dict[str, Any] = {}
        if host.startswith("https:"):
            settings["ssl_context"] = self._configuration.ssl_context or self._new_context()
            settings["assert_hostname"] = self._configuration.assert_hostname
        if proxy is not None and proxy.startswith("https:"):
            context = self._configuration.ssl_context or self._new_context()
            settings["proxy_ssl_context"] = context
            settings.setdefault("ssl_context", context)  # older urllib3 takes it for http
        return settings

    def _new_context(self) -> ssl.SSLContext:
        configuration = self._configuration
        context = create_urllib3_context()
        context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)
        if configuration.verify_ssl:
            for source, path in self._authorities().items():
                _load_pem(source, path, partial(_trust, context, path))
        else:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        certificate, key = configuration.cert_file, configuration.key_file
        if certificate is None and key is not None:
            raise ValueError("key_file needs cert_file: the certificate of that key")
        if certificate is not None:  # an empty password, so that nobody is asked for one
            load = partial(context.load_cert_chain, certificate, key, password="")
            if key is None:
                _load_pem("cert_file", certificate, load)
            else:  # OpenSSL does not say which of the two it is
                _load_pem("cert_file or key_file", f"{certificate} or {key}", load)
        return context


def _trust(context: ssl.SSLContext, path: str) -> None:
    is_folder = Path(path).is_dir()
    context.load_verify_locations(*((None, path) if is_folder else (path, None)))


def _state(path: str) -> tuple[object, ...]:
    try:
        state = os.stat(path)  # noqa: PTH116  # for each call, and Path takes longer
    except OSError:
        return (path,)
    return path, state.st_mtime_ns, state.st_size, state.st_ino


def _credentials(proxy: str) -> dict[str, str] | None:
    """Return the header for a proxy's user name and password, in UTF-8 (RFC 7617)."""
    auth = parse_url(proxy).auth
    if not auth:
        return None
    return {"Proxy-Authorization": f"Basic {b64encode(unquote(auth).encode()).decode()}"}


def _load_pem(source: str, path: str, load: Callable[[], None]) -> None:
    try:
        load()
    except OSError as error:  # ssl.SSLError is one
        if error.errno in (errno.EMFILE, errno.ENFILE) and not isinstance(error, ssl.SSLError):
            reason = f"no connection: {path}: {error.strerror}"
            raise ConnectionException(reason=reason, outcome=Outcome.NOT_SENT) from error
        text = f"{source} names no readable PEM file of its kind: {path}: {error}"
        raise ValueError(mask_uuids(text)) from error
