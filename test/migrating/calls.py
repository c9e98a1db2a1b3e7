"""Makes the same calls with whichever ``stcloud`` the interpreter has; prints the facts as JSON.

Both clients have the same import name, so each one runs this file in an interpreter of its own.
"""

# Lambdas that keep a loop's value in a default have no type for mypy.
# mypy: disable-error-code="no-untyped-call, misc"

import copy
import http.client
import importlib
import inspect
import io
import json
import logging
import multiprocessing
import os
import pickle
import re
import socket
import sys
import threading
import time
import unittest.mock
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import stcloud as installed

stcloud: Any = installed  # no type of this client, since the other one has none

KEY = "2f1c6a30-made-4up0-8key-5b7d9e0f1a2c"
SECRET = "8d9e0f1a-2b3c-4d5e-8f60-718293a4b5c6"
PATH = "/users-web/api/v3/apps/789/tokens"
TOKEN = {
    "id": 5,
    "name": "shipper",
    "token": SECRET,
    "enabled": True,
    "readable": True,
    "writeable": False,
    "createdAt": "2026-01-02T03:04:05Z",
}
CLASSES = (
    "ApiClient",
    "Configuration",
    "CreateTokenDto",
    "Error",
    "GenericMapBasedApiResponse",
    "TokenDto",
    "TokenResponse",
    "TokenResponseEntry",
    "TokensApiControllerApi",
    "TokensResponse",
    "TokensResponseEntry",
    "UpdateTokenDto",
)
MODULES = ("api", "api_client", "configuration", "models", "rest")
METHODS = (
    "create_app_token",
    "get_app_tokens1",
    "update_app_token",
    "regenerate_app_token1",
    "delete_app_token1",
)


class Answer(NamedTuple):
    """What the server does with a request; status 0 drops the connection."""

    body: str = ""
    status: int = 200
    headers: Mapping[str, str] = {"Content-Type": "application/json"}
    silence: float = 0


def told(status: int = 200, *, headers: Mapping[str, str] | None = None, **fields: Any) -> Answer:
    """Return an answer in JSON."""
    named = {"Content-Type": "application/json", **(headers or {})}
    return Answer(json.dumps(fields), status, named)


def one(**fields: Any) -> Answer:
    """Return the answer that has a token, some of its fields changed."""
    return told(success=True, data={"token": TOKEN | fields})


def many(**fields: Any) -> Answer:
    """Return the answer that has a list of tokens, some fields of the only one changed."""
    return told(success=True, data={"tokens": [TOKEN | fields]})


ERROR: dict[str, Any] = {
    "success": False,
    "message": "no",
    "errors": [{"code": "E1", "message": f"{SECRET}?"}],
}
DONE = told(success=True, data={})
DROPPED = Answer(status=0)


class Server(ThreadingHTTPServer):
    """Answers as told, the last answer again and again, and keeps the requests."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that did not wait."""

    answers: list[Answer]
    requests: list[dict[str, str]]

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def expect(self, *answers: Answer) -> None:
        """Forget the requests, and give these answers from now on."""
        self.answers, self.requests = list(answers), []


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Server

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline()
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        length = self.headers["Content-Length"]
        content = self.rfile.read(int(length or 0)).decode()
        request = {f"header `{name.title()}`": text for name, text in self.headers.items()}
        request |= {"method": self.command, "path": self.path, **body_facts(content)}
        del request["header `Host`"]
        if length:
            request["header `Content-Length`"] = "the body's length"
        self.server.requests.append(request)
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        threading.Event().wait(answer.silence)
        if not answer.status:
            self.close_connection = True
            return
        text = answer.body.encode()
        self.send_response_only(answer.status)
        for name, value in {**answer.headers, "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)


def body_facts(content: str) -> dict[str, str]:
    """Return what a request's body says, and how it is written."""
    if not content:
        return {"content": "none"}
    facts = {"content": json.dumps(json.loads(content), ensure_ascii=False)}
    if len(content) > 2:
        facts["spaces in the JSON"] = "after commas and colons" if ": " in content else "none"
    if "é" in facts["content"]:
        facts["`é` in the JSON"] = "UTF-8" if "é" in content else "escaped"
    return facts


class Setting(NamedTuple):
    """What a case works with: a client that is set up as the documentation of both says."""

    api: Any
    client: Any
    configuration: Any
    server: Server


class Case(NamedTuple):
    """What is done, and what the server answers."""

    name: str
    act: Callable[[Any], Any]
    answers: tuple[Answer, ...] = (DONE,)


def body(**fields: Any) -> Any:
    """Return the body of a new token."""
    return stcloud.CreateTokenDto(**fields)


def listing(**options: Any) -> Callable[[Setting], Any]:
    """Return the call that lists tokens."""
    return lambda s: s.api.get_app_tokens1(789, **options)


def creation(given: Callable[[], Any] = lambda: body(name="a")) -> Callable[[Setting], Any]:
    """Return the call that creates a token of what is given."""
    return lambda s: s.api.create_app_token(given(), 789)


def with_attribute(part: str, name: str, value: Any) -> Callable[[Setting], Any]:
    """Return the call before which an attribute of the client or its configuration is set."""

    def act(s: Setting) -> Any:
        setattr(getattr(s, part), name, value)
        return listing()(s)

    return act


def setting(name: str, value: Any) -> Case:
    """Return the case that changes a setting, reads it again, and makes a call."""

    def act(s: Setting) -> Any:
        setattr(s.configuration, name, value)
        s.api.get_app_tokens1(789)
        return getattr(s.configuration, name)

    return Case(f"`configuration.{name} = {value!r}`, then a call, then read", act, (many(),))


def operations() -> Iterator[Case]:
    """Yield the operations of both clients, and each option of a call."""
    update = stcloud.UpdateTokenDto
    yield Case("create_app_token", creation(lambda: body(name="é", readable=True)), (one(),))
    yield Case("get_app_tokens1", listing(), (many(),))
    yield Case(
        "update_app_token",
        lambda s: s.api.update_app_token(update(enabled=False, name="b"), 789, 5),
        (one(),),
    )
    yield Case("regenerate_app_token1", lambda s: s.api.regenerate_app_token1(789, 5), (one(),))
    yield Case("delete_app_token1", lambda s: s.api.delete_app_token1(789, 5))
    yield Case(
        "all arguments by keyword",
        lambda s: s.api.update_app_token(body=update(name="b"), app_id=789, token_id=5),
        (one(),),
    )
    yield Case(
        "`create_app_token_with_http_info`",
        lambda s: s.api.create_app_token_with_http_info(body(name="a"), 789),
        (one(),),
    )
    yield Case(
        "the headers of `_with_http_info`",
        lambda s: s.api.get_app_tokens1_with_http_info(789)[2]["content-type"],
        (many(),),
    )
    yield Case(
        "`_with_http_info`, `_return_http_data_only=True`",
        lambda s: s.api.get_app_tokens1_with_http_info(789, _return_http_data_only=True),
        (many(),),
    )
    yield Case(
        "`_with_http_info`: the type",
        lambda s: type(s.api.get_app_tokens1_with_http_info(789)).__name__,
        (many(),),
    )
    yield Case("`_return_http_data_only=False`", listing(_return_http_data_only=False), (many(),))
    yield Case(
        "`async_req=True`: the type",
        type_of_later,
        (many(),),
    )
    yield Case(
        "`async_req=True`, then `.get()`", lambda s: listing(async_req=True)(s).get(9), (many(),)
    )
    yield Case(
        "`async_req=True`, 404, then `.get()`",
        lambda s: listing(async_req=True)(s).get(9),
        (told(404, **ERROR),),
    )
    yield Case(
        "`_preload_content=False`: `.status`, `.data`",
        raw_parts("status", "data"),
        (told(),),
    )
    yield Case(
        "`_preload_content=False`: `.read()`, `.getheaders()`, `.getheader()`",
        raw_methods,
        (told(headers={"X-A": "b"}),),
    )
    yield Case("`_preload_content=False`: the type", listing(_preload_content=False), (told(),))
    yield Case(
        "`_preload_content=False`, 404", listing(_preload_content=False), (told(404, **ERROR),)
    )
    yield Case(
        "`_with_http_info`, `_preload_content=False`: the types",
        lambda s: [
            type(part).__name__
            for part in s.api.get_app_tokens1_with_http_info(789, _preload_content=False)
        ],
        (told(),),
    )
    for limit in (1, 0.3, (0.3, 0.3), [0.3, 0.3]):
        yield Case(
            f"`_request_timeout={limit}`, the server silent for 1.3 s",
            listing(_request_timeout=limit),
            (many()._replace(silence=1.3),),
        )
    for odd in (0, -1, "3", (1, 2, 3), (None, 5), (5, None)):
        yield Case(f"`_request_timeout={odd!r}`", listing(_request_timeout=odd), (many(),))
    yield Case("`_request_timeout=urllib3.Timeout(3)`", with_limits_of_urllib3, (many(),))
    yield Case("longest time limit of a call, if none is given", default_time_limit, (many(),))


def with_limits_of_urllib3(s: Setting) -> Any:
    """Call with the time limits that urllib3 would take."""
    return listing(_request_timeout=importlib.import_module("urllib3").Timeout(3))(s)


def type_of_later(s: Setting) -> str:
    """Return the type of what ``async_req`` returns, after it is done."""
    later = listing(async_req=True)(s)
    later.wait(9)
    return type(later).__name__


def raw_parts(*names: str) -> Callable[[Setting], Any]:
    """Return the call that reads attributes of a raw response."""
    return lambda s: tuple(getattr(listing(_preload_content=False)(s), name) for name in names)


def raw_methods(s: Setting) -> Any:
    """Read a raw response by its methods."""
    raw = listing(_preload_content=False)(s)
    return raw.read(), raw.getheaders()["x-a"], raw.getheader("x-a")


def default_time_limit(s: Setting) -> str:
    """Return the longest time that a socket was told to wait."""
    limits: list[float] = []
    settimeout = socket.socket.settimeout

    def noted(self: socket.socket, value: float | None) -> None:
        limits.append(value or 0)
        settimeout(self, value)

    socket.socket.settimeout = noted  # type: ignore[method-assign,assignment]
    try:
        listing()(s)
    finally:
        socket.socket.settimeout = settimeout  # type: ignore[method-assign]
    return f"{max(limits, default=0):.0f} s" if any(limits) else "none"


def answers() -> Iterator[Case]:
    """Yield what the server may answer."""
    for status in (400, 401, 403, 404, 409, 418, 429, 500, 502, 503):
        yield Case(f"{status}", creation(), (told(status, **ERROR),))
    yield Case("401 with a text", listing(), (Answer("no", 401, {}),))
    for name, act in {"GET": listing(), "POST": creation()}.items():
        yield Case(f"{name}: 503, then 200", act, (told(503, **ERROR), DONE))
        retry_after = told(503, headers={"Retry-After": "1"}, **ERROR)
        yield Case(f"{name}: 503 with `Retry-After: 1`, then 200", act, (retry_after, DONE))
        late = told(429, headers={"Retry-After": "1"}, **ERROR)
        yield Case(f"{name}: 429 with `Retry-After: 1`, then 200", act, (late, DONE))
        yield Case(f"{name}: connection dropped, then 200", act, (DROPPED, DONE))
        yield Case(f"{name}: connection dropped each time", act, (DROPPED,))
        there = Answer("", 302, {"Location": PATH + "?moved"})
        yield Case(f"{name}: 302, then 200", act, (there, DONE))
        yield Case(f"{name}: 200 that says `success: false`", act, (told(**ERROR),))
    yield Case(
        "DELETE: connection dropped, then 404",
        lambda s: s.api.delete_app_token1(789, 5),
        (DROPPED, told(404, **ERROR)),
    )
    yield Case("nobody listens", refused)
    yield Case("GET: 200, JSON cut off", listing(), (Answer('{"success": tr'),))
    yield Case("GET: 200, a page of HTML", listing(), (Answer("<p>", 200, {}),))
    yield Case("GET: 200, no content", listing(), (Answer(),))
    yield Case("GET: 200, `null`", listing(), (Answer("null"),))
    yield Case("GET: 200, `[]`", listing(), (Answer("[]"),))
    yield Case("POST: 201, no content", creation(), (Answer("", 201),))
    yield Case("DELETE: 204", lambda s: s.api.delete_app_token1(789, 5), (Answer("", 204),))
    for name, answer in {
        "data null": told(success=True, data=None),
        "no `success`": told(data={"tokens": []}),
        "tokens null": told(success=True, data={"tokens": None}),
        "an error listed": told(success=True, errors=ERROR["errors"]),
        "an unknown field": many(colour="red"),
        "`createdAt` with an offset": many(createdAt="2026-01-02T03:04:05+02:00"),
        "`createdAt` without an offset": many(createdAt="2026-01-02T03:04:05"),
        "`createdAt` a number": many(createdAt=1767323045000),
        "`createdAt` no date": many(createdAt="soon"),
        '`id` `"5"`': many(id="5"),
        '`id` `"five"`': many(id="five"),
        "`id` 5.0": many(id=5.0),
        "`name` 5": many(name=5),
        '`enabled` `"false"`': many(enabled="false"),
        "`data` a list": told(success=True, data=[]),
    }.items():
        yield Case(f"answer: {name}", listing(), (answer,))
    yield Case(
        "the type of `created_at`'s time zone",
        lambda s: str(listing()(s).data.tokens[0].created_at.tzinfo),
        (many(),),
    )


def refused(s: Setting) -> Any:
    """Call a server that is not there."""
    s.configuration.host = f"http://127.0.0.1:{free_port()}"
    return stcloud.TokensApiControllerApi(stcloud.ApiClient(s.configuration)).get_app_tokens1(789)


def arguments() -> Iterator[Case]:
    """Yield what may be given as arguments."""
    for value in ("789", "0789", "+7", "a/b", "..", "", " 7", 2**63, 1.5, True, 0, -1, None, [1]):
        yield Case(f"app_id {value!r}", lambda s, value=value: s.api.get_app_tokens1(value))
    yield Case("app_id missing", lambda s: s.api.get_app_tokens1())
    yield Case("app_id twice", lambda s: s.api.get_app_tokens1(789, app_id=789))
    yield Case("one argument too many", lambda s: s.api.get_app_tokens1(789, 5))
    yield Case("token_id None", lambda s: s.api.delete_app_token1(789, None))
    yield Case("body None", lambda s: s.api.create_app_token(None, 789))
    yield Case("an unknown option", listing(timeout=3))
    bodies: dict[str, Callable[[], Any]] = {
        "a model without values": body,
        "`{}`": dict,
        "a dict": lambda: {"name": "a", "readable": False},
        "a dict with a null": lambda: {"name": None, "readable": False},
        "a dict with an unknown name": lambda: {"nmae": "a"},
        "a dict with a wrong type": lambda: {"name": 5},
        "a model with a wrong type": lambda: body(name=5),
        "another model": lambda: stcloud.UpdateTokenDto(name="a"),
        "a dict with NaN": lambda: {"name": float("nan")},
        "a text": lambda: '{"name": "a"}',
        "a list": lambda: [{"name": "a"}],
    }
    for name, make in bodies.items():
        yield Case(f"body: {name}", creation(make))


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


def clients() -> Iterator[Case]:
    """Yield what a client offers beside the operations."""
    yield Case("threads that `ApiClient()` starts", threads_started)
    yield Case("`with ApiClient() as client`", lambda s: type(s.client.__enter__()).__name__)
    yield Case("`client.close()`", lambda s: s.client.close())
    yield Case("a subclass's own `call_api` is used by the operations", overridden)
    yield Case("`client.rest_client.pool_manager`", lambda s: s.client.rest_client.pool_manager)
    yield Case("type of `client.pool`", lambda s: type(s.client.pool).__name__)
    yield Case(
        "`client.configuration is configuration`",
        lambda s: s.client.configuration is s.configuration,
    )
    yield Case("`client.last_response`", lambda s: (listing()(s), s.client.last_response.status)[1])
    yield Case("`ApiClient(configuration, name, value, cookie)`", own_headers)
    yield Case("`ApiClient(None)` and a key in a default configuration", default_client)
    yield Case("`default_headers = {...}`", with_attribute("client", "default_headers", {"X": "1"}))
    yield Case("`client.configuration` of another host and key set", reconfigured)
    yield Case(
        "`set_default_header('user-agent', 'me')`",
        lambda s: (s.client.set_default_header("user-agent", "me"), listing()(s))[1],
    )
    yield Case("`unittest.mock.patch` of `urllib3.PoolManager.request`", patched)
    yield Case(
        "an attribute of its own in a subclass of `ApiClient`", lambda _: own(stcloud.ApiClient)
    )
    yield Case("`user_agent` set", with_attribute("client", "user_agent", "me"))
    for value in ("1", 1, None, "ü"):
        yield Case(
            f"`set_default_header('x-own', {value!r})`",
            lambda s, value=value: (s.client.set_default_header("x-own", value), listing()(s))[1],
        )
    yield Case(
        "an `Authorization` of one's own in `default_headers`",
        lambda s: (s.client.set_default_header("Authorization", "mine"), listing()(s))[1],
    )
    yield Case("`client.default_headers`", lambda s: sorted(s.client.default_headers))
    plain = lambda s, value: s.client.sanitize_for_serialization(value)  # noqa: E731
    for name, make in {
        "a model": lambda: body(name="a"),
        "a tuple": lambda: (1, "a"),
        "bytes": lambda: b"a",
        "an object": object,
        "a dict with an int as key": lambda: {1: 2},
    }.items():
        yield Case(f"`sanitize_for_serialization` of {name}", lambda s, make=make: plain(s, make()))
    yield from call_api()


def call_api() -> Iterator[Case]:
    """Yield the ways of calling any path."""
    calls: dict[str, dict[str, Any]] = {
        "path and method": {},
        "`auth_settings=['api_key']`": {"auth_settings": ["api_key"]},
        "`auth_settings=[]`": {"auth_settings": []},
        "`response_type='TokensResponse'`": {"response_type": "TokensResponse"},
        "`response_type=TokensResponse`": {"response_type": stcloud.TokensResponse},
        "`response_type='object'`": {"response_type": "object"},
        "`_return_http_data_only=True`": {"_return_http_data_only": True},
        "`query_params=[('a', 'b c')]`": {"query_params": [("a", "b c")]},
        "`query_params=[('a', True)]`": {"query_params": [("a", True)]},
        "`query_params=[('a', None)]`": {"query_params": [("a", None)]},
        "`query_params=[('a', [1, 2])]`": {"query_params": [("a", [1, 2])]},
        "`header_params={'X-A': 'b'}`": {"header_params": {"X-A": "b"}},
        "`header_params={'X-A': 5}`": {"header_params": {"X-A": 5}},
        "`post_params=[]`": {"post_params": []},
        "`files={}`": {"files": {}},
        "`collection_formats={}`": {"collection_formats": {}},
    }
    for name, options in calls.items():
        yield Case(
            f"`call_api`: {name}",
            lambda s, options=options: s.client.call_api(PATH, "GET", **options),
        )
    yield Case("`call_api`: a query in the path", lambda s: s.client.call_api(f"{PATH}?a=b", "GET"))
    yield Case("`call_api`: method `'get'`", lambda s: s.client.call_api(PATH, "get"))
    for name, given in {"a body": {"a": 1}, "no body": None}.items():
        yield Case(
            f"`call_api`: POST with {name}",
            lambda s, given=given: s.client.call_api(PATH, "POST", body=given),
        )
    yield Case(
        "`call_api`: path parameter `'a/b'`",
        lambda s: s.client.call_api("/x/{id}", "GET", {"id": "a/b"}),
    )
    yield Case(
        "`call_api`: eight arguments by position",
        lambda s: s.client.call_api(PATH, "GET", {}, [], {}, None, [], {}),
    )


def threads_started(s: Setting) -> str:
    """Return whether a new client has threads."""
    before = threading.active_count()
    client = stcloud.ApiClient(s.configuration)
    started = threading.active_count() - before
    del client
    return "some" if started else "none"


def own(kind: Any) -> int:
    """Set an attribute that only a subclass has."""
    made = type("Own", (kind,), {})()
    made.mine = 1
    return int(made.mine)


def reconfigured(s: Setting) -> str:
    """Return whose host and key are used after the client got another configuration."""
    other = copy.copy(s.configuration)
    other.api_key = {"Authorization": "other-key"}
    other.host = s.server.url + "/other"
    s.client.configuration = other
    listing()(s)
    return "a result"


def patched(s: Setting) -> bool:
    """Whether a test that replaces urllib3's method sees the call."""
    with unittest.mock.patch("urllib3.PoolManager.request") as replaced:
        replaced.return_value = unittest.mock.Mock(status=200, data=b"{}")
        listing()(s)
    return bool(replaced.called)


def overridden(s: Setting) -> bool:
    """Whether operations go through a method that a subclass of the client replaces."""
    used: list[str] = []

    class Own(stcloud.ApiClient):
        def call_api(self, *given: Any, **options: Any) -> Any:
            used.append("call_api")
            return super().call_api(*given, **options)

    stcloud.TokensApiControllerApi(Own(s.configuration)).get_app_tokens1(789)
    return bool(used)


def own_headers(s: Setting) -> Any:
    """Call with a header and a cookie of one's own."""
    client = stcloud.ApiClient(s.configuration, "X-Own", "1", "a=b")
    return stcloud.TokensApiControllerApi(client).get_app_tokens1(789)


def default_client(s: Setting) -> Any:
    """Call without giving a client."""
    stcloud.Configuration.set_default(s.configuration)
    return stcloud.TokensApiControllerApi().get_app_tokens1(789)


def models() -> Iterator[Case]:
    """Yield what is done with models, which needs no server."""
    create, token = stcloud.CreateTokenDto, stcloud.TokenDto
    made = lambda: token(id=5, name="a", token=SECRET)  # noqa: E731
    acts: dict[str, Callable[[], Any]] = {
        "`repr(token)`": lambda: repr(made()),
        "`str(token)`": lambda: str(made()),
        "`token.to_str()`": lambda: made().to_str(),
        "`token.to_dict()`": lambda: made().to_dict(),
        "`token.token`": lambda: made().token,
        "fields by position": lambda: create("a", True, False),
        "an unknown field": lambda: create(nmae="a"),
        "`token == the same`": lambda: made() == made(),
        "`token != another`": lambda: made() != token(id=6),
        "a model equals another class's": lambda: (
            stcloud.TokenResponse() == stcloud.TokensResponse()
        ),
        "`hash(token)`": lambda: hash(made()),
        "`pickle` and back is equal": lambda: pickle.loads(pickle.dumps(made())) == made(),
        "`copy.deepcopy` is equal": lambda: copy.deepcopy(made()) == made(),
        "`token.colour = 'red'`": lambda: setattr(made(), "colour", "red"),
        "`vars(token)`": lambda: sorted(vars(made())),
        "`token._name`": lambda: made()._name,
        "`token.discriminator`": lambda: made().discriminator,
        "`TokenDto.swagger_types`": lambda: token.swagger_types,
        "`TokenDto.attribute_map`": lambda: token.attribute_map,
        "`TokensResponse.swagger_types`": lambda: stcloud.TokensResponse.swagger_types,
        "`GenericMapBasedApiResponse.swagger_types`": lambda: (
            stcloud.GenericMapBasedApiResponse.swagger_types
        ),
        "`CreateTokenDto.name` in the class": lambda: type(create.name).__name__,
        "`del token.name`": lambda: made().__delattr__("name"),
        "an attribute of its own in a subclass of a model": lambda: own(create),
        "a subclass of a model": lambda: type("Mine", (create,), {})(name="a").name,
    }
    for name, act in acts.items():
        yield Case(name, lambda _, act=act: act())
    yield from exceptions()


def exceptions() -> Iterator[Case]:
    """Yield what is done with exceptions."""
    error = importlib.import_module("stcloud.rest").ApiException
    unauthorized = (told(401, **ERROR),)

    def caught(s: Setting) -> Any:
        try:
            return s.api.get_app_tokens1(789)
        except Exception as failure:  # noqa: BLE001  # clients have their own
            return failure

    yield Case("`str(error)` of a 401", lambda s: str(caught(s)), unauthorized)
    yield Case(
        "`error.headers['content-type']`", lambda s: caught(s).headers["content-type"], unauthorized
    )
    yield Case(
        "`json.loads(error.body)`", lambda s: json.loads(caught(s).body)["message"], unauthorized
    )
    yield Case("`error.body` of a 401 with `_preload_content=False`", raw_body, unauthorized)
    yield Case("`error.body.decode()`", lambda s: caught(s).body.decode()[:9], unauthorized)
    yield Case("`error.args`", lambda s: caught(s).args, unauthorized)
    yield Case(
        "`pickle` of an error",
        lambda s: type(pickle.loads(pickle.dumps(caught(s)))).__name__,
        unauthorized,
    )
    yield Case("`ApiException.__module__`", lambda _: error.__module__)
    yield Case("`ApiException()`'s status", lambda _: error().status)
    yield Case(
        "`ApiException(404, 'no')`", lambda _: (error(404, "no").status, error(404, "no").reason)
    )
    yield Case("`ApiException(http_resp=None)`", lambda _: error(http_resp=None).status)
    yield Case(
        "`stcloud.rest.ApiException is stcloud.ApiException`",
        lambda _: error is stcloud.ApiException,
    )


def raw_body(s: Setting) -> Any:
    """Return the body of an error whose call wanted a raw response."""
    try:
        return s.api.get_app_tokens1(789, _preload_content=False)
    except Exception as failure:  # noqa: BLE001  # clients have their own
        return json.loads(failure.body)["message"]  # type: ignore[attr-defined]


def shown(value: Any) -> str:
    """Return a value as text; of what is not built in, the class."""
    if isinstance(value, tuple):
        return f"({', '.join(map(shown, value))})"
    if value is None or type(value) in (str, bytes, int, float, bool, list, dict):
        return repr(value)
    return type(value).__name__


def fields(result: Any) -> Iterator[tuple[str, str]]:
    """Yield the fields of a result that is a model, those of the models in it too."""
    model = result[0] if isinstance(result, tuple) and result else result
    if hasattr(model, "swagger_types"):
        yield from leaves("`result", model.to_dict())


def leaves(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield the plain values in dicts and lists, by the way to them."""
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from leaves(f"{path}.{name}", item)
    elif isinstance(value, list) and value:
        yield from leaves(f"{path}[0]", value[0])
    else:
        yield f"{path}`", repr(value)


def exception_facts(error: Exception) -> Iterator[tuple[str, str]]:
    """Yield what a caller sees of an exception."""
    found: Any = error
    if not isinstance(error, importlib.import_module("stcloud.rest").ApiException):
        yield "result", f"raises {type(error).__name__}, not an `ApiException`"
        return
    yield "result", f"raises {type(error).__name__}, status {found.status}"
    text = found.body.decode() if isinstance(found.body, bytes) else found.body
    yield "`.reason` of the error", repr(found.reason)
    yield "`.body` of the error", repr(text)
    yield "type of `.body` of the error", type(found.body).__name__
    yield "type of `.headers` of the error", type(found.headers).__name__


def facts(case: Case, server: Server) -> dict[str, str]:
    """Do what a case says, and return what was sent and what came of it."""
    stcloud.Configuration.set_default(None)
    configuration = stcloud.Configuration()
    configuration.host = server.url
    configuration.api_key["Authorization"] = KEY
    configuration.api_key_prefix["Authorization"] = "apiKey"
    client = stcloud.ApiClient(configuration)
    api = stcloud.TokensApiControllerApi(client)
    server.expect(*case.answers)
    found: dict[str, str] = {}
    try:
        result = case.act(Setting(api, client, configuration, server))
        found |= {"result": shown(result), **dict(fields(result))}
    except Exception as error:  # noqa: BLE001  # whatever a client may raise is a fact
        found |= dict(exception_facts(error))
    methods = [request["method"] for request in server.requests]
    found["requests"] = ", ".join(methods) if len(set(methods)) > 1 else str(len(methods))
    for request in server.requests[:1]:
        found |= request
    return {name: steady(text) for name, text in found.items()}


def steady(text: str) -> str:
    """Return a text without what differs from run to run or from one Python to the next."""
    text = text.replace(KEY, "KEY").replace(SECRET, "SECRET")
    return re.sub(r"\d+(\.\d+){2}", "x.y.z", re.sub(r"127\.0\.0\.1:\d+", "server", text))


def names() -> Iterator[tuple[str, list[str]]]:
    """Yield what can be imported or read, by where it is."""
    classes = {name: kind for name, kind in vars(stcloud).items() if inspect.isclass(kind)}
    yield "`stcloud`", sorted(classes)
    for name in MODULES:
        own = vars(importlib.import_module(f"stcloud.{name}"))
        told = classes if name in ("api", "models") else ()
        others = [key for key, value in own.items() if key not in told and is_own(value)]
        yield f"`stcloud.{name}`", sorted(others)
    for name in CLASSES:
        yield f"`{name}`", public(getattr(stcloud, name)())
    yield "`ApiException`", public(importlib.import_module("stcloud.rest").ApiException())
    yield "modules of these classes", sorted(getattr(stcloud, name).__module__ for name in CLASSES)


def is_own(value: object) -> bool:
    """Whether a class or function is the client's own."""
    return str(getattr(value, "__module__", "")).startswith("stcloud")


def public(owner: object) -> list[str]:
    """Return the names that do not begin with an underscore, without those of any exception."""
    known = {name for name in dir(BaseException) if isinstance(owner, BaseException)}
    return [name for name in dir(owner) if not name.startswith("_") and name not in known]


def signatures() -> Iterator[tuple[str, list[str]]]:
    """Yield the names of the parameters that methods of both clients take."""
    api, client = stcloud.TokensApiControllerApi, stcloud.ApiClient
    for name in METHODS:
        yield f"`{name}`", parameters(getattr(api, name))
        yield f"`{name}_with_http_info`", parameters(getattr(api, f"{name}_with_http_info"))
    for name in ("call_api", "sanitize_for_serialization", "set_default_header"):
        yield f"`{name}`", parameters(getattr(client, name))
    yield "`ApiClient`", parameters(client)


def parameters(function: Callable[..., Any]) -> list[str]:
    """Return the parameters' names."""
    given = inspect.signature(function).parameters.values()
    return ["**" if one.kind is one.VAR_KEYWORD else one.name for one in given]


@contextmanager
def running() -> Iterator[Server]:
    """Run the server."""
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()


GROUPS = {
    "Operations and options": operations,
    "Answers": answers,
    "Arguments": arguments,
    "Settings": settings,
    "The client": clients,
    "Models and exceptions": models,
}


def main() -> None:
    """Print all facts."""
    os.environ["TZ"] = "CET-1"  # dateutil reads a date otherwise where the local time is UTC
    time.tzset()
    multiprocessing.cpu_count = lambda: 7  # so that a default drawn from it is the same everywhere
    time.sleep = lambda _: None  # no client needs to wait before it tries again
    with running() as server:
        seen = {
            title: {case.name: facts(case, server) for case in cases()}
            for title, cases in GROUPS.items()
        }
    document = {"names": dict(names()), "parameters": dict(signatures()), "cases": seen}
    json.dump(document, sys.stdout)
    sys.stdout.flush()
    os._exit(0)  # a client's threads may keep the interpreter from ending


if __name__ == "__main__":
    main()
