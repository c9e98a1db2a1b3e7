"""What is retried, and what not: each kind of failure, met by each operation."""

import logging
import re
import socket
import ssl
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, NamedTuple

import pytest
import trustme
from calls_that_fail import Connect, call, failure
from operations import IDEMPOTENT, OPERATIONS

import stcloud
from stcloud import RetryPolicy
from stcloud.sandbox import Fault, Sandbox

ALL = set(OPERATIONS)
ATTEMPTS = RetryPolicy().attempts
AFTER_TIMEOUTS = 3  # the budget has no more


class Row(NamedTuple):
    """A failure, the exception that it becomes, and who tries again."""

    fault: Fault
    kind: type[stcloud.ApiException]
    again: set[str]
    unknown: bool

    @property
    def attempts(self) -> int:
        """The attempts of who tries again, if each fails so."""
        return AFTER_TIMEOUTS if self.kind is stcloud.TimeoutException else ATTEMPTS


def rows() -> Iterator[tuple[str, Row]]:
    yield "429", Row(Fault.status(429), stcloud.TooManyRequestsException, ALL, False)
    kinds = {400: stcloud.BadRequestException, 401: stcloud.UnauthorizedException}
    kinds |= {403: stcloud.ForbiddenException, 404: stcloud.NotFoundException}
    kinds |= {409: stcloud.ConflictException}
    for status in (400, 401, 403, 404, 405, 409, 410, 413, 415, 421, 422):
        kind = kinds.get(status, stcloud.ApiException)
        yield str(status), Row(Fault.status(status), kind, set(), False)
    for committed in (False, True):
        when = "after" if committed else "before"
        for status in (503, 408, 500, 502, 504):
            kind = stcloud.ServiceException if status >= 500 else stcloud.ApiException
            fault = Fault.status(status, committed=committed)
            yield f"{status} {when}", Row(fault, kind, IDEMPOTENT, True)
        for way in (Fault.reset, Fault.hang_up, Fault.cut_body, Fault.garbage):
            if way == Fault.cut_body and not committed:
                continue  # the cut response is a 503, whose status counts: see below
            fault = way(committed=committed)
            row = Row(fault, stcloud.ConnectionException, IDEMPOTENT, True)
            yield f"{way.__name__} {when}", row
        fault = Fault.hang(50, committed=committed)
        yield f"hang {when}", Row(fault, stcloud.TimeoutException, IDEMPOTENT, True)


ROWS = dict(rows())
CELLS = [(row, operation) for row in ROWS for operation in OPERATIONS]
CELLS.remove(("cut_body after", "delete_app_token1"))  # the second attempt's 404 settles it


class Watch:
    """Reports what happened to the tokens since it was made; there is one at first."""

    def __init__(self, api: stcloud.TokensApiControllerApi) -> None:
        self._api = api
        api.create_app_token({"name": "old"}, 789)
        self._before = self._tokens()

    def _tokens(self) -> dict[int, tuple[str, str]]:
        response: Any = self._api.get_app_tokens1(789)
        return {token.id: (token.name, token.token) for token in response.data.tokens}

    def done(self, operation: str) -> int:
        """Return how often an operation was done, and make sure that nothing else was."""
        before, after = self._before, self._tokens()
        if operation == "create_app_token":
            added = after.items() - before.items()
            assert [name for _, (name, _) in added] == ["new"] * len(added)
            assert before.items() <= after.items()
            return len(added)
        if operation == "delete_app_token1":
            assert after in (before, {})
            return len(before) - len(after)
        expected_name = "old" if operation != "update_app_token" else after[1001][0]
        expected_value = before[1001][1] if operation != "regenerate_app_token1" else after[1001][1]
        assert after == {1001: (expected_name, expected_value)}
        return int(after != before)


@pytest.fixture
def watch(connect: Connect) -> Watch:
    return Watch(connect(retries=0))


def patience(fault: Fault) -> float:
    return 0.1 if fault.seconds else 30


@pytest.mark.parametrize(("name", "operation"), CELLS)
def test_failure_that_lasts(
    sandbox: Sandbox,
    connect: Connect,
    watch: Watch,
    end_requests: Callable[..., None],
    name: str,
    operation: str,
) -> None:
    """Attempts are as many as the table says; exception and database say what became of them."""
    row = ROWS[name]
    attempts = row.attempts if operation in row.again else 1
    sandbox.fail_next(operation, row.fault, times=attempts)
    error = failure(connect(read_timeout=patience(row.fault)), operation)
    assert type(error) is row.kind
    assert (error.status, error.outcome_unknown) == (row.fault.code or 0, row.unknown)
    if row.fault.seconds:  # on a busy machine the client may give up before the sandbox begins
        end_requests()
    assert (error.attempts, sandbox.pending_faults) == (attempts, 0)
    assert watch.done(operation) == (row.fault.committed and OPERATIONS[operation].method != "GET")


@pytest.mark.parametrize(
    ("name", "operation"), [cell for cell in CELLS if cell[1] in ROWS[cell[0]].again]
)
def test_failure_that_passes(
    sandbox: Sandbox,
    connect: Connect,
    watch: Watch,
    end_requests: Callable[..., None],
    name: str,
    operation: str,
) -> None:
    """Where the table has another attempt, two failures are survived, and nothing is done twice."""
    sandbox.fail_next(operation, ROWS[name].fault, times=2)
    api = connect(read_timeout=patience(ROWS[name].fault))
    assert call(api, operation).success is True
    if ROWS[name].fault.seconds:
        end_requests()
    assert sandbox.pending_faults == 0
    assert watch.done(operation) == (OPERATIONS[operation].method != "GET")


def test_lost_response_of_a_create(sandbox: Sandbox, connect: Connect, watch: Watch) -> None:
    """The token is there once, and the caller is warned."""
    sandbox.fail_next("create_app_token", Fault.lost_response())
    error = failure(connect(), "create_app_token")
    assert (error.attempts, error.outcome_unknown) == (1, True)
    assert watch.done("create_app_token") == 1


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sandbox, str]]:
    """A sandbox over TLS, and the file of its authority."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    file = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    with Sandbox(ssl_context=context) as sandbox:
        yield sandbox, str(file)


@pytest.mark.parametrize("operation", ["create_app_token", "get_app_tokens1"])
@pytest.mark.parametrize(
    "name", [name for name, row in ROWS.items() if row.fault.way != "response"]
)
def test_failure_that_lasts_over_tls(
    secure: tuple[Sandbox, str], connect: Connect, name: str, operation: str
) -> None:
    """A connection that breaks after the handshake is judged as in plain text."""
    sandbox, ca_file = secure
    sandbox.reset()
    row = ROWS[name]
    attempts = row.attempts if operation in row.again else 1
    sandbox.fail_next(operation, row.fault, times=attempts)
    settings = {"host": sandbox.url, "api_key": sandbox.api_key, "ssl_ca_cert": ca_file}
    error = failure(connect(**settings, read_timeout=patience(row.fault)), operation)
    assert type(error) is row.kind
    assert (error.attempts, error.outcome_unknown) == (attempts, True)
    listed = call(connect(**settings), "get_app_tokens1").data.tokens
    assert len(listed) == (row.fault.committed and operation == "create_app_token")
    assert sandbox.pending_faults == 0


@pytest.mark.parametrize("operation", ["create_app_token", "get_app_tokens1"])
def test_damaged_tls_leaves_the_outcome_unknown(
    secure: tuple[Sandbox, str],
    connect: Connect,
    operation: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Bytes that TLS cannot read come after the request was carried out: it may be done."""

    def damage(wire: socket.socket, *_: object) -> bool:
        socket.socket.sendall(wire, b"\x17\x03\x03\x00\x20" + b"x" * 32)
        return False

    sandbox, ca_file = secure
    monkeypatch.setattr("stcloud.sandbox.server.deliver", damage)
    api = connect(host=sandbox.url, api_key=sandbox.api_key, ssl_ca_cert=ca_file)
    error = failure(api, operation)
    assert (error.attempts, error.outcome_unknown) == (
        ATTEMPTS if operation in IDEMPOTENT else 1,
        True,
    )


@contextmanager
def no_such_name() -> Generator[dict[str, Any], None, None]:
    yield {"host": "https://nothing.invalid"}


@contextmanager
def nobody_listens() -> Generator[dict[str, Any], None, None]:
    with socket.socket() as bound:  # so that nobody else takes the port
        bound.bind(("127.0.0.1", 0))
        yield {"host": f"http://127.0.0.1:{bound.getsockname()[1]}"}


@contextmanager
def backlog_is_full() -> Generator[dict[str, Any], None, None]:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, ExitStack() as waiting:
        for _ in range(4):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(server.getsockname())
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        yield {"host": address, "connect_timeout": 0.05}


@contextmanager
def handshake_is_cut(size: int) -> Generator[dict[str, Any], None, None]:
    """Read so much of the handshake and close, which is a reset if something is unread."""
    accepted: list[int] = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                wire, _ = server.accept()
                with wire:
                    accepted.append(len(wire.recv(size)))

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield {"host": f"https://127.0.0.1:{server.getsockname()[1]}"}
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
    assert len(accepted) == ATTEMPTS


UNSENT = {
    "name lookup": (no_such_name, stcloud.ConnectionException),
    "refused": (nobody_listens, stcloud.ConnectionException),
    "connect time-out": (backlog_is_full, stcloud.TimeoutException),
    "handshake ended": (lambda: handshake_is_cut(65536), stcloud.ConnectionException),
    "handshake reset": (lambda: handshake_is_cut(1), stcloud.ConnectionException),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_status_counts_though_the_body_is_cut(
    sandbox: Sandbox, connect: Connect, operation: str
) -> None:
    """An error whose text comes incomplete is the error of its status."""
    attempts = ATTEMPTS if operation in IDEMPOTENT else 1
    sandbox.fail_next(operation, Fault.cut_body(committed=False), times=attempts)
    error = failure(connect(), operation)
    assert type(error) is stcloud.ServiceException
    assert (error.status, error.attempts, sandbox.pending_faults) == (503, attempts, 0)


def test_cut_body_says_what_is_missing(sandbox: Sandbox, connect: Connect) -> None:
    """In words, and not as http.client's exception."""
    sandbox.fail_next("get_app_tokens1", Fault.cut_body())
    error = failure(connect(retries=0), "get_app_tokens1")
    assert re.search(r": the body is cut off: \d+ bytes are missing$", str(error))


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("name", UNSENT)
def test_unsent_is_tried_again(connect: Connect, name: str, operation: str) -> None:
    """What provably did not reach the service is tried until no attempts remain, whatever it is."""
    circumstances, kind = UNSENT[name]
    with circumstances() as settings:
        error = failure(connect(**settings), operation)
    assert type(error) is kind
    assert (error.attempts, error.outcome_unknown, error.status) == (ATTEMPTS, False, 0)


@contextmanager
def refusing_for(sandbox: Sandbox, seconds: float) -> Generator[None, None, None]:
    with ExitStack() as refusal:
        refusal.enter_context(sandbox.refusing())
        timer = threading.Timer(seconds, refusal.close)
        timer.start()
        yield
        timer.join()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_unsent_succeeds_in_the_end(
    sandbox: Sandbox,
    connect: Connect,
    watch: Watch,
    operation: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A call made while the service restarts is done once, when it is back."""
    caplog.set_level(logging.DEBUG, "stcloud")
    api = connect(
        retries=RetryPolicy(attempts=10_000, backoff=0.02, backoff_max=0.02, retry_cost=0)
    )
    with refusing_for(sandbox, 0.1):
        assert call(api, operation).success is True
    assert "attempt 2, " in caplog.text
    assert watch.done(operation) == (OPERATIONS[operation].method != "GET")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_refused_certificate_is_final(
    operation: str, connect: Connect, connections: list[object]
) -> None:
    """A certificate that is not trusted is not asked for twice, and nothing is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with Sandbox(ssl_context=context) as sandbox:
        sandbox.fail_next(None, Fault.reset())
        error = failure(connect(host=sandbox.url, api_key=sandbox.api_key), operation)
        assert (len(connections), sandbox.pending_faults) == (1, 1)
    assert type(error) is stcloud.ConnectionException
    assert (error.attempts, error.outcome_unknown) == (1, False)


def test_delete_whose_response_was_lost(
    sandbox: Sandbox, connect: Connect, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    """The second attempt's 404 means that the first one deleted it; result and log say so."""
    caplog.set_level(logging.INFO, "stcloud")
    sandbox.fail_next("delete_app_token1", Fault.lost_response())
    result, status, _ = connect().delete_app_token1_with_http_info(789, 1001)
    assert (result.success, status) == (True, 404)
    assert "earlier attempt" in (result.message or "")
    (record,) = (record for record in caplog.records if record.name == "stcloud")
    assert record.levelno == logging.INFO
    assert "earlier attempt" in record.getMessage()
    assert watch.done("delete_app_token1") == 1


def test_raw_delete_whose_response_was_lost(sandbox: Sandbox, connect: Connect) -> None:
    """Where the caller wants the response itself, a success has none to return."""
    sandbox.fail_next("delete_app_token1", Fault.lost_response())
    with pytest.raises(stcloud.NotFoundException) as raised:
        connect().delete_app_token1(789, 1001, _preload_content=False)
    assert raised.value.outcome_unknown


def test_delete_of_what_is_not_there(sandbox: Sandbox, connect: Connect) -> None:
    """A 404 stays one after attempts that deleted nothing: none, throttled or unsent ones."""
    with pytest.raises(stcloud.NotFoundException):
        connect().delete_app_token1(789, 1001)
    sandbox.fail_next(None, Fault.status(429), times=2)
    with pytest.raises(stcloud.NotFoundException) as raised:
        connect().delete_app_token1(789, 1001)
    assert (raised.value.attempts, raised.value.outcome_unknown) == (3, False)
    api = connect(
        retries=RetryPolicy(attempts=10_000, backoff=0.02, backoff_max=0.02, retry_cost=0)
    )
    with refusing_for(sandbox, 0.1), pytest.raises(stcloud.NotFoundException) as raised:
        api.delete_app_token1(789, 1001)
    assert raised.value.attempts > 1


def test_budget_ends_the_retries_of_a_client(sandbox: Sandbox, connect: Connect) -> None:
    """A client of a service that always fails soon makes one attempt per call, and no more."""
    sandbox.fail_next(None, Fault.status(500), times=10_000)
    api = connect()
    attempts = [failure(api, "get_app_tokens1").attempts for _ in range(100)]
    assert attempts[0] == ATTEMPTS
    assert attempts[50:] == [1] * 50
    assert sum(attempts) == 10_000 - sandbox.pending_faults
    assert sum(attempts) - 100 <= RetryPolicy().budget / RetryPolicy().retry_cost
    sandbox.reset()
    assert call(api, "get_app_tokens1").success is True
    assert failure_after_another_client(sandbox, connect) == ATTEMPTS


def failure_after_another_client(sandbox: Sandbox, connect: Connect) -> int:
    sandbox.fail_next(None, Fault.status(500), times=ATTEMPTS)
    return int(failure(connect(), "get_app_tokens1").attempts)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_idle_connection_that_ended_costs_nothing(
    sandbox: Sandbox,
    connect: Connect,
    watch: Watch,
    connections: list[object],
    operation: str,
) -> None:
    """The first attempt goes over a new connection if the server closed the old one meanwhile."""
    api = connect(retries=0)
    api.get_app_tokens1(789)
    with sandbox.refusing():
        pass  # closes them all
    before = len(connections)
    assert call(api, operation).success is True
    assert len(connections) - before == 1
    assert watch.done(operation) == (OPERATIONS[operation].method != "GET")
