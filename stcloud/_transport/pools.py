"""Routes to a host: pools of connections, TLS, and proxies."""

from __future__ import annotations

import os
import ssl
import weakref
from collections.abc import Callable
from operator import attrgetter
from queue import LifoQueue
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import urllib3
from certifi import where
from urllib3.util import create_urllib3_context, make_headers, parse_url

from stcloud import _validators
from stcloud._transport.connection import DeadlineHTTPConnection, DeadlineHTTPSConnection
from stcloud.configuration import Configuration

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


class Route:
    """The pool that leads to a host, and what precedes each path that is sent through it."""

    def __init__(self, pool: urllib3.HTTPConnectionPool, prefix: str) -> None:
        self.pool = pool
        self.prefix = prefix


class Pools:
    """The routes of one client; threads share them, a forked process makes its own."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._routes: dict[tuple[object, ...], Route] = {}
        self._process = os.getpid()

    def reset(self) -> None:
        """Use new connections from now on; those of calls in flight end with them."""
        self._routes = {}

    def close(self) -> None:
        """Close the idle connections; a later request opens new ones."""
        routes, self._routes = self._routes, {}
        for route in routes.values():
            route.pool.close()

    def route(self, host: str, raw: bool) -> Route:
        """Return the route to a host; raw responses have pools of their own."""
        if self._process != os.getpid():  # forked: the open sockets are the parent's
            self._routes, self._process = {}, os.getpid()
        connection = urllib3.HTTPConnectionPool.ConnectionCls  # a recording tool's, while one runs
        key = host, raw, connection, _connection_settings(self._configuration)
        return self._routes.get(key) or self._routes.setdefault(key, self._new_route(host, raw))

    def _new_route(self, host: str, raw: bool) -> Route:
        secure = host.startswith("https:")
        proxy = self._proxy(host)
        settings = self._tls_settings() if secure else {}
        settings["maxsize"] = self._configuration.connection_pool_maxsize
        # Wait for a connection, rather than open one and throw it away; but the slot of one
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
            _keep_slots(pool, settings["maxsize"])
        kind = DeadlineHTTPSConnection if pool.scheme == "https" else DeadlineHTTPConnection
        if pool.ConnectionCls in kind.__mro__:  # a recording tool's stays
            pool.ConnectionCls = cast("Any", kind)
        forwarded = proxy is not None and not secure
        return Route(pool, host if forwarded else urlsplit(host).path)

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
            passed = configuration.ssl_ca_cert
            outer = os.environ.get("SSL_CERT_FILE") if configuration.trust_env else None
            source = "ssl_ca_cert" if passed else "SSL_CERT_FILE"
            _load_pem(source, lambda: context.load_verify_locations(passed or outer or where()))
        else:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        certificate, key = configuration.cert_file, configuration.key_file
        if certificate is not None:  # an empty password, so that nobody is asked for one
            _load_pem("cert_file", lambda: context.load_cert_chain(certificate, key, password=""))
        return {"ssl_context": context, "assert_hostname": configuration.assert_hostname}


def _keep_slots(pool: urllib3.HTTPConnectionPool, count: int) -> None:
    """Give a pool a queue that urllib3 does not drain at exit, for calls of atexit functions.

    At exit ``urllib3.connectionpool._close_pool_connections`` empties the queue that the pool
    made, and a call through a blocking pool would hang.
    """
    pool.pool = slots = LifoQueue[Any](count)
    for _ in range(count):
        slots.put(None)
    weakref.finalize(pool, _close_idle, slots)


def _close_idle(slots: LifoQueue[Any]) -> None:
    with slots.mutex:  # so that nobody takes what is closed here
        for connection in filter(None, slots.queue):
            connection.close()


def _load_pem(source: str, load: Callable[[], None]) -> None:
    try:
        load()
    except OSError as error:  # ssl.SSLError is one
        raise ValueError(f"{source} names no readable PEM file of its kind: {error}") from error
