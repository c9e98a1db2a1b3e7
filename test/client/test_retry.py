import threading
from typing import Any

import pytest

from stcloud.retry import Outcome, RetryBudget, RetryPolicy, RetryState, outcome_for_status

IDEMPOTENT, NOT = ["GET", "HEAD", "PUT", "DELETE"], ["POST", "PATCH"]
AGAIN = {
    Outcome.NOT_SENT: {*IDEMPOTENT, *NOT},
    Outcome.THROTTLED: {*IDEMPOTENT, *NOT},
    Outcome.UNAVAILABLE: {*IDEMPOTENT},
    Outcome.UNKNOWN: {*IDEMPOTENT},
    Outcome.DISCONNECTED: {*IDEMPOTENT},
    Outcome.INVALID_RESPONSE: set(),
    Outcome.FINAL: set(),
}


def course(method: str = "GET", points: float = 100, **policy: Any) -> RetryState:
    return RetryState(RetryPolicy()._replace(**policy), RetryBudget(points), method)


def wait(
    call: RetryState,
    outcome: Outcome = Outcome.NOT_SENT,
    *,
    timed_out: bool = False,
    retry_after: float | None = None,
    remaining: float = 60,
) -> float | None:
    return call.next_delay(
        outcome, timed_out=timed_out, retry_after=retry_after, remaining=remaining
    )


@pytest.mark.parametrize("method", IDEMPOTENT + NOT)
@pytest.mark.parametrize("outcome", Outcome)
def test_outcome_and_method_decide(outcome: Outcome, method: str) -> None:
    """Only what is safe to repeat is repeated."""
    call = course(method)
    assert (wait(call, outcome) is not None) == (method in AGAIN[outcome])
    assert call.attempts == (2 if method in AGAIN[outcome] else 1)


@pytest.mark.parametrize(
    ("statuses", "outcome"),
    [
        ([400, 401, 403, 404, 409, 425, 301, 501, 505], Outcome.FINAL),
        ([429], Outcome.THROTTLED),
        ([503], Outcome.UNAVAILABLE),
        ([408, 500, 502, 504, 507, 520, 599], Outcome.UNKNOWN),
    ],
)
def test_status_tells_the_outcome(statuses: list[int], outcome: Outcome) -> None:
    """Each status belongs to one row of the table."""
    assert {outcome_for_status(status) for status in statuses} == {outcome}


def test_attempts_are_counted() -> None:
    """Four attempts in all by default; one attempt means no retry."""
    call = course()
    waits = [wait(call) for _ in range(4)]
    assert [each is None for each in waits] == [False, False, False, True]
    assert call.attempts == 4
    assert wait(course(attempts=1)) is None


def test_waits_grow_and_are_spread() -> None:
    """A wait is chosen from half of a bound to all of it; the bound doubles up to its maximum."""
    for number, bound in enumerate([0.75, 1.5, 3, 6, 8, 8]):
        drawn: list[float] = []
        for _ in range(400):
            call = course(attempts=99)
            call.attempts = number + 1
            drawn.append(wait(call, remaining=1e9) or 0)
        assert bound / 2 <= min(drawn) < bound * 0.6
        assert bound * 0.9 < max(drawn) <= bound


def test_restart_of_two_seconds_is_ridden_out() -> None:
    """The attempts of a call that is refused span more than that, however the waits are drawn."""
    for _ in range(200):
        call = course()
        assert sum(wait(call) or 0 for _ in range(3)) > 2.5


def test_costs_of_a_retry() -> None:
    """What did not reach the service costs little; a fresh connection for a dead one, nothing."""
    policy, costs = RetryPolicy(), {}
    for outcome in (Outcome.DISCONNECTED, Outcome.NOT_SENT, Outcome.UNKNOWN):
        budget = RetryBudget(policy.budget)
        delay = wait(RetryState(policy, budget, "GET"), outcome)
        assert (delay == 0) == (outcome is Outcome.DISCONNECTED)
        costs[outcome] = next(
            cost for cost in (0, 0.1, 5, 10) if budget.acquire(policy.budget - cost)
        )
    assert list(costs.values()) == [0, policy.not_sent_retry_cost, policy.retry_cost]


@pytest.mark.parametrize(("asked", "granted"), [(0, True), (20, True), (60, True), (60.5, False)])
def test_retry_after_is_a_lower_bound(asked: float, granted: bool) -> None:
    """The wait is at least what the service asks; more than the bound is not waited for."""
    delay = wait(course(), Outcome.THROTTLED, retry_after=asked, remaining=1000)
    assert (delay is not None) == granted
    assert delay is None or asked <= delay <= max(asked, 0.75)


@pytest.mark.parametrize(
    ("remaining", "granted"), [(20.1, True), (20, False), (0, False), (-5, False)]
)
def test_no_wait_outlasts_the_deadline(remaining: float, granted: bool) -> None:
    """A wait that would end after the deadline is not begun."""
    delay = wait(course(), Outcome.THROTTLED, retry_after=20, remaining=remaining)
    assert (delay is not None) == granted


def test_unknown_outcome_is_remembered() -> None:
    """Once an attempt may have done it, no later response takes that back."""
    call = course("DELETE")
    wait(call, Outcome.THROTTLED)
    assert not call.outcome_unknown
    assert not call.deleted_by_earlier_attempt(404)
    wait(call, Outcome.UNKNOWN)
    wait(call, Outcome.FINAL)
    assert call.outcome_unknown
    assert call.deleted_by_earlier_attempt(404)
    assert not call.deleted_by_earlier_attempt(403)


def test_only_a_delete_was_deleted_before() -> None:
    """A 404 to anything else is a 404."""
    call = course("PUT")
    wait(call, Outcome.UNKNOWN)
    assert not call.deleted_by_earlier_attempt(404)


def test_budget_ends_the_retries() -> None:
    """A retry takes its cost, one after a timeout more; without points none is made."""
    budget, policy = RetryBudget(25), RetryPolicy(retry_cost=5, timeout_retry_cost=10)
    granted = [
        wait(RetryState(policy, budget, "GET"), Outcome.UNKNOWN, timed_out=timed_out) is not None
        for timed_out in (True, False, True, True, False)
    ]
    assert granted == [True, True, True, False, False]


def test_success_fills_the_budget() -> None:
    """A success gives what its last retry took, else the gain, and never above the budget."""
    policy = RetryPolicy(budget=20, retry_cost=5, timeout_retry_cost=10, success_credit=1)
    budget = RetryBudget(20)
    first = RetryState(policy, budget, "GET")
    wait(first, timed_out=True)  # 10 remaining
    first.record_success()  # 20
    RetryState(policy, budget, "GET").record_success()  # stays 20
    assert not budget.acquire(20.5)
    assert budget.acquire(20)
    RetryState(policy, budget, "GET").record_success()
    assert not budget.acquire(1.5)
    assert budget.acquire(1)
    second = RetryState(policy, full := RetryBudget(20), "GET")
    wait(second, Outcome.UNKNOWN)  # 15 remaining
    for _ in range(2):
        RetryState(policy, full, "GET").record_success()  # 17
    second.record_success()  # 22, were there no bound
    assert not full.acquire(20.5)


def test_threads_share_the_budget() -> None:
    """However many threads take at once, no point is spent twice."""
    budget = RetryBudget(1000)
    taken: list[bool] = []

    def take() -> None:
        taken.extend(budget.acquire(1) for _ in range(500))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == 1000


def test_redirect_to_the_result_means_that_it_was_done() -> None:
    """A 303 is not retried, and may have executed: the result is elsewhere."""
    outcome = outcome_for_status(303)
    assert outcome.may_have_executed
    assert wait(course(), outcome) is None


def test_signal_handler_may_use_the_budget() -> None:
    """It may interrupt its own thread at any point, also here."""
    budget = RetryBudget(5)
    with budget._lock:
        assert budget.acquire(5)
        budget.release(5)
