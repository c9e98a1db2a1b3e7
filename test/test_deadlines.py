"""Nothing is sent after the deadline, every wait ends with it, and each text names its limit."""

import select
import signal
import socket
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from itertools import chain, islice, repeat
from typing import Any, NoReturn
from unittest import mock

import pytest
import trustme
from relay import Proxy
from scripted_server import Reply, ScriptedServer, response
from urllib3.exceptions import HTTPError

import stcloud
from stcloud._signals import raised_by_handler
from stcloud._transport.errors import cause_of_handler
from stcloud._transport.slots import ConnectionQueue
from stcloud.sandbox import Sandbox

Api = stcloud.TokensApiControllerApi


def connected(host: str, **settings: Any) -> Api:
    settings = {"api_key": "made-up-key", "retries": 0, **settings}
    return Api(stcloud.ApiClient(stcloud.Configuration(host=host, **settings)))


def failure(api: Api, call: Callable[[Api], object]) -> stcloud.ApiException:
    with closing(api.api_client), pytest.raises(stcloud.ApiException) as raised:
        call(api)
    return raised.value


def create(api: Api, **options: Any) -> object:
    return api.create_app_token({"name": "late"}, 789, **options)


def assert_not_sent(error: stcloud.ApiException, limit: str, sandbox: Sandbox) -> None:
    assert type(error) is stcloud.TimeoutException
    assert (error.outcome_unknown, error.status) == (False, 0)
    assert limit in str(error)
    api = connected(sandbox.url, api_key=sandbox.api_key)
    listed: Any = api.get_app_tokens1(789)
    api.api_client.close()
    assert listed.data.tokens == []


@pytest.mark.parametrize(
    ("settings", "options", "limit"),
    [
        ({"connect_timeout": 0.2}, {}, "connect_timeout=0.2 s"),
        ({"deadline": 0.2}, {}, "deadline=0.2 s"),
        ({}, {"_request_timeout": 0.2}, "_request_timeout=0.2 s"),
        ({}, {"_request_timeout": (0.2, 9)}, "_request_timeout[0]=0.2 s"),
    ],
    ids=str,
)
def test_slow_lookup_of_a_name(
    settings: dict[str, Any],
    options: dict[str, Any],
    limit: str,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The system's look-up has no timeout; what it finds too late is not used."""
    look_up = socket.getaddrinfo

    def slow(*arguments: Any, **named: Any) -> Any:
        time.sleep(0.4)
        return look_up(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", slow)
        api = connected(sandbox.url, api_key=sandbox.api_key, **settings)
        error = failure(api, lambda api: create(api, **options))
    assert_not_sent(error, limit, sandbox)


def test_wait_for_a_connection_that_ends_late(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that comes free just when the time is over sends nothing."""
    api = connected(sandbox.url, api_key=sandbox.api_key)
    api.get_app_tokens1(789)
    get = ConnectionQueue.get

    def slow(*arguments: Any, **named: Any) -> Any:
        connection = get(*arguments, **named)
        time.sleep(0.3)
        return connection

    monkeypatch.setattr(ConnectionQueue, "get", slow)
    error = failure(api, lambda api: create(api, _request_timeout=0.2))
    monkeypatch.undo()
    assert_not_sent(error, "_request_timeout=0.2 s", sandbox)


@contextmanager
def full_backlog() -> Iterator[tuple[str, int]]:
    """An address where connecting takes for ever."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(server.getsockname())
        try:
            yield server.getsockname()
        finally:
            for one in waiting:
                one.close()


def test_dead_first_address(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next address gets its share of ``connect_timeout``; all of them end with it."""
    port = int(sandbox.url.rpartition(":")[2])
    entry = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
    with full_backlog() as dead, monkeypatch.context() as patch:
        addresses = [(*entry, dead), (*entry, ("127.0.0.1", port))]
        patch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
        api = connected(sandbox.url, api_key=sandbox.api_key, connect_timeout=1)
        with closing(api.api_client):
            assert create(api)
        patch.setattr(socket, "getaddrinfo", lambda *_, **__: [(*entry, dead)] * 5)
        api = connected(sandbox.url, connect_timeout=0.5)
        began = time.monotonic()
        error = failure(api, create)
    assert time.monotonic() - began < 2
    assert "connecting took longer than connect_timeout=0.5 s" in str(error)


def trickle(listener: socket.socket, has_ended: threading.Event) -> None:
    """Send a large TLS record, byte by byte and without end, to each who connects."""
    connections: dict[socket.socket, Iterator[int]] = {}
    while not has_ended.is_set():
        for source in select.select([listener, *connections], [], [], 0.05)[0]:
            with suppress(OSError):
                if source is listener:
                    connections[listener.accept()[0]] = iter(())
                elif source.recv(65536):  # not before the client has begun, in a tunnel
                    connections[source] = chain(b"\x16\x03\x03\x3f\xff", repeat(2))
        for connection, record in connections.items():
            with suppress(OSError):
                connection.sendall(bytes(islice(record, 1)))
        has_ended.wait(0.05)
    for connection in connections:
        connection.close()


@pytest.fixture
def trickling() -> Iterator[str]:
    has_ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=trickle, args=(listener, has_ended))
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        has_ended.set()
        thread.join(10)


@pytest.mark.parametrize("way", ["direct", "tunnel", "tunnel in TLS", "proxy"])
def test_handshake_that_trickles(way: str, trickling: str, authority: trustme.CA) -> None:
    """TLS, also within a proxy's TLS, ends with the limit, however many bytes come meanwhile."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    settings: dict[str, Any] = {"connect_timeout": 0.5, "deadline": 20}
    with (
        authority.cert_pem.tempfile() as ca_file,
        closing(Proxy(context if way == "tunnel in TLS" else None)) as proxy,
    ):
        scheme = "https" if way == "tunnel in TLS" else "http"
        if way.startswith("tunnel"):
            settings["proxy"] = f"{scheme}://{proxy.address}"
        elif way == "proxy":
            settings["proxy"] = trickling
        began = time.monotonic()
        error = failure(connected(trickling, ssl_ca_cert=ca_file, **settings), create)
    assert time.monotonic() - began < 5
    assert type(error) is stcloud.TimeoutException
    assert "connecting took longer than connect_timeout=0.5 s" in str(error)
    assert error.outcome_unknown is False
    assert ("the proxy" in str(error)) == (way == "proxy")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_time_out_while_sending(scheme: str, authority: trustme.CA) -> None:
    """A server that does not read ends a large request with the limit that was set."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    has_ended = threading.Event()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with suppress(OSError):
            if scheme == "https":
                connection = context.wrap_socket(connection, server_side=True)
            has_ended.wait(30)
        connection.close()

    with (
        authority.cert_pem.tempfile() as ca_file,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        thread = threading.Thread(target=serve, args=[listener])
        thread.start()
        host = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        api = connected(host, ssl_ca_cert=ca_file, read_timeout=0.5)
        body = {"x": "y" * 50_000_000}
        error = failure(api, lambda api: api.api_client.call_api("/x", "POST", body=body))
        has_ended.set()
        thread.join(10)
    assert type(error) is stcloud.TimeoutException
    assert "sending took longer than read_timeout=0.5 s" in str(error)
    assert error.outcome_unknown is True


class SoftTimeLimitExceeded(Exception):
    """What a task queue raises in a signal handler."""


class StopError(OSError):
    """An error of the operating system's kind, which is not of this connection."""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
@pytest.mark.parametrize(
    "kind",
    [
        SoftTimeLimitExceeded,
        TimeoutError,
        StopError,
        stcloud.NotFoundException,
        stcloud.ConnectionException,
    ],
)
@pytest.mark.parametrize(
    "while_", ["connecting", "the handshake", "the response", "the text of an error"]
)
def test_exception_of_a_signal_handler_passes(kind: type[Exception], while_: str) -> None:
    """It is the caller's own, neither translated nor retried; connections are not used again."""

    def stop(*_: object) -> NoReturn:
        raise kind("of the handler")

    previous = signal.signal(signal.SIGALRM, stop)
    try:
        with (
            full_backlog() as dead,
            socket.create_server(("127.0.0.1", 0)) as silent,
            ScriptedServer(Reply(response(b"busy", "503 Busy")[:-4], "hang")) as server,
        ):
            host = {
                "connecting": f"http://127.0.0.1:{dead[1]}",
                "the handshake": f"https://127.0.0.1:{silent.getsockname()[1]}",
                "the response": f"http://127.0.0.1:{silent.getsockname()[1]}",
                "the text of an error": server.url,
            }[while_]
            api = connected(host, retries=3)
            resets: list[object] = []
            api.api_client.rest_client.reset_pools = lambda: resets.append(1)  # type: ignore[method-assign]
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            with (
                warnings.catch_warnings(action="ignore", category=ResourceWarning),
                closing(api.api_client),
                pytest.raises(kind, match="of the handler") as raised,
            ):  # SSLSocket.__init__ leaves its socket open for what is no OSError
                api.get_app_tokens1(5)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert (type(raised.value), resets) == (kind, [1])


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # of a connection amid the change
@pytest.mark.parametrize("kind", [KeyboardInterrupt, TimeoutError, StopError])
@pytest.mark.parametrize("step", ["before get", "after get", "before put", "after put"])
def test_exception_of_a_signal_handler_passes_while_a_slot_changes_hands(
    api: stcloud.TokensApiControllerApi,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[BaseException],
    step: str,
) -> None:
    """Then urllib3 gives a slot back that it did not take, or gives it back twice."""

    def stop(*_: object) -> NoReturn:
        raise kind

    place, method = step.split()
    change = getattr(ConnectionQueue, method)
    raised: list[object] = []

    def interrupted(*args: Any, **options: Any) -> Any:
        result = change(*args, **options) if place == "after" else None
        if not raised:
            raised.append(1)
            signal.raise_signal(signal.SIGINT)
        return result if place == "after" else change(*args, **options)

    api.get_app_tokens1(sandbox.app_id)
    monkeypatch.setattr(ConnectionQueue, method, interrupted)
    previous = signal.signal(signal.SIGINT, stop)
    try:
        with pytest.raises(kind) as error:
            api.get_app_tokens1(sandbox.app_id)
    finally:
        signal.signal(signal.SIGINT, previous)
    assert type(error.value) is kind
    assert api.get_app_tokens1(sandbox.app_id).tokens == []


class Handler:
    """Handlers of the forms that there are."""

    def method(self, *_: object) -> NoReturn:
        raise StopError

    def __call__(self, *_: object) -> NoReturn:
        raise StopError


@pytest.mark.parametrize("handler", [Handler().method, Handler(), partial(Handler().method, 1)])
def test_handler_is_known_in_every_form(handler: Any) -> None:
    """By the code that it runs."""
    previous = signal.signal(signal.SIGUSR1, handler)
    try:
        with pytest.raises(StopError) as raised:
            signal.raise_signal(signal.SIGUSR1)
        assert raised_by_handler(raised.value)
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert not raised_by_handler(raised.value)


def test_handlers_own_failure_of_urllib3_is_its_own() -> None:
    """It wraps nothing, and may have no text."""

    def fail(*_: object) -> NoReturn:
        raise HTTPError

    previous = signal.signal(signal.SIGUSR1, fail)
    try:
        with pytest.raises(HTTPError) as raised:
            signal.raise_signal(signal.SIGUSR1)
        assert cause_of_handler(raised.value) is raised.value
    finally:
        signal.signal(signal.SIGUSR1, previous)


def test_time_out_within_a_wrapped_socket_is_one() -> None:
    """A tracer may wrap sockets, and a test may replace their methods."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with mock.patch("socket.socket.connect", side_effect=TimeoutError):
            error = failure(connected(host), create)
        assert (type(error), error.outcome_unknown) == (stcloud.TimeoutException, False)
        receive = socket.socket.recv_into

        def traced(*arguments: Any) -> int:
            return receive(*arguments)

        with mock.patch("socket.socket.recv_into", traced):
            error = failure(connected(host, read_timeout=0.2), create)
    assert (type(error), error.outcome_unknown) == (stcloud.TimeoutException, True)
