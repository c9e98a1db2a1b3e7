"""What may be tried again, when, and how much in all: decisions only, no I/O.

=====================================================  ==============  ==============
What is known after a failed attempt                   GET PUT DELETE  POST PATCH
=====================================================  ==============  ==============
``NOT_SENT``: it never reached the service             again           again
``THROTTLED``: 429                                     again           again
``UNAVAILABLE``: 503                                   again           no
``UNKNOWN``: no answer, or one that tells nothing      again           no
``UNREADABLE``: a 2xx that makes no sense, a 303       no              no
``SETTLED``: every other answer, a bad certificate     no              no
=====================================================  ==============  ==============
"""

from __future__ import annotations

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
    UNREADABLE = "unreadable"
    SETTLED = "settled"

    @property
    def may_be_done(self) -> bool:
        """Whether the service may have done what was asked."""
        return self in (Outcome.UNAVAILABLE, Outcome.UNKNOWN, Outcome.UNREADABLE)


_ALWAYS = {Outcome.NOT_SENT, Outcome.THROTTLED}
_IF_IDEMPOTENT = {Outcome.UNAVAILABLE, Outcome.UNKNOWN}
_IDEMPOTENT = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}


def outcome_of(status: int) -> Outcome:
    """Return what an answer's status tells; 501 and 505 say for sure that nothing was done."""
    if status == 429:
        return Outcome.THROTTLED
    if status == 503:
        return Outcome.UNAVAILABLE
    if status == 303:  # done, and the result is elsewhere
        return Outcome.UNREADABLE
    if status == 408 or (status >= 500 and status not in (501, 505)):
        return Outcome.UNKNOWN
    return Outcome.SETTLED


class RetryPolicy(NamedTuple):
    """How calls are tried again, as plain data; times are in seconds.

    A client has ``budget`` points at most. A retry takes some, a success gives what its last
    retry took, or ``gain``; without points nothing is tried again. So a client adds little load
    to a service that is down.
    """

    attempts: int = 3
    """Attempts in all, the first included."""
    backoff: float = 0.5
    """The first wait is drawn from 0 to this, each further one from 0 to twice as much."""
    backoff_max: float = 8
    """No wait is drawn from more than this."""
    retry_after_max: float = 60
    """If the service asks for a longer wait, the call fails at once."""
    budget: float = 20
    """Points at the start, and at most."""
    cost: float = 5
    """Points that a retry takes."""
    timeout_cost: float = 10
    """Points that a retry takes after a time-out, which has kept the service busy for long."""
    gain: float = 0.5
    """Points that a success at first attempt gives."""


class Budget:
    """The points of one client; threads share them."""

    def __init__(self, points: float) -> None:
        self._points = points
        self._lock = threading.Lock()

    def take(self, points: float) -> bool:
        """Take points if there are as many."""
        with self._lock:
            if self._points < points:
                return False
            self._points -= points
            return True

    def give(self, points: float, most: float) -> None:
        """Add points, up to a bound."""
        if self._points < most:
            with self._lock:
                self._points = min(most, self._points + points)


class Course:
    """One call, from its first attempt to its end."""

    __slots__ = ("_budget", "_method", "_policy", "_taken", "attempts", "outcome_unknown")

    def __init__(self, policy: RetryPolicy, budget: Budget, method: str) -> None:
        self._policy = policy
        self._budget = budget
        self._method = method
        self._taken: float | None = None
        self.attempts: int = 1
        self.outcome_unknown: bool = False

    def wait_after(
        self, outcome: Outcome, *, timed_out: bool, retry_after: float | None, left: float
    ) -> float | None:
        """Return the seconds to wait before the next attempt, None if there is to be none.

        Args:
            outcome: what is known of the attempt that failed.
            timed_out: whether it failed for lack of time.
            retry_after: the seconds that the service asked to wait, if it did.
            left: the seconds that remain until the call's deadline.
        """
        policy = self._policy
        self.outcome_unknown = self.outcome_unknown or outcome.may_be_done
        repeatable = outcome in _ALWAYS or (
            outcome in _IF_IDEMPOTENT and self._method in _IDEMPOTENT
        )
        asked = retry_after or 0.0
        longest = min(policy.backoff_max, policy.backoff * 2 ** (self.attempts - 1))
        wait = max(asked, uniform(0, longest))  # noqa: S311  # spreads load, guards no secret
        if not repeatable or self.attempts >= policy.attempts:
            return None
        if asked > policy.retry_after_max or wait >= left:
            return None
        cost = policy.timeout_cost if timed_out else policy.cost
        if not self._budget.take(cost):
            return None
        self._taken = cost
        self.attempts += 1
        return wait

    def was_deleted_before(self, status: int) -> bool:
        """Whether a 404 means that an earlier attempt, whose answer was lost, had deleted it."""
        return self._method == "DELETE" and status == 404 and self.outcome_unknown

    def succeeded(self) -> None:
        """Give back to the budget."""
        gain = self._policy.gain if self._taken is None else self._taken
        self._budget.give(gain, self._policy.budget)
