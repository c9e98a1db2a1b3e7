"""Settings, as programs make and change them."""

# Lambdas that keep a loop's value in a default have no type for mypy.
# mypy: disable-error-code="no-untyped-call, misc"

import copy
import http.client
import io
import json
import logging
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

from client_cases import own
from common import KEY, Case, Setting, listing, many, setting, with_attribute

import stcloud as installed

stcloud: Any = installed  # no type of this client, since the other one has none


def settings() -> Iterator[Case]:
    """Yield what may be set, and what its value is without."""
    fresh = stcloud.Configuration
    for name in ("host", "username", "password", "logger_format", "connection_pool_maxsize"):
        yield Case(f"`Configuration().{name}`", lambda _, name=name: getattr(fresh(), name))
    yield Case("`str(configuration.api_key)`", lambda s: str(s.configuration.api_key))
    yield Case("type of `configuration.api_key`", lambda s: type(s.configuration.api_key).__name__)
    yield Case("`json.dumps(configuration.api_key)`", lambda s: json.dumps(s.configuration.api_key))
    yield Case(
        "`copy.copy(configuration)` shares its `api_key`",
        lambda s: copy.copy(s.configuration).api_key is s.configuration.api_key,
    )
    yield Case("an attribute of its own in a subclass of `Configuration`", lambda _: own(fresh))
    yield Case("`sorted(configuration.logger)`", lambda s: sorted(s.configuration.logger))
    yield Case("`configuration.auth_settings()`", lambda s: s.configuration.auth_settings())
    yield Case(
        "`get_api_key_with_prefix('other')`",
        lambda s: s.configuration.get_api_key_with_prefix("other"),
    )
    yield Case("two configurations share their `api_key`", shared_key)
    yield Case("`Configuration.set_default`, then `Configuration().host`", default_host)
    yield Case("`Configuration(host=...)`", lambda s: fresh(host=s.server.url).host == s.server.url)
    yield Case(
        "key without prefix", lambda s: (s.configuration.api_key_prefix.clear(), listing()(s))[1]
    )
    for key in (f"apiKey {KEY}", f"APIKEY {KEY}", f" {KEY}", f"{KEY}\n", KEY.encode(), ""):
        yield Case(f"key {str(key).replace(KEY, '...')!r}", lambda s, key=key: with_key(s, key))
    yield Case("key, no prefix ever set", without_prefix)
    yield Case(
        "`api_key = {...}`",
        with_attribute("configuration", "api_key", {"Authorization": KEY}),
    )
    yield Case("key from `SEMATEXT_API_KEY`", lambda s: with_variable(s, "SEMATEXT_API_KEY", KEY))
    yield Case("proxy from `HTTP_PROXY`", lambda s: with_variable(s, "HTTP_PROXY", s.server.url))
    yield Case("`host` plain http, not loopback: warnings", insecure)
    yield Case("no key", lambda s: (s.configuration.api_key.clear(), listing()(s))[1])
    yield Case("prefix `'Bearer'`", lambda s: with_prefix(s, "Bearer"))
    yield Case("prefix `''`", lambda s: with_prefix(s, ""))
    yield Case("prefix `'apiKey '`", lambda s: with_prefix(s, "apiKey "))
    yield Case("`refresh_api_key_hook`", with_hook)
    for name, value in {
        "proxy": "",
        "ssl_ca_cert": "",
        "cert_file": "missing.pem",
        "verify_ssl": 0,
        "assert_hostname": False,
        "connection_pool_maxsize": None,
        "username": None,
        "temp_folder_path": "missing",
        "logger_format": "%(message)s",
        "debug": 0,
        "logger": {},
        "host": "127.0.0.1:9",
        "safe_chars_for_path_param": "/",
        "region_name": "x",
    }.items():
        yield setting(name, value)
    yield setting("connection_pool_maxsize", "4")
    yield setting("assert_hostname", True)
    yield Case("`host` with `/` at its end", with_slash)
    yield Case("`configuration.host`, given with `/` at its end", host_read_again)
    yield Case("`host` changed after the client was made", host_changed)
    yield Case("`logger_file`, read again", lambda s: s.configuration.logger_file)
    yield Case("`debug = True` prints the key", prints_key, (many(),))
    yield Case("`debug = True` changes", debug_effects)
    yield Case("handlers that `Configuration()` adds", handlers_added)
    yield Case("`copy.deepcopy(configuration)`", lambda s: deep_copied(s.configuration))
    yield Case(
        "`to_debug_report()`'s type", lambda s: type(s.configuration.to_debug_report()).__name__
    )


def shared_key(s: Setting) -> bool:
    """Whether a key set in one configuration is in a new one too."""
    s.configuration.api_key["Authorization"] = KEY
    return "Authorization" in stcloud.Configuration().api_key


def default_host(s: Setting) -> bool:
    """Whether a new configuration has the default's host."""
    stcloud.Configuration.set_default(s.configuration)
    return bool(stcloud.Configuration().host == s.server.url)


def with_key(s: Setting, key: Any) -> Any:
    """Call with this key, under the documented prefix."""
    s.configuration.api_key["Authorization"] = key
    return listing()(s)


def with_prefix(s: Setting, prefix: str) -> Any:
    """Call with this prefix."""
    s.configuration.api_key_prefix["Authorization"] = prefix
    return listing()(s)


def without_prefix(s: Setting) -> Any:
    """Call with a key, and with the prefix that the client has by itself."""
    stcloud.Configuration.set_default(None)
    configuration = stcloud.Configuration()
    configuration.host, configuration.api_key = s.server.url, {"Authorization": KEY}
    return stcloud.TokensApiControllerApi(stcloud.ApiClient(configuration)).get_app_tokens1(789)


def with_variable(s: Setting, name: str, value: str) -> Any:
    """Call with a variable set; where it names a proxy, nobody listens at the host itself."""
    os.environ[name] = value
    try:
        stcloud.Configuration.set_default(None)
        configuration = stcloud.Configuration()
        configuration.host = s.server.url if "KEY" in name else f"http://127.0.0.1:{free_port()}"
        if "KEY" not in name:
            configuration.api_key["Authorization"] = KEY
        client = stcloud.ApiClient(configuration)
        return type(stcloud.TokensApiControllerApi(client).get_app_tokens1(789)).__name__
    finally:
        del os.environ[name]


def insecure(s: Setting) -> list[str]:
    """Return the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        s.configuration.host = "http://example.com"
    return [warning.category.__name__ for warning in caught]


def free_port() -> int:
    """Return a port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def with_hook(s: Setting) -> Any:
    """Call with a hook that sets the key."""

    def refresh(configuration: Any) -> None:
        configuration.api_key["Authorization"] = "fresh-key"

    s.configuration.refresh_api_key_hook = refresh
    return listing()(s)


def with_slash(s: Setting) -> Any:
    """Call a host that was given with a slash."""
    s.configuration.host = s.server.url + "/"
    return stcloud.TokensApiControllerApi(stcloud.ApiClient(s.configuration)).get_app_tokens1(789)


def host_read_again(s: Setting) -> str:
    """Return what is left of the end of a host."""
    s.configuration.host = s.server.url + "/"
    return f"http://...{s.configuration.host.removeprefix(s.server.url)}"


def host_changed(s: Setting) -> str:
    """Return which host is called."""
    s.configuration.host = f"http://127.0.0.1:{free_port()}"
    try:
        listing(_request_timeout=1)(s)
    except Exception:  # noqa: BLE001  # clients have their own
        return "the new one is called"
    return "the old one is called"


def prints_key(s: Setting) -> bool:
    """Whether a call shows the key."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        s.configuration.debug = True
        client = stcloud.ApiClient(s.configuration)
        stcloud.TokensApiControllerApi(client).get_app_tokens1(789)
    return KEY in out.getvalue() + err.getvalue()


def debug_effects(s: Setting) -> list[str]:
    """Return what beside the package's own logger is changed."""
    urllib3, level = logging.getLogger("urllib3"), http.client.HTTPConnection.debuglevel
    before = urllib3.level
    s.configuration.debug = True
    stcloud.ApiClient(s.configuration)
    changed = ["logger urllib3"] * (urllib3.level != before)
    return changed + ["http.client"] * (http.client.HTTPConnection.debuglevel != level)


def handlers_added(_: Setting) -> dict[str, int]:
    """Return how many handlers a new configuration gives to loggers."""
    stcloud.Configuration.set_default(None)
    names = ("stcloud", "urllib3")
    before = {name: len(logging.getLogger(name).handlers) for name in names}
    stcloud.Configuration()
    return {name: len(logging.getLogger(name).handlers) - before[name] for name in names}


def deep_copied(configuration: Any) -> str:
    """Return the name of a deep copy's class."""
    return type(copy.deepcopy(configuration)).__name__
