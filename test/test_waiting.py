"""How long a call waits: for `Retry-After`, and until its deadline."""

import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from calls_that_fail import Connect, call, failure

import stcloud
from stcloud import RetryPolicy
from stcloud.sandbox import Fault, Sandbox


@pytest.mark.parametrize(
    ("header", "least"),
    [
        (lambda: "1", 1),
        (lambda: from_now(2), 0.9),  # a date has whole seconds
        (lambda: from_now(-5), 0),
        (lambda: "-5", 0),
        (lambda: "soon", 0),
    ],
)
def test_retry_after_is_waited_for(
    sandbox: Sandbox, connect: Connect, header: Callable[[], str], least: float
) -> None:
    """Seconds or a date put off the next attempt; the past and nonsense do not."""
    sandbox.fail_next(None, Fault.status(429, {"Retry-After": header()}))
    start = time.monotonic()
    assert call(connect(), "create_app_token").success is True
    assert least <= time.monotonic() - start < least + 20


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("1", 1),
        ("-5", 0),
        ("3, 9", 3),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
        ("soon", None),
        ("", None),
        ("Sun, 99 Nonsense 2020", None),
    ],
)
def test_retry_after_is_told(
    sandbox: Sandbox, connect: Connect, header: str, seconds: float | None
) -> None:
    """The exception of a call that failed has the seconds that the service asked to wait."""
    sandbox.fail_next(None, Fault.status(429, {"Retry-After": header}))
    assert failure(connect(retries=0), "create_app_token").retry_after == seconds


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the time zone cannot be set here")
def test_retry_after_in_the_form_of_asctime_is_utc(
    sandbox: Sandbox, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the program runs."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "XYZ-9")
        time.tzset()
        header = time.asctime(time.gmtime(time.time() + 50))
        sandbox.fail_next(None, Fault.status(429, {"Retry-After": header}))
        seconds = failure(connect(retries=0), "create_app_token").retry_after
    time.tzset()
    assert 20 < seconds <= 50


def from_now(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("header", "settings"),
    [
        (lambda: "61", {"deadline": 99}),
        (lambda: from_now(3600), {"deadline": 9999}),
        (lambda: "9" * 400, {}),
        (lambda: "50", {"deadline": 49}),
        (lambda: "50", {"_request_timeout": 49}),
    ],
)
@pytest.mark.parametrize(
    ("status", "operation"), [(429, "create_app_token"), (503, "get_app_tokens1")]
)
def test_retry_after_may_be_too_long(
    sandbox: Sandbox,
    connect: Connect,
    header: Callable[[], str],
    settings: Any,
    status: int,
    operation: str,
) -> None:
    """What is more than a minute, or than what remains of the deadline, fails at once."""
    sandbox.fail_next(operation, Fault.status(status, {"Retry-After": header()}))
    start = time.monotonic()
    error = failure_within(connect, settings, operation)
    assert time.monotonic() - start < 25
    assert (error.attempts, error.status) == (1, status)
    assert error.retry_after >= 50


def failure_within(connect: Connect, limits: dict[str, float], operation: str) -> Any:
    """Return the failure of a call whose limits are options where they begin with "_"."""
    settings = {name: limit for name, limit in limits.items() if name[0] != "_"}
    options = {name: limit for name, limit in limits.items() if name[0] == "_"}
    return failure(connect(**settings), operation, **options)


@pytest.mark.parametrize("seconds", [0.05, 0.002])  # ends amid the head, amid the body
@pytest.mark.parametrize("limit", ["deadline", "_request_timeout"])
def test_drip_ends_with_the_deadline(
    sandbox: Sandbox, connect: Connect, seconds: float, limit: str
) -> None:
    """A response that never pauses for long is abandoned all the same, before its 15 s."""
    for _ in range(3):
        connect().create_app_token({"name": "x" * 10_000}, 789)
    sandbox.fail_next(None, Fault.drip(seconds))
    start = time.monotonic()
    error = failure_within(connect, {limit: 0.4}, "get_app_tokens1")
    assert 0.3 < time.monotonic() - start < 12
    assert type(error) is stcloud.TimeoutException
    assert (error.attempts, error.outcome_unknown) == (1, True)


def test_deadline_is_over_connecting(connect: Connect) -> None:
    """A handshake that hangs ends with the deadline, though connecting might take longer."""
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and says nothing
        host = f"https://127.0.0.1:{silent.getsockname()[1]}"
        start = time.monotonic()
        api = connect(host=host, deadline=0.5, connect_timeout=60, read_timeout=60)
        error = failure(api, "get_app_tokens1")
    assert time.monotonic() - start < 30
    assert type(error) is stcloud.TimeoutException


def test_deadline_is_over_all_attempts(sandbox: Sandbox, connect: Connect) -> None:
    """Attempts that each take less than the deadline do not add up to more than it."""
    sandbox.fail_next(None, Fault.hang(50), times=99)
    policy = RetryPolicy(attempts=99, backoff=0.001, retry_cost=0)
    api = connect(deadline=0.8, read_timeout=0.2, retries=policy)
    error = failure(api, "get_app_tokens1")
    assert error.attempts == 99 - sandbox.pending_faults
    assert 2 <= error.attempts <= 4
