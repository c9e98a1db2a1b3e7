"""The limits of a call in time, each with the name of the setting that it comes from."""

from __future__ import annotations

import time
from typing import NamedTuple


class Limit(NamedTuple):
    """A setting or an option that ends a wait, and its value in seconds."""

    name: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.name}={self.seconds:g} s"


class LimitReached(TimeoutError):
    """A wait took as long as its limit allows; the text says which limit that is."""


class Timeouts:
    """The timeouts of one call: connect, read, and its deadline, which begins now."""

    def __init__(self, connect: Limit, read: Limit, deadline: Limit) -> None:
        self.connect = connect
        self.read = read
        self.deadline = deadline
        self._end = time.monotonic() + deadline.seconds

    def remaining(self) -> float:
        """Return the seconds that remain until the deadline."""
        return self._end - time.monotonic()


class Wait:
    """A wait, of one or more steps, that ends after a limit or with the deadline."""

    def __init__(self, timeouts: Timeouts, limit: Limit, doing: str) -> None:
        self._timeouts = timeouts
        self._limit = limit
        self._doing = doing
        self._end = time.monotonic() + limit.seconds

    def remaining(self) -> float:
        """Return the seconds that remain.

        Raises:
            LimitReached: none remains.
        """
        seconds = min(self._end - time.monotonic(), self._timeouts.remaining())
        if seconds <= 0:
            raise self.reached()
        return seconds

    def reached(self) -> LimitReached:
        """Return the exception for a wait that has ended: it names the limit that ended it."""
        has_passed = self._timeouts.remaining() <= 0
        limit = self._timeouts.deadline if has_passed else self._limit
        return LimitReached(f"{self._doing} took longer than {limit}")


class Clock:
    """What a connection's present step may take; its socket and its reader ask for it.

    They have this object in common, and not the connection: a circle of references would keep an
    abandoned socket open until the garbage collector comes.

    Attributes:
        timeouts: those of the present call.
        connecting: the wait for the connection, while it is being made.
        idle_since: when the last response ended, on the monotonic clock.
    """

    timeouts: Timeouts

    def __init__(self) -> None:
        self.connecting: Wait | None = None
        self.idle_since: float = 0.0

    def remaining(self, doing: str) -> float:
        """Return the seconds that the next step may take.

        Raises:
            LimitReached: none remains.
        """
        if self.connecting is not None:
            return self.connecting.remaining()
        remaining = self.timeouts.remaining()
        if remaining <= 0:
            raise self.reached(doing)
        return min(remaining, self.timeouts.read.seconds)

    def reached(self, doing: str) -> LimitReached:
        """Return the exception for a step that has taken too long."""
        return (self.connecting or Wait(self.timeouts, self.timeouts.read, doing)).reached()
