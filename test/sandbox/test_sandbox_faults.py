"""The faults of a sandbox, as seen on the wire, in plain text and over TLS."""

import json
import math
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme

import stcloud
from stcloud.sandbox import Fault, Sandbox

PATH = "/users-web/api/v3/apps/789/tokens"
CREATE = "create_app_token"


class Peer:
    """Talks to one sandbox over raw sockets."""

    def __init__(self, sandbox: Sandbox, trust: ssl.SSLContext | None) -> None:
        where = urlsplit(sandbox.url)
        self.sandbox = sandbox
        self.address = where.hostname or "", where.port or 0
        self._trust = trust

    def connect(self) -> socket.socket:
        plain = socket.create_connection(self.address, timeout=30)
        if not self._trust:
            return plain
        return self._trust.wrap_socket(plain, server_hostname=self.address[0])

    def send(self, method: str = "POST", key: str = "", body: bytes = b"{}") -> socket.socket:
        wire = self.connect()
        lines = (
            f"{method} {PATH} HTTP/1.1",
            f"Authorization: apiKey {key or self.sandbox.api_key}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}\r\n\r\n",
        )
        wire.sendall("\r\n".join(lines).encode() + body)
        return wire

    def receive(self, **request: Any) -> bytes:
        """Return all that comes until the server hangs up."""
        received = b""
        with self.send(**request) as wire:
            while data := wire.recv(65536):
                received += data
        return received

    def expect_reset(self) -> None:
        with self.send() as wire, pytest.raises(ConnectionResetError):
            # below TLS, which would call it an end
            all(iter(lambda: socket.socket.recv(wire, 65536), b""))

    def response(self, method: str = "POST") -> tuple[int, dict[str, str], bytes]:
        with self.send(method) as wire:
            response = HTTPResponse(wire)
            response.begin()
            return response.status, dict(response.getheaders()), response.read()

    def tokens(self) -> int:
        return len(json.loads(self.response("GET")[2])["data"]["tokens"])


@pytest.fixture(scope="module")
def secure_sandbox(authority: trustme.CA) -> Iterator[Sandbox]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with Sandbox(ssl_context=context) as sandbox:
        yield sandbox


@pytest.fixture(params=["plain", "secure"])
def peer(
    request: pytest.FixtureRequest,
    sandbox: Sandbox,
    secure_sandbox: Sandbox,
    authority: trustme.CA,
) -> Peer:
    """A peer of the sandbox in plain text, and one of a sandbox over TLS."""
    if request.param == "plain":
        return Peer(sandbox, None)
    secure_sandbox.reset()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return Peer(secure_sandbox, context)


@pytest.mark.parametrize("committed", [False, True])
def test_reset(peer: Peer, committed: bool) -> None:
    """The connection is reset without a response, before or after the write."""
    peer.sandbox.fail_next(CREATE, Fault.reset(committed=committed))
    peer.expect_reset()
    assert peer.tokens() == committed


def test_lost_response(peer: Peer) -> None:
    """The write is committed, and the connection reset."""
    peer.sandbox.fail_next(CREATE, Fault.lost_response())
    peer.expect_reset()
    assert peer.tokens() == 1


@pytest.mark.parametrize("committed", [False, True])
def test_hang_up(peer: Peer, committed: bool) -> None:
    """The connection ends without a response, before or after the write."""
    peer.sandbox.fail_next(CREATE, Fault.hang_up(committed=committed))
    assert peer.receive() == b""
    assert peer.tokens() == committed


@pytest.mark.parametrize("committed", [False, True])
def test_hang(peer: Peer, committed: bool) -> None:
    """Nothing comes for a while, then the connection ends."""
    peer.sandbox.fail_next(CREATE, Fault.hang(0.2, committed=committed))
    start = time.monotonic()
    assert peer.receive() == b""
    assert time.monotonic() - start >= 0.2
    assert peer.tokens() == committed


def test_drip(peer: Peer) -> None:
    """Head and body come byte by byte, and the connection stays open."""
    peer.sandbox.fail_next(CREATE, Fault.drip(0.0005))
    start = time.monotonic()
    with peer.send() as wire:
        received = [wire.recv(65536)]
        while not received[-1].endswith(b"}") or b"true}" not in b"".join(received[-5:]):
            received.append(wire.recv(65536))
        wire.sendall(b"nonsense\r\n\r\n")
        assert wire.recv(12) == b"HTTP/1.1 400"
    assert len(received) > 100
    assert time.monotonic() - start > 0.1
    assert peer.tokens() == 1


def test_drip_or_cut_before_the_write(peer: Peer) -> None:
    """Where the operation does not run, the response that drips or is cut off says so."""
    peer.sandbox.fail_next(CREATE, Fault.drip(0, committed=False))
    peer.sandbox.fail_next(CREATE, Fault.cut_body(committed=False))
    assert peer.response()[0] == 503
    assert peer.receive().startswith(b"HTTP/1.1 503 ")
    assert peer.tokens() == 0


def test_cut_body(peer: Peer) -> None:
    """Half of the announced body comes, then the connection ends."""
    peer.sandbox.fail_next(CREATE, Fault.cut_body())
    head, _, body = peer.receive().partition(b"\r\n\r\n")
    (length,) = [line for line in head.split(b"\r\n") if line.startswith(b"Content-Length: ")]
    assert head.startswith(b"HTTP/1.1 200 ")
    assert len(body) == int(length.split()[1]) // 2 > 50
    assert peer.tokens() == 1


@pytest.mark.parametrize("committed", [False, True])
def test_status(peer: Peer, committed: bool) -> None:
    """The envelope of a failure comes with the status and headers that were set."""
    fault = Fault.status(503, headers={"Retry-After": "1"}, committed=committed)
    peer.sandbox.fail_next(CREATE, fault)
    status, headers, body = peer.response()
    envelope = json.loads(body)
    assert (status, headers["Retry-After"]) == (503, "1")
    assert (envelope["success"], envelope["errors"][0]["code"]) == (False, "SERVICE_UNAVAILABLE")
    assert set(envelope) == {"data", "errors", "message", "success"}
    assert peer.tokens() == committed


def test_status_without_content(peer: Peer) -> None:
    """A status that never has a body comes without one."""
    peer.sandbox.fail_next(CREATE, Fault.status(204, committed=True))
    status, headers, body = peer.response()
    assert (status, headers["Content-Length"], body) == (204, "0", b"")


@pytest.mark.parametrize("committed", [False, True])
def test_garbage(peer: Peer, committed: bool) -> None:
    """The bytes that were set come instead of HTTP, then the connection ends."""
    peer.sandbox.fail_next(CREATE, Fault.garbage(b"\xff\x00", committed=committed))
    assert peer.receive() == b"\xff\x00"
    assert peer.tokens() == committed


@pytest.mark.parametrize("committed", [False, True])
def test_body(peer: Peer, committed: bool) -> None:
    """A 200 comes with the body that was set."""
    peer.sandbox.fail_next(CREATE, Fault.body(b"<html>", committed=committed))
    status, _, body = peer.response()
    assert (status, body) == (200, b"<html>")
    assert peer.tokens() == committed


def test_refusing(peer: Peer) -> None:
    """Open connections end and new ones are refused, until it is over; the port stays."""
    peer.sandbox.fail_next("get_app_tokens1", Fault.hang(50))
    with peer.connect() as idle, peer.send("GET") as busy:
        wait_until(lambda: peer.sandbox.pending_faults == 0)
        with peer.sandbox.refusing():
            assert idle.recv(1) == busy.recv(1) == b""
            for _ in range(3):
                with pytest.raises(ConnectionRefusedError):
                    peer.connect()
            with pytest.raises(RuntimeError, match="already"), peer.sandbox.refusing():
                pass
    with pytest.raises(ZeroDivisionError), peer.sandbox.refusing():
        raise ZeroDivisionError
    assert peer.tokens() == 0


def test_close_while_refusing() -> None:
    """A sandbox that is closed meanwhile does not listen again."""
    sandbox = Sandbox()
    sandbox.start()
    peer = Peer(sandbox, None)
    with sandbox.refusing():
        sandbox.close()
    with pytest.raises(ConnectionRefusedError):
        peer.connect()


@pytest.mark.parametrize("fault", [Fault.hang(50), Fault.drip(50)])
def test_close_ends_a_wait(fault: Fault) -> None:
    """Closing the sandbox ends at once what hangs or drips."""
    with Sandbox() as sandbox:
        peer = Peer(sandbox, None)
        sandbox.fail_next(None, fault)
        start = time.monotonic()
        with peer.send() as wire:
            wait_until(lambda: sandbox.pending_faults == 0)
            sandbox.close()
            assert wire.recv(1) == b""
    assert time.monotonic() - start < 25
    assert not any(thread.name.endswith("(_handle_connection)") for thread in threading.enumerate())


@pytest.mark.parametrize("fault", [Fault.hang(50), Fault.drip(50)])
def test_wait_ends_with_the_client(peer: Peer, fault: Fault) -> None:
    """A client that gives up leaves no thread behind it that waits on."""
    threads = threading.active_count()
    peer.sandbox.fail_next(None, fault)
    with peer.send():
        wait_until(lambda: peer.sandbox.pending_faults == 0)
        assert threading.active_count() > threads
    wait_until(lambda: threading.active_count() <= threads)


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 25
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_faults_happen_in_order_to_their_operation(peer: Peer) -> None:
    """A request meets the oldest fault that is its operation's or anyone's."""
    sandbox = peer.sandbox
    sandbox.fail_next("get_app_tokens1", Fault.status(500), times=2)
    sandbox.fail_next(CREATE, Fault.status(502))
    sandbox.fail_next(None, Fault.status(504), times=2)
    assert sandbox.pending_faults == 5
    statuses = [peer.response(method)[0] for method in ("POST", "POST", "GET", "GET", "GET", "GET")]
    assert statuses == [502, 504, 500, 500, 504, 200]
    assert sandbox.pending_faults == 0


def test_only_real_operations_meet_faults(peer: Peer) -> None:
    """A wrong key, path or body is refused as always, and no fault is used up."""
    peer.sandbox.fail_next(None, Fault.reset())
    with peer.send(key="wrong") as one, peer.send("PATCH") as other, peer.send(body=b"{") as third:
        assert [wire.recv(12)[9:] for wire in (one, other, third)] == [b"401", b"405", b"400"]
    assert peer.sandbox.pending_faults == 1
    peer.sandbox.reset()
    assert peer.sandbox.pending_faults == peer.tokens() == 0


def test_failing_operation_meets_its_fault() -> None:
    """The response of an operation that finds no token can be lost as well."""
    with Sandbox() as sandbox:
        sandbox.fail_next("delete_app_token1", Fault.hang_up(committed=True))
        where = urlsplit(sandbox.url)
        with socket.create_connection((where.hostname or "", where.port or 0)) as wire:
            key = f"Authorization: apiKey {sandbox.api_key}"
            wire.sendall(f"DELETE {PATH}/1 HTTP/1.1\r\n{key}\r\n\r\n".encode())
            assert wire.recv(1) == b""


def test_mistakes_are_told(sandbox: Sandbox) -> None:
    """A wrong name, count or status is a ValueError, which lists the names there are."""
    with pytest.raises(ValueError, match="'create'; there are get_app_tokens1, create_app_token,"):
        sandbox.fail_next("create", Fault.reset())
    with pytest.raises(ValueError, match="times"):
        sandbox.fail_next(None, Fault.reset(), times=0)
    for status in (100, 299, 1000):
        with pytest.raises(ValueError, match=str(status)):
            Fault.status(status)
    for of_a_body in (Fault.body, Fault.garbage):
        with pytest.raises(TypeError, match="content must be bytes, not str"):
            of_a_body("{}")  # type: ignore[arg-type]
    for of_a_wait in (Fault.hang, Fault.late, Fault.drip):
        for seconds in (-1, math.inf, math.nan, 1e10):
            with pytest.raises(ValueError, match="seconds must be from 0 to 86400, not"):
                of_a_wait(seconds)
        with pytest.raises(TypeError, match="seconds must be int, not str"):
            of_a_wait("1")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="headers must be Mapping, not str"):
        Fault.status(503, "Retry-After: 1")  # type: ignore[arg-type]
    for pair in ((5, "x"), (b"X", "x"), ("X", 1), ("X", None)):
        with pytest.raises(TypeError, match="headers' names and values must be str, not"):
            Fault.status(503, dict([pair]))  # type: ignore[list-item]
    for text in ("two\nlines", "\u00fc"):
        with pytest.raises(ValueError, match="headers must be printable ASCII"):
            Fault.status(503, {"X": text})
    for name in ("", "A B", "A:", "\u00fc", "A\n"):
        with pytest.raises(ValueError, match="headers must have names of HTTP, not"):
            Fault.status(503, {name: "x"})
    with pytest.raises(TypeError, match="times must be int, not str"):
        sandbox.fail_next(None, Fault.reset(), times="2")  # type: ignore[arg-type]
    assert sandbox.pending_faults == 0


def test_headers_of_a_fault_replace_the_usual_ones(
    api: stcloud.TokensApiControllerApi, sandbox: Sandbox
) -> None:
    """Whatever their case, and each is sent once."""
    headers = {"content-type": "text/plain", "date": "Mon, 30 Nov 2026 12:00:00 GMT"}
    retry_after = {"Retry-After": "Mon, 30 Nov 2026 12:02:00 GMT"}
    sandbox.fail_next(None, Fault.status(400, headers | retry_after))
    with pytest.raises(stcloud.BadRequestException) as raised:
        api.get_app_tokens1(789)
    assert raised.value.headers is not None
    assert raised.value.headers["Content-Type"] == "text/plain"
    assert raised.value.retry_after == 120


def test_fault_is_plain_data() -> None:
    """Faults compare, hash and print as what they are."""
    assert Fault.lost_response() == Fault.reset(committed=True)
    assert len({Fault.status(503, {"Retry-After": "1"}), Fault.hang(1), Fault.hang(1)}) == 2
    assert "seconds=1" in repr(Fault.hang(1))


def test_page_lists_the_faults() -> None:
    """The table of docs/testing.md has every fault, and says rightly whether it is committed."""
    page = (Path(__file__).parents[2] / "docs" / "testing.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(Fault\.(\w+)\(.*\))` \| .* \| (yes|no) \|$", page, re.MULTILINE)
    listed = {name: (eval(call).committed, done) for call, name, done in rows}  # noqa: S307  # ours
    makers = {name for name, kind in vars(Fault).items() if isinstance(kind, classmethod)}
    assert listed.keys() == makers
    assert set(listed.values()) == {(True, "yes"), (False, "no")}


def test_threads_share_the_faults(sandbox: Sandbox) -> None:
    """However many connections take faults at once, each is met once."""
    peer, statuses = Peer(sandbox, None), list[int]()
    sandbox.fail_next(None, Fault.status(500), times=40)
    threads = [
        threading.Thread(target=lambda: statuses.extend(peer.response()[0] for _ in range(10)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (statuses.count(500), statuses.count(200), peer.tokens()) == (40, 40, 40)
