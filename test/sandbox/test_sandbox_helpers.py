"""What the sandbox does for those who test with it: its log, its clock, forks, odd clients."""

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

import stcloud
from stcloud.sandbox import Fault, ReceivedRequest, Sandbox
from stcloud.sandbox.server import Server

Connect = Callable[..., stcloud.TokensApiControllerApi]
TOKENS = "/users-web/api/v3/apps/789/tokens"


@pytest.fixture
def wire(sandbox: Sandbox) -> Iterator[http.client.HTTPConnection]:
    address = sandbox.url.removeprefix("http://")
    with closing(http.client.HTTPConnection(address, timeout=20)) as connection:
        yield connection


def ask(
    wire: http.client.HTTPConnection, sandbox: Sandbox, body: Any, **headers: str
) -> tuple[int, bytes]:
    headers = {"Authorization": f"apiKey {sandbox.api_key}", **headers}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    wire.request("POST", TOKENS, body, {"Content-Type": "application/json", **named})
    response = wire.getresponse()
    return response.status, response.read()


def test_body_in_chunks(sandbox: Sandbox, wire: http.client.HTTPConnection) -> None:
    """Node's and Java's clients send it so; the connection goes on."""
    for number in range(2):
        chunks = iter([b'{"na', b'me": "', b"%d" % number, b'"}'])
        assert ask(wire, sandbox, chunks)[0] == 200
    assert [token["name"] for token in sandbox.tokens()] == ["0", "1"]


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Transfer_Encoding": "chunked"}, b"zz\r\n", 400),
        ({"Transfer_Encoding": "gzip"}, b"", 400),
        ({"Transfer_Encoding": "chunked", "Content_Length": "3"}, b"0\r\n\r\n", 400),
        ({"Transfer_Encoding": "chunked"}, b"200000\r\n" + b" " * 2**21 + b"\r\n0\r\n\r\n", 413),
    ],
    ids=["no size", "other coding", "length, too", "large"],
)
def test_body_in_odd_chunks(
    headers: dict[str, str],
    body: bytes,
    status: int,
    sandbox: Sandbox,
    wire: http.client.HTTPConnection,
) -> None:
    """It is refused, and the next connection works."""
    assert ask(wire, sandbox, body, **headers)[0] == status
    wire.close()
    assert ask(wire, sandbox, b"{}")[0] == 200


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("apiKey wrong", "not the one of this sandbox"),
        ("Bearer wrong", "must be 'apiKey', a space and the key"),
        ("", "must be 'apiKey', a space and the key"),
        ("apiKey", "must be 'apiKey', a space and the key"),
    ],
)
def test_401_says_what_is_wrong(
    value: str, message: str, sandbox: Sandbox, wire: http.client.HTTPConnection
) -> None:
    """The form of the header, or the key."""
    status, content = ask(wire, sandbox, b"{}", Authorization=value)
    assert status == 401
    assert message in content.decode()


def test_apps_are_listed(sandbox: Sandbox, connect: Connect) -> None:
    """The call that the README shows for other paths finds its app."""
    sandbox.add_app(1000)
    data, status, _ = connect().api_client.call_api("/users-web/api/v3/apps", "GET")
    assert (status, data["data"]) == (200, {"apps": [{"id": 789}, {"id": 1000}]})


def test_requests_are_listed(sandbox: Sandbox, connect: Connect) -> None:
    """Those that were refused, too, with the faults that they met, and without the key."""
    api = connect(retries=0)
    fault = Fault.status(500)
    sandbox.fail_next(None, fault)
    with pytest.raises(stcloud.ServiceException):
        api.create_app_token({"name": "x"}, 789)
    api.get_app_tokens1(789)
    with pytest.raises(stcloud.NotFoundException):
        api.get_app_tokens1(1)
    assert sandbox.requests == [
        ReceivedRequest("POST", TOKENS, b'{"name":"x"}', 500, fault),
        ReceivedRequest("GET", TOKENS, b"", 200, None),
        ReceivedRequest("GET", TOKENS.replace("789", "1"), b"", 404, None),
    ]
    assert sandbox.api_key not in repr(sandbox.requests)
    sandbox.reset()
    assert sandbox.requests == []


def test_success_that_comes_late(sandbox: Sandbox, connect: Connect) -> None:
    """The operation is done once; the connection goes on."""
    sandbox.fail_next("create_app_token", Fault.late(0.3))
    api = connect(retries=0)
    began = time.monotonic()
    created: Any = api.create_app_token({"name": "x"}, 789)
    assert time.monotonic() - began > 0.25
    assert [token["id"] for token in sandbox.tokens()] == [created.data.token.id]
    sandbox.fail_next("create_app_token", Fault.late(20))
    with pytest.raises(stcloud.TimeoutException):
        api.create_app_token({"name": "y"}, 789, _request_timeout=0.2)
    assert len(sandbox.tokens()) == 2


def test_clock_can_be_moved(connect: Connect) -> None:
    """Tokens are as old as a test needs them."""
    moment = datetime(2020, 1, 1, 12, 0, tzinfo=timezone(timedelta(hours=2)))
    with Sandbox(clock=lambda: moment) as sandbox:
        api = connect(host=sandbox.url, api_key=sandbox.api_key)
        api.create_app_token({}, 789)
        sandbox.clock = lambda: datetime(2021, 1, 1, tzinfo=UTC)
        api.create_app_token({}, 789)
        dates = [token["createdAt"] for token in sandbox.tokens()]
        sandbox.reset()  # the next test has the time that the sandbox began with
        api.create_app_token({}, 789)
        dates += [token["createdAt"] for token in sandbox.tokens()]
    first, second = "2020-01-01T10:00:00.000Z", "2021-01-01T00:00:00.000Z"
    assert dates == [first, second, first]


def test_connection_that_cannot_be_accepted(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception of another tool, in place of the accepted socket, does not end the sandbox."""
    import socketserver

    class BlockedError(RuntimeError):
        pass

    accept = socketserver.TCPServer.get_request
    blocked: list[int] = []

    def block(server: Server) -> Any:
        connection, address = accept(server)
        if not blocked:
            blocked.append(1)
            connection.close()
            raise BlockedError
        return connection, address

    monkeypatch.setattr(socketserver.TCPServer, "get_request", block)
    assert connect().get_app_tokens1(789).success is True
    assert blocked == [1]


FORKING = """
import os, signal, sys, time
import stcloud
from stcloud.sandbox import Sandbox

with Sandbox() as sandbox:
    configuration = stcloud.Configuration(host=sandbox.url, api_key=sandbox.api_key)
    api = stcloud.TokensApiControllerApi(stcloud.ApiClient(configuration))
    assert api.get_app_tokens1(789).success
    end, closed = os.pipe()
    child = os.fork()
    if child == 0:
        sandbox.close()
        os.write(closed, b"!")
        time.sleep(30)
        os._exit(0)
    assert os.read(end, 1) == b"!"
    with sandbox.refusing():
        pass
    assert api.get_app_tokens1(789).success
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert api.get_app_tokens1(789).success
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_fork_does_not_keep_the_port() -> None:
    """A forked process has neither the port nor the connections."""
    options = ["-W", "ignore:This process:DeprecationWarning"]
    program = [sys.executable, "-W", "error", *options, "-c", FORKING]
    subprocess.run(program, check=True, timeout=50)


def test_wrong_fault_is_refused(sandbox: Sandbox) -> None:
    """Where it is set, and not when a request meets it."""
    with pytest.raises(
        TypeError, match=r"fault must be one such as Fault\.status\(503\), not '503'"
    ):
        sandbox.fail_next("create_app_token", "503")  # type: ignore[arg-type]
    assert sandbox.pending_faults == 0


def test_wrong_clock_is_refused(sandbox: Sandbox) -> None:
    """A moment is no clock."""
    with pytest.raises(TypeError, match="clock must be a function, not datetime: lambda: moment"):
        sandbox.clock = datetime.now(UTC)  # type: ignore[assignment]
    with pytest.raises(ValueError, match="clock must return a datetime with a time zone"):
        sandbox.clock = datetime.now


def test_wrong_app_id_is_refused() -> None:
    """Before the sandbox starts."""
    for wrong in ("789", 1.5, True):
        with pytest.raises(TypeError, match="app_id must be an int, not"):
            Sandbox(app_id=wrong)  # type: ignore[arg-type]
