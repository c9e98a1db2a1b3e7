"""The limits of a call in time, each with the name of the setting that it comes from."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from stcloud import _validators

if TYPE_CHECKING:
    from stcloud.configuration import Configuration

Kind: TypeAlias = Literal["connect", "read", "deadline"]

_SETTINGS: Final[dict[Kind, str]] = {
    "connect": "connect_timeout",
    "read": "read_timeout",
    "deadline": "deadline",
}


class CallLimits:
    """The limits of a call in seconds, each with the name of the setting or option it comes from.

    Attributes:
        connect: for connecting.
        read: for each wait of sending and reading.
        deadline: for all of it, repeated attempts and the waits between them included.
    """

    def __init__(self, configuration: Configuration, timeout: object) -> None:
        self.connect: float = configuration.connect_timeout
        self.read: float = configuration.read_timeout
        self.deadline: float = configuration.deadline
        self._names: dict[Kind, str] = _SETTINGS
        if timeout is not None:
            self._override("_request_timeout", timeout)

    def _override(self, option: str, timeout: object) -> None:
        limit = _validators.time_limits(option, timeout)
        if not isinstance(limit, tuple):
            self.read = self.deadline = limit
            self._names = {**_SETTINGS, "read": option, "deadline": option}
            return
        self._names = dict(_SETTINGS)
        connect, read = limit
        if connect:
            self.connect, self._names["connect"] = connect, f"{option}[0]"
        if read:
            self.read, self._names["read"] = read, f"{option}[1]"

    def describe(self, kind: Kind) -> str:
        """Return the name and the value of a limit, as they were set."""
        return f"{self._names[kind]}={getattr(self, kind):g} s"


class LimitReached(TimeoutError):
    """A wait took as long as its limit allows; the text says which limit that is."""


class Timeouts:
    """The limits of one call, whose deadline begins now."""

    def __init__(self, limits: CallLimits) -> None:
        self.limits = limits
        self._end = time.monotonic() + limits.deadline

    def remaining(self) -> float:
        """Return the seconds that remain until the deadline."""
        return self._end - time.monotonic()


class Wait:
    """A wait, of one or more steps, that ends after a limit or with the deadline."""

    def __init__(self, timeouts: Timeouts, kind: Kind, doing: str) -> None:
        self._timeouts = timeouts
        self._kind: Kind = kind
        self._doing = doing
        self._end: float = time.monotonic() + getattr(timeouts.limits, kind)

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
        kind = "deadline" if self._timeouts.remaining() <= 0 else self._kind
        limit = self._timeouts.limits.describe(kind)
        return LimitReached(f"{self._doing} took longer than {limit}")


class StepLimits:
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
        return min(remaining, self.timeouts.limits.read)

    def reached(self, doing: str) -> LimitReached:
        """Return the exception for a step that has taken too long."""
        return (self.connecting or Wait(self.timeouts, "read", doing)).reached()
