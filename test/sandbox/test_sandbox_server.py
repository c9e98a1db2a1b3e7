"""The sandbox on the wire: what happens to connections, in plain text and over TLS."""

import json
import logging
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme

from stcloud.sandbox import Sandbox
from stcloud.sandbox.server import Server

PATH = "/users-web/api/v3/apps/789/tokens"
MIB = 1024 * 1024


def connect(sandbox: Sandbox) -> socket.socket:
    where = urlsplit(sandbox.url)
    return socket.create_connection((where.hostname or "", where.port or 0), timeout=30)


def request(sandbox: Sandbox, method: str, body: bytes = b"", framing: str = "") -> bytes:
    """Return a request's bytes; ``framing`` replaces its Content-Length."""
    framing = framing or f"Content-Length: {len(body)}"
    key = f"Authorization: apiKey {sandbox.api_key}"
    return f"{method} {PATH} HTTP/1.1\r\nHost: x\r\n{key}\r\n{framing}\r\n\r\n".encode() + body


def exchange(wire: socket.socket, content: bytes) -> tuple[int, str | None]:
    """Send bytes; return the response's status and what it says of the connection."""
    wire.sendall(content)
    response = HTTPResponse(wire)
    response.begin()
    assert set(json.loads(response.read())) == {"data", "errors", "message", "success"}
    return response.status, response.getheader("Connection")


def is_closed(wire: socket.socket) -> bool:
    return wire.recv(1) == b""


def read_all(wire: socket.socket) -> bytes:
    with wire.makefile("rb") as stream:
        return stream.read()


@pytest.fixture
def wire(sandbox: Sandbox) -> Iterator[socket.socket]:
    """A connection to the sandbox."""
    with connect(sandbox) as connection:
        yield connection


@pytest.mark.parametrize("method", ["PATCH", "POST", "DELETE", "HUNT"])
def test_connection_survives_a_refused_body(
    sandbox: Sandbox, wire: socket.socket, method: str
) -> None:
    """The body of a refused request is not taken for the next request."""
    body = request(sandbox, "DELETE") * 100
    for key in (sandbox.api_key, "wrong"):
        refused = request(sandbox, method, body).replace(sandbox.api_key.encode(), key.encode(), 1)
        assert exchange(wire, refused) in {(status, "keep-alive") for status in (401, 405, 415)}
        assert exchange(wire, request(sandbox, "GET")) == (200, "keep-alive")


def test_requests_may_be_sent_ahead(sandbox: Sandbox, wire: socket.socket) -> None:
    """Requests that wait on a connection are served in turn, until one asks for its end."""
    last = request(sandbox, "GET", framing="Connection: close")
    wire.sendall(request(sandbox, "GET") * 2 + last)
    assert read_all(wire).count(b"HTTP/1.1 200 OK\r\n") == 3


def test_head_is_get_without_the_body(sandbox: Sandbox, wire: socket.socket) -> None:
    """HEAD gets GET's headers, its length included, and nothing after them."""
    wire.sendall(request(sandbox, "HEAD", framing="Connection: close"))
    head = read_all(wire)
    with connect(sandbox) as other:
        other.sendall(request(sandbox, "GET", framing="Connection: close"))
        response, _, body = read_all(other).partition(b"\r\n\r\n")
    assert head.endswith(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}\r\n".encode() in head
    assert response.splitlines()[0] == head.splitlines()[0] == b"HTTP/1.1 200 OK"


def test_response_is_one_write_without_delay(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Headers and body are sent at once: a second write would wait for the client's system."""
    accepted: list[socket.socket] = []
    get_request = Server.get_request

    def noted(server: Server) -> Any:
        accepted.append(get_request(server)[0])
        return accepted[-1], accepted[-1].getpeername()

    monkeypatch.setattr(Server, "get_request", noted)
    with connect(sandbox) as wire:
        wire.sendall(request(sandbox, "GET"))
        assert wire.recv(MIB).endswith(b"}")
        (connection,) = accepted
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize(
    ("framing", "status"),
    [
        ("Transfer-Encoding: gzip", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 4", 400),
        ("Content-Length: 4\r\nContent-Length: 40", 400),
        ("Content-Length: -1", 400),
        ("Content-Length: +4", 400),
        ("Content-Length: 0x4", 400),
        ("Content-Length: \xb2", 400),
        (f"Content-Length: {'9' * 5000}", 400),
        (f"Content-Length: {MIB + 1}", 413),
        ("\r\n".join(f"X-{number}: x" for number in range(200)), 431),
        (f"X: {'x' * 70_000}", 431),
    ],
)
def test_unusable_framing_ends_the_connection(
    sandbox: Sandbox, wire: socket.socket, framing: str, status: int
) -> None:
    """A body whose length is unknown, doubtful or too large is refused, and nothing is read on."""
    content = request(sandbox, "POST", b"0\r\n\r\n", framing) + request(sandbox, "GET")
    assert exchange(wire, content) == (status, "close")
    assert is_closed(wire)


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/3.0\r\n\r\n", 505),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
    ],
)
def test_what_is_no_request_gets_an_envelope(
    wire: socket.socket, content: bytes, status: int
) -> None:
    """Bytes that are not HTTP/1.1 get a response like other errors."""
    assert exchange(wire, content) == (status, "close")


def test_largest_body_is_one_mebibyte(sandbox: Sandbox, wire: socket.socket) -> None:
    """A body of 1 MiB is read; the sender of a far larger one still gets to see the response."""
    framing = f"Content-Type: application/json\r\nContent-Length: {MIB}"
    body = json.dumps({"name": "x" * (MIB - 12)}).encode()
    assert exchange(wire, request(sandbox, "POST", body, framing)) == (200, "keep-alive")
    assert exchange(wire, request(sandbox, "POST", b"x" * 8 * MIB)) == (413, "close")


def test_half_a_request_does_nothing(sandbox: Sandbox, wire: socket.socket) -> None:
    """A client that hangs up amid its body gets no response, and its request is not carried out."""
    framing = "Content-Type: application/json\r\nContent-Length: 3"
    wire.sendall(request(sandbox, "POST", b"{}", framing))
    wire.shutdown(socket.SHUT_WR)
    assert is_closed(wire)
    with connect(sandbox) as other:
        other.sendall(request(sandbox, "GET"))
        assert b'"tokens": []' in other.recv(MIB)


def test_http_1_0_is_answered_once(sandbox: Sandbox, wire: socket.socket) -> None:
    """An old client gets its response and the end of the connection."""
    assert exchange(wire, request(sandbox, "GET").replace(b"/1.1", b"/1.0")) == (200, "close")
    assert is_closed(wire)


def test_sixteen_threads_get_their_own_responses(sandbox: Sandbox) -> None:
    """Writes of many connections at once are all kept, and no response goes astray."""

    def create(thread: int) -> list[tuple[int, str]]:
        connection = HTTPConnection(urlsplit(sandbox.url).netloc)
        created = []
        for number in range(20):
            name = f"{thread}-{number}"
            connection.request("POST", PATH, json.dumps({"name": name}), headers)
            response = json.load(connection.getresponse())["data"]["token"]
            assert response["name"] == name
            created.append((response["id"], name))
        connection.close()
        return created

    headers = {"Authorization": f"apiKey {sandbox.api_key}", "Content-Type": "application/json"}
    with ThreadPoolExecutor(16) as pool:
        created = [one for some in pool.map(create, range(16)) for one in some]
    connection = HTTPConnection(urlsplit(sandbox.url).netloc)
    connection.request("GET", PATH, headers=headers)
    tokens = json.load(connection.getresponse())["data"]["tokens"]
    connection.close()
    assert sorted(created) == [(token["id"], token["name"]) for token in tokens]
    assert (
        len({token["token"] for token in tokens}) == len({token["id"] for token in tokens}) == 320
    )


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[Sandbox]:
    """A sandbox with TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with Sandbox(ssl_context=context) as sandbox:
        yield sandbox


def ask_securely(sandbox: Sandbox, authority: trustme.CA, times: int = 1) -> list[int]:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    connection = HTTPSConnection(urlsplit(sandbox.url).netloc, context=context, timeout=30)
    statuses = []
    for _ in range(times):
        connection.request("GET", PATH, headers={"Authorization": f"apiKey {sandbox.api_key}"})
        with connection.getresponse() as response:
            response.read()
            statuses.append(response.status)
    connection.close()
    return statuses


def test_tls_is_served(secure: Sandbox, authority: trustme.CA) -> None:
    """With a context the URL is https, and connections stay open there too."""
    assert secure.url.startswith("https://127.0.0.1:")
    assert ask_securely(secure, authority, times=3) == [200, 200, 200]


def test_silent_client_holds_up_nobody(secure: Sandbox, authority: trustme.CA) -> None:
    """Who connects and does not begin its handshake delays neither others nor the end."""
    with connect(secure) as silent:
        assert ask_securely(secure, authority) == [200]
        secure.close()
        assert b"HTTP" not in read_all(silent)


def test_failed_handshakes_are_quiet(
    secure: Sandbox,
    authority: trustme.CA,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Clients that distrust the certificate, or speak no TLS, harm nobody and print nothing."""
    with pytest.raises(ssl.SSLCertVerificationError):
        ask_securely(secure, trustme.CA())
    with connect(secure) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert b"HTTP" not in read_all(plain)
    assert ask_securely(secure, authority) == [200]
    secure.close()
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []  # of warnings or worse


def test_library_use_is_quiet(
    sandbox: Sandbox, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Requests, wrong ones and resets print nothing, and only our own logger is used."""
    caplog.set_level(logging.DEBUG)
    with connect(sandbox) as wire:
        exchange(wire, request(sandbox, "GET") + b"nonsense\r\n\r\n")
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with connect(sandbox) as wire:
        assert exchange(wire, b"GET /\x1b[31m?secret HTTP/1.0\r\n\r\n") == (401, "close")
    assert capfd.readouterr() == ("", "")
    assert {record.name for record in caplog.records} == {"stcloud.sandbox"}
    assert "secret" not in caplog.text
    assert "\x1b" not in caplog.text


def test_unread_bytes_are_not_awaited_for_ever(
    sandbox: Sandbox,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who was hung up on and stays connected is dropped, without a word on the terminal."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr("stcloud.sandbox.server._PATIENCE", 0.01)
    with connect(sandbox) as wire:
        wire.sendall(b"nonsense\r\n\r\n")
        assert read_all(wire)
        while "timed out" not in caplog.text:
            time.sleep(0.01)
    assert capfd.readouterr() == ("", "")
