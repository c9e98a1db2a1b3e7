"""Connections whose every wait ends with the call's deadline."""

from __future__ import annotations

import io
import socket
import time
from http.client import HTTPException
from http.client import HTTPResponse as ClientResponse
from typing import TYPE_CHECKING, Any, cast

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse

from stcloud._transport.head import HeadResponse, ResponseReader

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class Timeouts:
    """Timeouts of one attempt, in seconds: connect, read, and the call's deadline."""

    def __init__(self, connect: float, read: float, deadline: float) -> None:
        self.connect = connect
        self.read = read
        self.deadline = deadline

    def remaining(self) -> float:
        """Return the seconds that remain until the deadline."""
        return self.deadline - time.monotonic()


class DeadlineTimeout(float):
    """A read timeout that also carries the deadline; urllib3 accepts only a float.

    urllib3 passes it to the connection as the timeout of a request. ``max_bytes`` bounds the
    bytes of a response on the wire; None is for no bound.
    """

    timeouts: Timeouts
    max_bytes: int | None

    def __new__(cls, timeouts: Timeouts, max_bytes: int | None = None) -> DeadlineTimeout:
        """Clip the timeout to what remains; a wait may have ended a little late."""
        self = super().__new__(cls, min(timeouts.read, max(timeouts.remaining(), 0.001)))
        self.timeouts = timeouts
        self.max_bytes = max_bytes
        return self

    def for_connect(self) -> DeadlineTimeout:
        """Return the timeout of connecting, under the same deadline."""
        timeouts = self.timeouts
        return DeadlineTimeout(Timeouts(timeouts.connect, timeouts.connect, timeouts.deadline))


class ConnectError(HTTPError):
    """Connecting failed, so nothing was sent."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(cause)
        self.cause = cause


class DeadlineHTTPConnection(HTTPConnection):
    """Raises ConnectError if connecting fails; every read respects the deadline."""

    _begun: ClientResponse | None = None
    _reader: ResponseReader | None = None

    def connect(self) -> None:
        """Connect, TLS and a proxy's tunnel included, or raise ConnectError."""
        timeout = self.timeout
        if isinstance(timeout, DeadlineTimeout):
            self.timeout: float | None = timeout.for_connect()
        self._reader = None
        try:
            super().connect()
            self._check_tunnel()
        except Exception as error:
            raise ConnectError(error) from error
        if isinstance(timeout, DeadlineTimeout):  # to send with, as over a connection that was open
            self.sock.settimeout(DeadlineTimeout(timeout.timeouts))

    def response_class(  # type: ignore[override]  # called as the class would be
        self, sock: socket.socket, *arguments: Any, **named: Any
    ) -> ClientResponse:
        """Return a response that respects the deadline of the timeout set last."""
        reader: Any = ResponseReader(DeadlineSocketIO(sock, cast("DeadlineTimeout", self.timeout)))
        self._reader = reader
        self._begun = HeadResponse(reader, *arguments, **named)
        return self._begun

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3 does
        """Return the response; close it if reading fails, since it holds the socket open."""
        try:
            response = super().getresponse()
        except BaseException:
            if self._begun is not None:
                self._begun.close()
            raise
        else:
            if self._reader is not None:
                self._reader.lines_left = None
            return response
        finally:
            self._begun = None

    def _check_tunnel(self) -> None:
        if self._has_left_over():  # not by TLS: the reader of the response to CONNECT has it
            self.close()
            raise HTTPException("the proxy sent bytes after its response to CONNECT")

    @property
    def is_connected(self) -> bool:
        """Whether the connection is open, and no unsolicited bytes came over it."""
        return super().is_connected and not self._has_left_over()

    def _has_left_over(self) -> bool:
        """Return whether bytes came after the last response.

        They are not read: a proxy or an attacker may have sent them as the next response.
        """
        if self._reader is None:
            return False
        self._reader.close()
        return self._reader.has_left_over


class DeadlineHTTPSConnection(DeadlineHTTPConnection, HTTPSConnection):  # pyright: ignore[reportIncompatibleVariableOverride]
    """The same over TLS."""

    @property
    def is_connected(self) -> bool:
        """Whether it is open, and TLS holds no unsolicited bytes that it has read already."""
        pending = getattr(self.sock, "pending", None)
        return super().is_connected and not (pending and pending())


class DeadlineSocketIO(io.RawIOBase):
    """Reads from a socket; every wait ends with the deadline."""

    has_ended: bool = False

    def __init__(self, sock: socket.socket, timeout: DeadlineTimeout) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._timeout = timeout
        self._bytes_received = 0

    def readable(self) -> bool:
        """Return True: io asks."""
        return True

    def fileno(self) -> int:
        """Return the socket's file descriptor."""
        return self._raw.fileno()

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        """Read until the deadline at most; raise HTTPException after ``max_bytes``."""
        if self.has_ended:
            return None
        left = self._timeout.timeouts.remaining()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        if left < self._timeout:  # else the socket has its timeout already
            self._sock.settimeout(left)
        size = self._sock.recv_into(buffer)
        self._bytes_received += size
        if self._timeout.max_bytes is not None and self._bytes_received > self._timeout.max_bytes:
            raise HTTPException(f"more than {self._timeout.max_bytes} bytes came")
        return size

    def close(self) -> None:
        """Close this reader; the socket closes with its last one."""
        self._raw.close()
        super().close()
