"""The pool of connections: fair, re-entrant, and without connections that ended meanwhile."""

import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from queue import Empty
from typing import Any

import pytest
from scripted_server import Reply, ScriptedServer, response

import stcloud
from stcloud._transport.slots import ConnectionQueue
from stcloud.sandbox import Sandbox

Api = stcloud.TokensApiControllerApi
Connect = Callable[..., Api]
DONE = response(b'{"success": true}')


class Slot:
    """Stands for a connection."""

    idle_since = 0.0
    is_closed = False

    def close(self) -> None:
        self.is_closed = True


def test_longest_waiter_is_next() -> None:
    """Slots go to the waiters in the order in which they came, and nobody overtakes them."""
    queue = ConnectionQueue(1)
    first = queue.get()
    served: list[int] = []

    def wait(number: int) -> None:
        slot = queue.get(timeout=20)
        served.append(number)
        queue.put(slot)

    threads: list[threading.Thread] = []
    for number in range(5):
        threads.append(threading.Thread(target=wait, args=[number]))
        threads[-1].start()
        time.sleep(0.05)
    with pytest.raises(Empty):
        queue.get(timeout=0.01)
    queue.put(first)
    for thread in threads:
        thread.join(20)
    assert served == [0, 1, 2, 3, 4]


class Interrupted(ConnectionQueue):
    """A queue whose ``put`` is interrupted between its two steps by another caller's ``get``."""

    has_overtaken = False

    def _serve_waiters(self) -> None:
        if self.qsize():
            with suppress(Empty):
                self.get(block=False)
                self.has_overtaken = True
        super()._serve_waiters()


def test_slot_on_its_way_to_a_waiter_is_not_taken() -> None:
    """Who comes between the two steps of ``put`` waits behind those who wait."""
    queue = Interrupted(1)
    slot = queue.get()
    with ThreadPoolExecutor(1) as executor:
        waiter = executor.submit(queue.get, timeout=20)
        while not queue._waiters:
            time.sleep(0.01)
        queue.put(slot)
        waiter.result(20)
    assert not queue.has_overtaken


def test_last_used_connection_is_first() -> None:
    """So few connections stay open; one too many is closed."""
    queue = ConnectionQueue(2)
    assert [queue.get(block=False), queue.get(block=False)] == [None, None]
    with pytest.raises(Empty):
        queue.get(block=False)
    one, two, three = Slot(), Slot(), Slot()
    for slot in (one, two, three, None):
        queue.put(slot)
    assert [slot.is_closed for slot in (one, two, three)] == [False, False, True]
    assert [queue.get(), queue.get()] == [two, one]


def test_only_old_idle_connections_are_closed() -> None:
    """Their slots stay."""
    queue = ConnectionQueue(2)
    queue.get(), queue.get()
    old, new = Slot(), Slot()
    new.idle_since = 2.0
    queue.put(old)
    queue.put(new)
    queue.close_idle(before=1.0)
    assert (old.is_closed, new.is_closed) == (True, False)
    assert [queue.get(block=False), queue.get(block=False)] == [new, old]


def test_no_slot_is_lost_or_given_twice() -> None:
    """Threads that give up, time out and hurry, all at once."""
    queue = ConnectionQueue(3)
    in_use: list[object] = []
    most = 0

    def work(number: int) -> None:
        nonlocal most
        for turn in range(300):
            try:
                slot = queue.get(timeout=0.0005 * ((number + turn) % 4))
            except Empty:
                continue
            in_use.append(number)
            most = max(most, len(in_use))
            in_use.remove(number)
            queue.put(slot)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(12) as pool:
            list(pool.map(work, range(12)))
    finally:
        sys.setswitchinterval(interval)
    assert 1 <= most <= 3
    assert [queue.get(block=False) for _ in range(3)] == [None] * 3
    with pytest.raises(Empty):
        queue.get(block=False)


def test_slot_that_comes_at_the_last_moment_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A waiter whose time is over, while it is being served, takes what it gets."""
    queue = ConnectionQueue(1)
    queue.get()
    slot = Slot()

    def wait(_: object, seconds: float) -> bool:
        if seconds == 5:
            queue.put(slot)
        return False

    monkeypatch.setattr("stcloud._transport.slots._Waiter.wait", wait)
    assert queue.get(timeout=5) is slot


def test_threads_have_equal_shares(sandbox: Sandbox, connect: Connect) -> None:
    """With more threads than connections nobody starves."""
    api = connect(connection_pool_maxsize=2)
    end = time.monotonic() + 1.5

    def work(_: int) -> int:
        calls = 0
        while time.monotonic() < end:
            api.get_app_tokens1(sandbox.app_id)
            calls += 1
        return calls

    with ThreadPoolExecutor(24) as pool:
        calls = list(pool.map(work, range(24)))
    assert min(calls) > 0
    assert max(calls) < 4 * min(calls) + 10


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
def test_call_in_a_signal_handler(sandbox: Sandbox, connect: Connect) -> None:
    """It comes amid another call of the same thread, in whatever step that is, and so do others."""
    api = connect()
    results: list[Any] = []
    delay = 0.0

    def call(depth: int = 0) -> Any:
        if depth < 3:  # or on a slow machine they would come amid each other without end
            signal.signal(signal.SIGALRM, lambda *_: results.append(call(depth + 1)))
            signal.setitimer(signal.ITIMER_REAL, delay)
        return api.get_app_tokens1(sandbox.app_id).success

    previous = signal.getsignal(signal.SIGALRM)
    try:
        for step in range(1, 101):
            delay = 20e-6 * step
            assert call()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert len(results) > 3
    assert all(results)


GREENLETS = """
from gevent import monkey
monkey.patch_all()
from gevent import spawn
"""
GREEN_THREADS = """
import warnings
warnings.filterwarnings("ignore", "(?s).*Eventlet is")
import eventlet
eventlet.monkey_patch()
from eventlet import spawn
"""
CALLS = """
import sys, stcloud

host, key = sys.argv[1:]
configuration = stcloud.Configuration(host=host, api_key=key, connection_pool_maxsize=2)
with stcloud.ApiClient(configuration) as client:
    api = stcloud.TokensApiControllerApi(client)
    jobs = [spawn(api.get_app_tokens1, 789) for _ in range(20)]
    for job in jobs:
        assert (job.get if hasattr(job, "get") else job.wait)().success
"""


@pytest.mark.parametrize(("library", "start"), [("gevent", GREENLETS), ("eventlet", GREEN_THREADS)])
def test_green_threads_share_a_client(sandbox: Sandbox, library: str, start: str) -> None:
    """Under gevent and eventlet the same queue waits without stopping the others."""
    pytest.importorskip(library, reason=f"{library} has no wheel for this Python")
    ran = subprocess.run(
        [sys.executable, "-c", start + CALLS, sandbox.url, sandbox.api_key],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.fixture
def served() -> Iterator[Callable[..., ScriptedServer]]:
    servers: list[ScriptedServer] = []

    def serve(*replies: Reply | bytes) -> ScriptedServer:
        servers.append(ScriptedServer(*replies).__enter__())
        return servers[-1]

    yield serve
    for server in servers:
        server.__exit__()


@pytest.mark.parametrize(
    ("settings", "headers", "pause", "connections"),
    [
        ({}, {}, 0.2, 1),
        ({"idle_timeout": 0.1}, {}, 0.2, 2),
        ({}, {"Keep_Alive": "timeout=1, max=100"}, 0.6, 2),
        ({}, {"Keep_Alive": "max=100, Timeout=9"}, 0.2, 1),
        ({}, {"Keep_Alive": "timeout=soon"}, 0.2, 1),
        ({"idle_timeout": 0.1}, {"Keep_Alive": "timeout=60"}, 0.2, 2),
    ],
    ids=str,
)
def test_idle_connection_is_not_used_for_long(
    settings: dict[str, Any],
    headers: dict[str, str],
    pause: float,
    connections: int,
    served: Callable[..., ScriptedServer],
) -> None:
    """``idle_timeout`` and the server's Keep-Alive end it before a call would use it."""
    server = served(response(b'{"success": true}', **headers))
    configuration = stcloud.Configuration(host=server.url, api_key="made-up", **settings)
    with stcloud.ApiClient(configuration) as client:
        api = Api(client)
        api.get_app_tokens1(5)
        time.sleep(pause)
        api.get_app_tokens1(5)
    assert server.connections == connections


def test_keep_alive_of_tcp_is_on(sandbox: Sandbox, connect: Connect) -> None:
    """The system notices a peer that has gone while a call waits for it."""
    seen: list[int] = []
    connect_socket = socket.socket.connect

    class Noted(socket.socket):
        def connect(self, address: Any) -> None:
            seen.append(self.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
            connect_socket(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "socket", Noted)
        assert connect().get_app_tokens1(sandbox.app_id).success
    assert seen
    assert all(seen)


def reset(connection: socket.socket) -> None:
    """Let a connection end with RST, when it is closed."""
    size = "HH" if sys.platform == "win32" else "ii"
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(size, 1, 0))


def read_request(connection: socket.socket) -> bytes:
    """Read a request; its body, if it has one, comes after the head."""
    request = connection.recv(65536)
    _, _, value = request.lower().partition(b"content-length: ")
    if value:
        head = request.index(b"\r\n\r\n") + 4
        while len(request) < head + int(value.partition(b"\r")[0]):
            request += connection.recv(65536)
    return request


class ForgetfulNat:
    """Relays connections to a server; those that it has forgotten are reset at the next byte."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._generation = 0
        self.opened = threading.Barrier(10)
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def forget(self) -> None:
        self._generation += 1

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                inner, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._relay, args=[inner]))
                self._threads[-1].start()

    def _relay(self, inner: socket.socket) -> None:
        generation = self._generation
        with inner, socket.create_connection(("127.0.0.1", self._port)) as outer:
            while request := read_request(inner):
                if generation == self._generation and not self.opened.broken:
                    with suppress(threading.BrokenBarrierError):
                        self.opened.wait(10)  # so that ten connections are used at once
                if generation != self._generation:
                    reset(inner)
                    return
                outer.sendall(request)
                inner.sendall(outer.recv(65536))

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(20)


def test_forgotten_connections_cost_one_attempt(served: Callable[..., ScriptedServer]) -> None:
    """If one of ten is dead, so are its siblings; the repeat costs nothing of the budget."""
    server = served(DONE)
    policy = stcloud.RetryPolicy(attempts=2, budget=0)
    with closing(ForgetfulNat(server.server_port)) as nat:
        configuration = stcloud.Configuration(host=nat.url, api_key="made-up", retries=policy)
        with stcloud.ApiClient(configuration) as client:
            api = Api(client)
            with ThreadPoolExecutor(10) as pool:
                list(pool.map(api.get_app_tokens1, [5] * 10))
            nat.opened.abort()
            assert server.connections == 10
            nat.forget()
            attempts = [api.get_app_tokens1_with_http_info(5).attempts for _ in range(2)]
            assert attempts == [2, 1]
            nat.opened = threading.Barrier(10)
            with ThreadPoolExecutor(10) as pool:  # over what were the siblings of the dead one
                made = list(pool.map(lambda _: api.create_app_token({"name": "x"}, 5), range(10)))
            assert [response.success for response in made] == [True] * 10
            nat.opened.abort()
            nat.forget()
            with pytest.raises(stcloud.ConnectionException) as raised:
                api.create_app_token({"name": "x"}, 5)
            assert (raised.value.attempts, raised.value.outcome_unknown) == (1, True)


def test_response_that_began_is_not_of_a_dead_connection() -> None:
    """If its beginning came, the service had the request: the repeat has its price."""

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(DONE)
            connection.recv(65536)
            connection.sendall(DONE[:9])
            time.sleep(0.3)  # until these bytes are read, which a reset would drop
            reset(connection)

    policy = stcloud.RetryPolicy(budget=0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=[listener])
        thread.start()
        host = f"http://127.0.0.1:{listener.getsockname()[1]}"
        configuration = stcloud.Configuration(host=host, api_key="made-up", retries=policy)
        with stcloud.ApiClient(configuration) as client:
            api = Api(client)
            api.get_app_tokens1(5)
            with pytest.raises(stcloud.ConnectionException) as raised:
                api.get_app_tokens1(5, _request_timeout=5)
        thread.join(20)
    assert type(raised.value) is stcloud.ConnectionException
    assert raised.value.attempts == 1


def test_raw_responses_may_be_more_than_the_pool_has_slots(
    sandbox: Sandbox, connect: Connect
) -> None:
    """The connections that have no slot are closed when their responses end."""
    api = connect(connection_pool_maxsize=2)
    kept: list[Any] = [
        api.get_app_tokens1(sandbox.app_id, _preload_content=False) for _ in range(5)
    ]
    assert [response.read()[:1] for response in kept] == [b"{"] * 5
    again: Any = api.get_app_tokens1(sandbox.app_id, _preload_content=False)
    with closing(again):
        assert again.status == 200


def test_restart_is_ridden_out(sandbox: Sandbox, connect: Connect) -> None:
    """A service that refuses connections for two seconds fails no call, of any operation."""
    api = connect(retries=stcloud.RetryPolicy())  # the waits, too, as they are by default
    api.get_app_tokens1(sandbox.app_id)

    def work(number: int) -> object:
        return api.create_app_token({"name": str(number)}, sandbox.app_id)

    with ThreadPoolExecutor(30) as pool:
        with sandbox.refusing():
            results = [pool.submit(work, number) for number in range(30)]
            time.sleep(2)
        created = [result.result(30) for result in results]
    assert len(created) == 30
    listed: Any = api.get_app_tokens1(sandbox.app_id)
    assert sorted(int(token.name) for token in listed.data.tokens) == list(range(30))
