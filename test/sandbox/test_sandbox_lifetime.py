"""How a sandbox begins and ends, and what is left of it."""

import json
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme

from stcloud.sandbox import Sandbox
from stcloud.sandbox.server import Server
from stcloud.sandbox.store import Store, Token

PATH = "/users-web/api/v3/apps/789/tokens"


def send(
    sandbox: Sandbox,
    method: str = "GET",
    name: str | None = None,
    context: ssl.SSLContext | None = None,
    path: str = PATH,
) -> HTTPConnection:
    netloc = urlsplit(sandbox.url).netloc
    connection = HTTPSConnection(netloc, context=context) if context else HTTPConnection(netloc)
    headers = {"Authorization": f"apiKey {sandbox.api_key}", "Content-Type": "application/json"}
    connection.request(method, path, json.dumps({"name": name}), headers)
    return connection


def call(sandbox: Sandbox, method: str = "GET", name: str | None = None) -> Any:
    with closing(send(sandbox, method, name)) as connection, connection.getresponse() as response:
        assert response.status == 200
        return json.load(response)["data"]


def test_defaults_are_of_ones_own() -> None:
    """Each sandbox has a free port, a random key and the app 789."""
    with Sandbox() as one, Sandbox() as other:
        assert one.url.startswith("http://127.0.0.1:")
        assert one.url != other.url
        assert one.api_key != other.api_key
        assert one.app_id == other.app_id == 789
        call(one, "POST")
        assert call(other) == {"tokens": []}


def test_settings_are_taken() -> None:
    """Key and app are those that were passed."""
    with Sandbox(api_key="YOUR_API_KEY", app_id=789) as sandbox:
        assert sandbox.api_key == "YOUR_API_KEY"
        assert call(sandbox) == {"tokens": []}


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_ipv6_is_served() -> None:
    """The URL of an IPv6 address has it in brackets."""
    with Sandbox(host="::1") as sandbox:
        assert sandbox.url.startswith("http://[::1]:")
        assert call(sandbox) == {"tokens": []}


@pytest.mark.parametrize("app_id", [0, -1, 2**63])
def test_impossible_apps_are_refused(sandbox: Sandbox, app_id: int) -> None:
    """An app's id is a positive 64-bit integer."""
    with pytest.raises(ValueError, match="positive 64-bit"):
        Sandbox(app_id=app_id)
    with pytest.raises(ValueError, match="positive 64-bit"):
        sandbox.add_app(app_id)


def test_app_may_be_added_twice(sandbox: Sandbox) -> None:
    """Adding an app that exists changes nothing."""
    call(sandbox, "POST")
    sandbox.add_app(789)
    assert len(call(sandbox)["tokens"]) == 1


def test_close_ends_everything() -> None:
    """After it nothing listens, no thread is left, and idle clients see the end."""
    threads = set(threading.enumerate())
    sandbox = Sandbox()
    sandbox.start()
    where = urlsplit(sandbox.url)
    address = where.hostname or "", where.port or 0
    with socket.create_connection(address) as idle, socket.create_connection(address) as slow:
        slow.sendall(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n123")
        call(sandbox)
        sandbox.close()
        assert idle.recv(1) == slow.recv(1) == b""
    assert set(threading.enumerate()) <= threads
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    sandbox.close()


def test_close_lets_responses_finish(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request in flight when connections are hung up gets its response, over TLS too."""
    begun = threading.Event()
    address: list[tuple[str, int]] = []
    tokens = Store.tokens

    def slowly(store: Store, app_id: int) -> list[Token]:
        begun.set()
        with suppress(ConnectionRefusedError, ConnectionResetError):  # it accepts no more
            while True:
                socket.create_connection(address[0]).close()
                time.sleep(0.01)
        time.sleep(0.1)  # for a close that does not wait to come first
        return tokens(store, app_id)

    monkeypatch.setattr(Store, "tokens", slowly)
    authority = trustme.CA()
    context, trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(trust)
    with Sandbox(ssl_context=context) as sandbox, ExitStack() as stack:
        address.append(("127.0.0.1", int(sandbox.url.rpartition(":")[2])))
        client = stack.enter_context(closing(send(sandbox, context=trust)))
        begun.wait()
        sandbox.close()
        with client.getresponse() as response:
            assert (response.status, response.getheader("Connection")) == (200, "close")


def test_reset_leaves_no_request_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that its client has abandoned changes no token of the time after."""
    begun = threading.Event()
    update = Store.update

    def slowly(*arguments: Any) -> Token:
        begun.set()
        time.sleep(0.2)
        return update(*arguments)

    monkeypatch.setattr(Store, "update", slowly)
    with Sandbox() as sandbox:
        call(sandbox, "POST", name="first")
        client = send(sandbox, "PUT", "late", path=f"{PATH}/1001")
        begun.wait()
        client.close()
        sandbox.reset()
        call(sandbox, "POST", name="second")
        time.sleep(0.3)
        assert [token["name"] for token in sandbox.tokens()] == ["second"]


def test_close_does_not_wait_for_who_does_not_read() -> None:
    """A client that leaves a large response unread cannot keep the sandbox from closing."""
    with Sandbox() as sandbox:
        for _ in range(16):
            call(sandbox, "POST", name="x" * 1_000_000)
        where = urlsplit(sandbox.url)
        with socket.create_connection((where.hostname or "", where.port or 0)) as deaf:
            key = f"Authorization: apiKey {sandbox.api_key}"
            deaf.sendall(f"GET {PATH} HTTP/1.1\r\n{key}\r\n\r\n".encode())
            assert deaf.recv(1) == b"H"
            sandbox.close()


def test_closed_sandbox_says_so() -> None:
    """What needs a running sandbox says how to get one; starting again works."""
    sandbox = Sandbox()
    for use in (lambda: sandbox.url, sandbox.reset, lambda: sandbox.add_app(1)):
        with pytest.raises(RuntimeError, match="start"):
            use()
    for _ in range(2):
        with sandbox:
            assert call(sandbox) == {"tokens": []}
            with pytest.raises(RuntimeError, match="running already"):
                sandbox.start()


def test_forgotten_sandbox_stops_nobody() -> None:
    """A program that closes neither sandbox nor connection ends all the same."""
    program = (
        "from http.client import HTTPConnection; from stcloud.sandbox import Sandbox\n"
        "sandbox = Sandbox(); sandbox.start()\n"
        "idle = HTTPConnection(sandbox.url.removeprefix('http://'))\n"
        "idle.request('GET', '/'); idle.getresponse().read()"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=50)


def test_port_in_use_is_an_error_that_leaves_nothing(tmp_path: Path, sandbox: Sandbox) -> None:
    """A sandbox that cannot listen closes its database and can be started again."""
    other = Sandbox(port=urlsplit(sandbox.url).port or 0, database=tmp_path / "tokens.sqlite3")
    for _ in range(2):
        with pytest.raises(OSError, match="in use"):
            other.start()
        assert [path.name for path in tmp_path.iterdir()] == ["tokens.sqlite3"]


def test_file_keeps_apps_and_tokens(tmp_path: Path) -> None:
    """A database in a file has everything when it is opened again, and only the file is left."""
    path = tmp_path / "tokens.sqlite3"
    with Sandbox(database=path) as sandbox:
        created = call(sandbox, "POST", name="kept")["token"]
    assert [path] == list(tmp_path.iterdir())
    with Sandbox(database=str(path), app_id=1) as sandbox:
        assert call(sandbox) == {"tokens": [created]}
        assert call(sandbox, "POST")["token"]["id"] == 1002


def test_other_programs_databases_are_left_alone(tmp_path: Path) -> None:
    """A database that is not a sandbox's is refused, and not a byte of it is changed."""
    path = tmp_path / "other.sqlite3"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE precious (x)")
    before = path.read_bytes()
    with pytest.raises(sqlite3.Error, match="another program"):
        Sandbox(database=path).start()
    assert path.read_bytes() == before


def test_file_is_written_ahead(tmp_path: Path) -> None:
    """A database in a file uses SQLite's write-ahead log."""
    path = tmp_path / "tokens.sqlite3"
    with Sandbox(database=path), closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_reset_ends_what_nobody_has_accepted_yet() -> None:
    """A request that was sent before it is not carried out afterwards."""
    with Sandbox() as sandbox, ExitStack() as stack:
        for _ in range(300):
            connection = stack.enter_context(closing(send(sandbox, "POST", "early")))
            sandbox.reset()
            assert sandbox.tokens() == []
            with suppress(OSError, HTTPException):
                connection.getresponse()
            assert sandbox.tokens() == []


def test_reset_waits_for_a_connection_whose_thread_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """It joins no thread that has not started."""
    start, begun = threading.Thread.start, threading.Event()

    def start_late(thread: threading.Thread) -> None:
        if "_handle_connection" in thread.name:
            begun.set()
            time.sleep(0.2)
        start(thread)

    with Sandbox() as sandbox:
        monkeypatch.setattr(threading.Thread, "start", start_late)
        with closing(send(sandbox)):
            assert begun.wait(20)
            sandbox.reset()
        monkeypatch.undo()


def test_connection_that_is_being_accepted_is_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the system's queue and its thread."""
    accepted, go_on, process = threading.Event(), threading.Event(), Server.process_request

    def process_late(*arguments: Any) -> None:
        accepted.set()
        go_on.wait(20)
        process(*arguments)

    monkeypatch.setattr(Server, "process_request", process_late)
    with Sandbox() as sandbox, closing(send(sandbox, "POST", "early")) as connection:
        assert accepted.wait(20)
        sandbox.reset()
        go_on.set()
        with pytest.raises((OSError, HTTPException)):
            connection.getresponse()
        assert sandbox.tokens() == []
