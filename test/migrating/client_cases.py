"""What a client offers beside the operations, models and exceptions."""

# Lambdas that keep a loop's value in a default have no type for mypy.
# mypy: disable-error-code="no-untyped-call, misc"

import copy
import importlib
import json
import pickle
import threading
import unittest.mock
from collections.abc import Callable, Iterator
from typing import Any

from common import ERROR, PATH, SECRET, Case, Setting, body, listing, reply, with_attribute

import stcloud as installed

stcloud: Any = installed  # no type of this client, since the other one has none


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
    for name, value in {"a body": {"a": 1}, "no body": None}.items():
        yield Case(
            f"`call_api`: POST with {name}",
            lambda s, value=value: s.client.call_api(PATH, "POST", body=value),
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
        def call_api(self, *args: Any, **options: Any) -> Any:
            used.append("call_api")
            return super().call_api(*args, **options)

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
    unauthorized = (reply(401, **ERROR),)

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
