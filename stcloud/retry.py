"""What may be retried, when, and how much in all: decisions only, no I/O.

=====================================================  ==============  ==============
What is known after a failed attempt                   GET PUT DELETE  POST PATCH
=====================================================  ==============  ==============
``NOT_SENT``: it never reached the service             again           again
``THROTTLED``: 429                                     again           again
``UNAVAILABLE``: 503                                   again           no
``UNKNOWN``: no response, 408, most 5xx                again           no
``DISCONNECTED``: an idle connection was closed        again, free     no
``INVALID_RESPONSE``: an unreadable 2xx, a 303         no              no
``FINAL``: any other response, a bad certificate       no              no
=====================================================  ==============  ==============
"""

import threading
from enum import Enum
from random import uniform
from typing import NamedTuple


class Outcome(Enum):
    """What is known of a request after a failed attempt."""

    NOT_SENT = "not sent"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    UNKNOWN = "unknown"
    DISCONNECTED = "disconnected"
    INVALID_RESPONSE = "invalid response"
    FINAL = "final"

    @property
    def may_have_executed(self) -> bool:
        """Whether the service may have done what was asked."""
        return self in _MAY_HAVE_EXECUTED


_ALWAYS = {Outcome.NOT_SENT, Outcome.THROTTLED}
_IF_IDEMPOTENT = {Outcome.UNAVAILABLE, Outcome.UNKNOWN, Outcome.DISCONNECTED}
_MAY_HAVE_EXECUTED = _IF_IDEMPOTENT | {Outcome.INVALID_RESPONSE}
_IDEMPOTENT = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}


def outcome_for_status(status: int) -> Outcome:
    """Return the outcome that a status means; 501 and 505 mean that nothing was done."""
    if status == 429:
        return Outcome.THROTTLED
    if status == 503:
        return Outcome.UNAVAILABLE
    if status == 303:  # done, and the result is elsewhere
        return Outcome.INVALID_RESPONSE
    if status == 408 or (status >= 500 and status not in (501, 505)):
        return Outcome.UNKNOWN
    return Outcome.FINAL


class RetryPolicy(NamedTuple):
    """When calls are retried, as plain data; times are in seconds.

    Retries spend from a budget that all calls of a client share. A success refills it by what
    its last retry cost, or by ``success_credit``. An empty budget stops retrying, so that a
    client adds little load to a service that is down.

    Attributes:
        attempts: attempts of a call at most, the first included.
        backoff: the first wait is random, from half of this to all of it; each further one is
            twice as long. So the four attempts span at least 2.6 seconds, which is enough for
            a service that restarts within two.
        backoff_max: no wait is longer than this, unless the service asks for it.
        retry_after_max: if the service asks for a longer wait, the call fails at once.
        budget: capacity of the budget, which it starts with.
        retry_cost: what a retry costs.
        not_sent_retry_cost: what a retry costs after an attempt that did not reach the service.
        timeout_retry_cost: what a retry costs after a timeout, which has kept the service busy.
        success_credit: by how much a success at the first attempt refills the budget.
    """

    attempts: int = 4
    backoff: float = 0.75
    backoff_max: float = 8
    retry_after_max: float = 60
    budget: float = 20
    retry_cost: float = 5
    not_sent_retry_cost: float = 0.1
    timeout_retry_cost: float = 10
    success_credit: float = 0.5


class RetryBudget:
    """The budget of one client's retries; threads share it."""

    def __init__(self, capacity: float) -> None:
        self._capacity = capacity
        self._available = capacity
        self._lock = threading.RLock()  # a signal handler may make a call, too

    def acquire(self, cost: float) -> bool:
        """Spend the cost of a retry; return False if less is available."""
        with self._lock:
            if self._available < cost:
                return False
            self._available -= cost
            return True

    def release(self, credit: float) -> None:
        """Refill the budget, up to its capacity."""
        if self._available < self._capacity:
            with self._lock:
                self._available = min(self._capacity, self._available + credit)


class RetryState:
    """The retries of one call: what was attempted, and whether to go on."""

    __slots__ = ("_budget", "_last_cost", "_method", "_policy", "attempts", "outcome_unknown")

    def __init__(self, policy: RetryPolicy, budget: RetryBudget, method: str) -> None:
        self._policy = policy
        self._budget = budget
        self._method = method
        self._last_cost: float | None = None
        self.attempts: int = 1
        self.outcome_unknown: bool = False

    def next_delay(
        self, outcome: Outcome, *, timed_out: bool, retry_after: float | None, remaining: float
    ) -> float | None:
        """Begin the next attempt: return the seconds to wait before it, None if none is to follow.

        This spends the retry's cost and counts the attempt.

        Args:
            outcome: what is known of the attempt that failed.
            timed_out: whether it failed for lack of time.
            retry_after: the seconds that the service asked to wait, if it did.
            remaining: the seconds that remain until the call's deadline.
        """
        policy = self._policy
        self.outcome_unknown = self.outcome_unknown or outcome.may_have_executed
        repeatable = outcome in _ALWAYS or (
            outcome in _IF_IDEMPOTENT and self._method in _IDEMPOTENT
        )
        asked = retry_after or 0.0
        longest = min(policy.backoff_max, policy.backoff * 2 ** (self.attempts - 1))
        wait = max(asked, uniform(longest / 2, longest))  # noqa: S311  # spreads load, guards no secret
        if outcome is Outcome.DISCONNECTED:  # the next one has a fresh connection
            wait = 0.0
        if not repeatable or self.attempts >= policy.attempts:
            return None
        if asked > policy.retry_after_max or wait >= remaining:
            return None
        cost = self._cost(outcome, timed_out=timed_out)
        if not self._budget.acquire(cost):
            return None
        self._last_cost = cost
        self.attempts += 1
        return wait

    def _cost(self, outcome: Outcome, *, timed_out: bool) -> float:
        policy = self._policy
        if outcome is Outcome.DISCONNECTED:
            return 0
        if outcome is Outcome.NOT_SENT:
            return policy.not_sent_retry_cost
        return policy.timeout_retry_cost if timed_out else policy.retry_cost

    def deleted_by_earlier_attempt(self, status: int) -> bool:
        """Whether a 404 means that an earlier attempt, whose response was lost, had deleted it."""
        return self._method == "DELETE" and status == 404 and self.outcome_unknown

    def record_success(self) -> None:
        """Refill the budget."""
        policy = self._policy
        self._budget.release(policy.success_credit if self._last_cost is None else self._last_cost)
