"""Calls of the operations: their options, the responses, and the arguments."""

# Lambdas that keep a loop's value in a default have no type for mypy.
# mypy: disable-error-code="no-untyped-call, misc"

import importlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

from common import (
    DONE,
    DROPPED,
    ERROR,
    PATH,
    Case,
    Reply,
    Setting,
    body,
    creation,
    listing,
    many,
    one,
    reply,
)
from setting_cases import free_port

import stcloud as installed

stcloud: Any = installed  # no type of this client, since the other one has none


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
        (reply(404, **ERROR),),
    )
    yield Case(
        "`_preload_content=False`: `.status`, `.data`",
        raw_parts("status", "data"),
        (reply(),),
    )
    yield Case(
        "`_preload_content=False`: `.read()`, `.getheaders()`, `.getheader()`",
        raw_methods,
        (reply(headers={"X-A": "b"}),),
    )
    yield Case("`_preload_content=False`: the type", listing(_preload_content=False), (reply(),))
    yield Case(
        "`_preload_content=False`, 404", listing(_preload_content=False), (reply(404, **ERROR),)
    )
    yield Case(
        "`_with_http_info`, `_preload_content=False`: the types",
        lambda s: [
            type(part).__name__
            for part in s.api.get_app_tokens1_with_http_info(789, _preload_content=False)
        ],
        (reply(),),
    )
    for limit in (1, 0.3, (0.3, 0.3), [0.3, 0.3]):
        yield Case(
            f"`_request_timeout={limit}`, no response for 1.3 s",
            listing(_request_timeout=limit),
            (many()._replace(delay=1.3),),
        )
    for odd in (0, -1, "3", (1, 2, 3), (None, 5), (5, None)):
        yield Case(f"`_request_timeout={odd!r}`", listing(_request_timeout=odd), (many(),))
    yield Case("`_request_timeout=urllib3.Timeout(3)`", with_limits_of_urllib3, (many(),))
    yield Case(
        "longest timeout of a call without `_request_timeout`", default_time_limit, (many(),)
    )


def with_limits_of_urllib3(s: Setting) -> Any:
    """Call with urllib3's own timeouts."""
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
    """Return the longest time that a socket was reply to wait."""
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


def replies() -> Iterator[Case]:
    """Yield the server's responses."""
    for status in (400, 401, 403, 404, 409, 418, 429, 500, 502, 503):
        yield Case(f"{status}", creation(), (reply(status, **ERROR),))
    yield Case("401 with a text", listing(), (Reply("no", 401, {}),))
    for name, act in {"GET": listing(), "POST": creation()}.items():
        yield Case(f"{name}: 503, then 200", act, (reply(503, **ERROR), DONE))
        retry_after = reply(503, headers={"Retry-After": "1"}, **ERROR)
        yield Case(f"{name}: 503 with `Retry-After: 1`, then 200", act, (retry_after, DONE))
        late = reply(429, headers={"Retry-After": "1"}, **ERROR)
        yield Case(f"{name}: 429 with `Retry-After: 1`, then 200", act, (late, DONE))
        yield Case(f"{name}: connection dropped, then 200", act, (DROPPED, DONE))
        yield Case(f"{name}: connection dropped each time", act, (DROPPED,))
        there = Reply("", 302, {"Location": PATH + "?moved"})
        yield Case(f"{name}: 302, then 200", act, (there, DONE))
        yield Case(f"{name}: 200 that says `success: false`", act, (reply(**ERROR),))
    yield Case(
        "DELETE: connection dropped, then 404",
        lambda s: s.api.delete_app_token1(789, 5),
        (DROPPED, reply(404, **ERROR)),
    )
    yield Case("nobody listens", refused)
    yield Case("GET: 200, JSON cut off", listing(), (Reply('{"success": tr'),))
    yield Case("GET: 200, a page of HTML", listing(), (Reply("<p>", 200, {}),))
    yield Case("GET: 200, no content", listing(), (Reply(),))
    yield Case("GET: 200, `null`", listing(), (Reply("null"),))
    yield Case("GET: 200, `[]`", listing(), (Reply("[]"),))
    yield Case("POST: 201, no content", creation(), (Reply("", 201),))
    yield Case("DELETE: 204", lambda s: s.api.delete_app_token1(789, 5), (Reply("", 204),))
    for name, response in {
        "data null": reply(success=True, data=None),
        "no `success`": reply(data={"tokens": []}),
        "tokens null": reply(success=True, data={"tokens": None}),
        "an error listed": reply(success=True, errors=ERROR["errors"]),
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
        "`data` a list": reply(success=True, data=[]),
    }.items():
        yield Case(f"response: {name}", listing(), (response,))
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
    """Yield the arguments that may be passed."""
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
