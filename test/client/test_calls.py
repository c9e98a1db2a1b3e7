"""The five calls, their failures, retries and timeouts, against scripted responses."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from scripted_server import Reply, ScriptedServer, response, unused_address

import stcloud

Serve = Callable[..., ScriptedServer]
Connect = Callable[..., stcloud.TokensApiControllerApi]

TOKENS = "/users-web/api/v3/apps/5/tokens"
TOKEN = {
    "createdAt": "2026-03-01T08:00:12.345Z",
    "enabled": True,
    "id": 7,
    "name": "n",
    "readable": True,
    "token": "made-up-value",
    "writeable": False,
}
ONE = json.dumps({"data": {"token": TOKEN}, "success": True}).encode()
DONE = b'{"success": true}'
CREATED_AT = datetime(2026, 3, 1, 8, 0, 12, 345_000, UTC)

WIRE: dict[str, tuple[tuple[Any, ...], str, str, Any]] = {
    "create_app_token": (({"name": "n"}, 5), "POST", TOKENS, {"name": "n"}),
    "get_app_tokens1": ((5,), "GET", TOKENS, None),
    "update_app_token": (({"enabled": False}, 5, 7), "PUT", f"{TOKENS}/7", {"enabled": False}),
    "regenerate_app_token1": ((5, 7), "POST", f"{TOKENS}/7/regenerate", None),
    "delete_app_token1": ((5, 7), "DELETE", f"{TOKENS}/7", None),
}
RETRIED = {"get_app_tokens1", "update_app_token", "delete_app_token1"}


def call(api: stcloud.TokensApiControllerApi, name: str, **options: Any) -> Any:
    return getattr(api, name)(*WIRE[name][0], **options)


def failure(api: stcloud.TokensApiControllerApi, name: str, **options: Any) -> Any:
    with pytest.raises(stcloud.ApiException) as caught:
        call(api, name, **options)
    return caught.value


@pytest.mark.parametrize("name", WIRE)
def test_request_is_what_the_contract_says(name: str, serve: Serve, connect: Connect) -> None:
    """Method, path, headers and body go out as documented, and no body has no Content-Type."""
    server = serve(response(DONE))
    assert call(connect(server.url), name).success is True
    (request,) = server.received
    assert (request.method, request.path) == WIRE[name][1:3]
    assert request.headers["Authorization"] == "apiKey made-up-key"
    assert request.headers["Accept"] == "application/json"
    body = WIRE[name][3]
    assert (json.loads(request.body) if request.body else None) == body
    assert request.headers["Content-Type"] == (None if body is None else "application/json")


@pytest.mark.parametrize("name", ["create_app_token", "update_app_token", "regenerate_app_token1"])
def test_token_is_a_model(name: str, serve: Serve, connect: Connect) -> None:
    """The token of a response has Python's types."""
    token = call(connect(serve(response(ONE)).url), name).data.token
    assert (token.id, token.name, token.token) == (7, "n", "made-up-value")
    assert (token.enabled, token.readable, token.writeable) == (True, True, False)
    assert token.created_at == CREATED_AT
    assert token.to_dict()["created_at"] == CREATED_AT


@pytest.mark.parametrize("count", [0, 1, 15, 16, 500])
def test_list_has_every_token_in_order(count: int, serve: Serve, connect: Connect) -> None:
    """Long lists are read as short ones are: all fields, in the service's order."""
    tokens = [TOKEN | {"id": number, "name": f"token {number}"} for number in range(count)]
    server = serve(response(json.dumps({"data": {"tokens": tokens}, "success": True}).encode()))
    listed = call(connect(server.url), "get_app_tokens1")
    assert [(token.id, token.name) for token in listed.data.tokens] == [
        (number, f"token {number}") for number in range(count)
    ]
    assert {token.created_at for token in listed.data.tokens} == ({CREATED_AT} if count else set())


@pytest.mark.parametrize("name", WIRE)
def test_connection_serves_the_next_call(name: str, serve: Serve, connect: Connect) -> None:
    """Calls one after another need one connection."""
    server = serve(response(DONE))
    api = connect(server.url)
    for _ in range(3):
        call(api, name)
    assert [request.connection for request in server.received] == [1, 1, 1]


def test_call_in_the_background(serve: Serve, connect: Connect) -> None:
    """`async_req` returns the result later, and raises there what the call raises."""
    api = connect(serve(response(DONE), response(status="404 Not Found")).url)
    assert call(api, "get_app_tokens1", async_req=True).get(20).success is True
    with pytest.raises(stcloud.NotFoundException):
        call(api, "get_app_tokens1", async_req=True).get(20)


def test_status_and_headers(serve: Serve, connect: Connect) -> None:
    """`_with_http_info` returns them beside the model; `_preload_content` leaves the body."""
    api = connect(serve(response(DONE, X_Seen="yes")).url)
    data, status, headers = api.get_app_tokens1_with_http_info(5)
    assert (data.success, status, headers["x-seen"]) == (True, 200, "yes")
    assert api.get_app_tokens1(5, _preload_content=False).data == DONE


@pytest.mark.parametrize("name", WIRE)
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("400 Bad Request", stcloud.BadRequestException),
        ("401 Unauthorized", stcloud.UnauthorizedException),
        ("403 Forbidden", stcloud.ForbiddenException),
        ("404 Not Found", stcloud.NotFoundException),
        ("409 Conflict", stcloud.ConflictException),
        ("418 I'm a teapot", stcloud.ApiException),
        ("429 Too Many Requests", stcloud.TooManyRequestsException),
        ("500 Internal Server Error", stcloud.ServiceException),
    ],
)
def test_status_has_its_exception(
    name: str, status: str, kind: type[stcloud.ApiException], serve: Serve, connect: Connect
) -> None:
    """An error status raises its class, with the response's message, and without the key."""
    body = b'{"success": false, "errors": [{"message": "no such thing"}]}'
    error = failure(connect(serve(response(body, status)).url), name)
    assert type(error) is kind
    assert f"{error.status} {error.reason}" == status
    assert "no such thing" in str(error)
    assert "made-up-key" not in f"{error} {error!r}"
    assert error.outcome_unknown is status.startswith("500")


ODD = {
    "no JSON": response(b"<html>"),
    "not an object": response(b"[]"),
    "deep": response(b"[" * 100_000),
    "long number": response(b'{"message": ' + b"9" * 5000 + b"}"),
    "wrong type": response(b'{"data": {"token": {"id": "7"}}, "success": true}'),
    "odd date": response(b'{"data": {"token": {"createdAt": "soon"}}}'),
    "not UTF-8": response(b'{"message": "\xff"}'),
    "no HTTP": b"no HTTP at all\r\n\r\n",
    "cut off": b"HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n" + DONE,
    "odd chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}",
    "no gzip": response(DONE, Content_Encoding="gzip"),
    "nothing": b"",
}


@pytest.mark.parametrize("odd", ODD)
def test_odd_response_raises(odd: str, serve: Serve, connect: Connect) -> None:
    """What is not a response of the API is never a result; whether it was done is unknown."""
    error = failure(connect(serve(Reply(ODD[odd], "close")).url), "create_app_token")
    kinds = (stcloud.UnexpectedResponseException, stcloud.ConnectionException)
    assert isinstance(error, kinds)
    assert error.outcome_unknown is True


@pytest.mark.parametrize("name", WIRE)
@pytest.mark.parametrize("first", [response(status="503 Down"), b""], ids=["503", "closed"])
def test_idempotent_calls_are_retried(
    name: str, first: bytes, serve: Serve, connect: Connect
) -> None:
    """GET, PUT and DELETE are retried after a failure; a POST might be done twice."""
    server = serve(Reply(first, "close"), response(DONE))
    api = connect(server.url, retries=stcloud.RetryPolicy(backoff=0.001))
    if name in RETRIED:
        assert call(api, name).success is True
    else:
        assert failure(api, name).outcome_unknown is True
    assert len(server.received) == (2 if name in RETRIED else 1)


@pytest.mark.parametrize("name", WIRE)
def test_retry_after_is_waited_for(name: str, serve: Serve, connect: Connect) -> None:
    """429 refuses a call, so that each is retried, after the time that the service asks for."""
    server = serve(response(status="429 Slow", Retry_After="0"), response(DONE))
    api = connect(server.url, retries=stcloud.RetryPolicy(backoff=0.001))
    assert call(api, name).success is True
    assert len(server.received) == 2


def test_retry_after_as_a_date(serve: Serve, connect: Connect) -> None:
    """A date too far away is not waited for: it is in the exception, in seconds."""
    moment = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    server = serve(response(status="503 Down", Retry_After=moment))
    error = failure(connect(server.url, retries=stcloud.RetryPolicy()), "get_app_tokens1")
    assert 3500 < error.retry_after <= 3600
    assert error.attempts == 1


@pytest.mark.parametrize(
    "options", [{"_request_timeout": 0.3}, {"_request_timeout": (5, 0.3)}, {}], ids=repr
)
@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{"])
def test_silence_is_a_time_out(
    begun: bytes, options: dict[str, Any], serve: Serve, connect: Connect
) -> None:
    """A server that says nothing, or stops amid its response, ends the call in time."""
    api = connect(serve(Reply(begun, "hang")).url, read_timeout=0.3 if not options else 30)
    error = failure(api, "create_app_token", **options)
    assert type(error) is stcloud.TimeoutException
    assert error.outcome_unknown is True


def test_refused_connection_was_not_sent(connect: Connect) -> None:
    """Where nobody listens, nothing was done, and the address is named."""
    address = unused_address()
    error = failure(connect(f"http://{address}"), "create_app_token")
    assert type(error) is stcloud.ConnectionException
    assert error.outcome_unknown is False
    assert address in str(error)


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/octet-stream"])
@pytest.mark.parametrize("status", ["200 OK", "403 Forbidden", "502 Bad Gateway"])
def test_page_of_html_is_reported_as_one(
    status: str, kind: str, serve: Serve, connect: Connect
) -> None:
    """A portal's or a proxy's page, whatever its status, is named by its type and its title."""
    page = b"<!DOCTYPE html>\n<HTML><head><Title lang=en>Sign in\n &amp; wait</title></head></html>"
    api = connect(serve(response(page, status, Content_Type=kind)).url)
    with pytest.raises(stcloud.ApiException) as caught:
        api.get_app_tokens1(5)
    media_type = kind.partition(";")[0]
    assert f"a page of HTML came ({media_type}) with the title 'Sign in & wait'" in str(
        caught.value
    )


@pytest.mark.parametrize("zone", ["Z", "+00:00", "-02:00"])
def test_leap_second_is_a_date(zone: str, serve: Serve, connect: Connect) -> None:
    """RFC 3339 allows ``:60``; one such date does not make a list unreadable."""
    token = b'{"id": 1, "createdAt": "2016-12-31T23:59:60%s"}' % zone.encode()
    api = connect(serve(response(b'{"success": true, "data": {"tokens": [%s]}}' % token)).url)
    listed: Any = api.get_app_tokens1(5)
    assert listed.data.tokens[0].created_at.isoformat()[:19] == "2017-01-01T00:00:00"


@pytest.mark.parametrize(
    ("date", "seconds"),
    [("Sun, 06 Nov 1994 08:49:30 GMT", 7), ("Sun, 06 Nov 1994 09:00:00 GMT", 0)],
)
def test_retry_after_is_counted_from_the_date_of_the_response(
    date: str, seconds: float, serve: Serve, connect: Connect
) -> None:
    """The service's clock may differ from this machine's by more than it asks to wait."""
    headers = {"Retry_After": "Sun, 06 Nov 1994 08:49:37 GMT", "Date": date}
    api = connect(serve(response(b"", "429 Too Many Requests", **headers)).url)
    with pytest.raises(stcloud.TooManyRequestsException) as caught:
        api.get_app_tokens1(5)
    assert caught.value.retry_after == seconds
