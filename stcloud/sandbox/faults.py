"""Faults on demand: what goes wrong, with which requests, and how that looks on the wire."""

from __future__ import annotations

import os
import re
import selectors
import socket
import struct
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import NoneType
from typing import Literal

_LINGER = struct.Struct("HH" if os.name == "nt" else "ii")  # whether to, and for how long

_RESET = _LINGER.pack(1, 0)
_DAY = 86_400


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request; made with the methods below.

    Where ``committed`` is true the operation runs before the fault, and what it wrote stays; else
    it does not run.
    """

    way: Literal["response", "late", "cut", "drip", "end", "reset"]
    committed: bool
    seconds: float = 0
    code: int | None = None
    content: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Refuse what could not be sent: the request would end in another way."""
        _require("seconds", self.seconds, int, float)
        if not 0 <= self.seconds <= _DAY:
            raise ValueError(f"seconds must be from 0 to {_DAY}, not {self.seconds}")
        _require("content", self.content, bytes, NoneType)

    @classmethod
    def lost_response(cls) -> Fault:
        """Commit the write, then reset the connection: the caller cannot know."""
        return cls.reset(committed=True)

    @classmethod
    def reset(cls, *, committed: bool = False) -> Fault:
        """Reset the connection (RST)."""
        return cls("reset", committed)

    @classmethod
    def hang_up(cls, *, committed: bool = False) -> Fault:
        """Close the connection (FIN) without a response."""
        return cls("end", committed)

    @classmethod
    def hang(cls, seconds: float, *, committed: bool = False) -> Fault:
        """Send nothing for this long, then close the connection."""
        return cls("end", committed, seconds)

    @classmethod
    def late(cls, seconds: float) -> Fault:
        """Run the operation, and send its true response after this long."""
        return cls("late", committed=True, seconds=seconds)

    @classmethod
    def drip(cls, seconds: float, *, committed: bool = True) -> Fault:
        """Send the response, a 503 unless committed, byte by byte, each after this long."""
        return cls("drip", committed, seconds)

    @classmethod
    def cut_body(cls, *, committed: bool = True) -> Fault:
        """Close the connection in the middle of the response, a 503 unless committed."""
        return cls("cut", committed)

    @classmethod
    def status(
        cls, status: int, headers: Mapping[str, str] | None = None, *, committed: bool = False
    ) -> Fault:
        """Send a response with this status, these headers, and the envelope of a failure.

        Raises:
            ValueError: HTTP has no such final status, or cannot send such headers.
        """
        if HTTPStatus(status) < 200:
            raise ValueError(f"{status} is not a final status")
        empty = status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
        _require("headers", headers, Mapping, NoneType)
        fields = tuple((headers or {}).items())
        for name, text in fields:
            _require("headers' names and values", name, str)
            _require("headers' names and values", text, str)
            if not re.fullmatch(r"[\w!#$%&'*+.^`|~-]+", name, re.ASCII):  # RFC 9110, section 5.1
                raise ValueError(f"headers must have names of HTTP, not {name!r}")
            if not (text.isascii() and text.isprintable()):
                raise ValueError("headers must be printable ASCII")
        return cls("response", committed, 0, status, b"" if empty else None, fields)

    @classmethod
    def body(cls, content: bytes, *, committed: bool = True) -> Fault:
        """Send a 200 with this body."""
        return cls("response", committed, code=HTTPStatus.OK, content=content)

    @classmethod
    def garbage(cls, data: bytes = b"not HTTP\r\n\r\n", *, committed: bool = False) -> Fault:
        """Send these bytes instead of HTTP, then close the connection."""
        return cls("end", committed, content=data)


def _require(name: str, value: object, *kinds: type) -> None:
    if not isinstance(value, kinds):
        raise TypeError(f"{name} must be {kinds[0].__name__}, not {type(value).__name__}")


class Faults:
    """The faults that are still to happen, the oldest first; threads share them."""

    def __init__(self, operations: Collection[str]) -> None:
        self._operations = operations
        self._lock = threading.Lock()
        self._queue: list[tuple[str | None, Fault]] = []

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, operation: str | None, fault: Fault, times: int) -> None:
        """Let the next requests of an operation, or of any, meet a fault."""
        if operation is not None and operation not in self._operations:
            known = ", ".join(self._operations)
            raise ValueError(f"there is no operation {operation!r}; there are {known}")
        _require("times", times, int)
        if times < 1:
            raise ValueError(f"times must be at least 1, not {times}")
        with self._lock:
            self._queue += [(operation, fault)] * times

    def take(self, operation: str) -> Fault | None:
        """Remove and return the fault that a request of this operation meets, if any."""
        with self._lock:
            for place, (name, fault) in enumerate(self._queue):
                if name in (None, operation):
                    del self._queue[place]
                    return fault
        return None

    def clear(self) -> None:
        """Drop them all."""
        with self._lock:
            self._queue.clear()


def deliver(wire: socket.socket, head: bytes, content: bytes, fault: Fault) -> bool:
    """Send a response the way a fault has it; return whether the connection may go on."""
    if fault.way == "response":
        wire.sendall(head + content)
    elif fault.way == "late":
        if _wait_for_close(wire, fault.seconds):
            return False
        wire.sendall(head + content)
    elif fault.way == "drip":
        return _drip(wire, head + content, fault.seconds)
    elif fault.way == "cut":
        wire.sendall(head + content[: len(content) // 2])
    elif fault.way == "reset":
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    elif not _wait_for_close(wire, fault.seconds):
        wire.sendall(fault.content or b"")
    return fault.way in ("response", "late")


def reset(wire: socket.socket) -> None:
    """Close a connection with a reset (RST)."""
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    wire.close()


def is_to_be_reset(wire: socket.socket) -> bool:
    """Whether closing the connection resets it, so that no FIN must precede."""
    setting = wire.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER.size)
    lingers, seconds = _LINGER.unpack(setting)
    return bool(lingers) and seconds == 0


def _drip(wire: socket.socket, response: bytes, seconds: float) -> bool:
    for byte in response:
        if _wait_for_close(wire, seconds):
            return False
        wire.sendall(bytes([byte]))
    return True


def _wait_for_close(wire: socket.socket, seconds: float) -> bool:
    """Wait; return early, with True, when the client or the sandbox ends the connection."""
    with selectors.DefaultSelector() as selector:
        selector.register(wire, selectors.EVENT_READ)
        return bool(selector.select(seconds))
