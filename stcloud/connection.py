"""Connections that tell a failure to connect apart, and whose reads keep a deadline."""

from __future__ import annotations

import io
import re
import socket
import time
from functools import cache
from http.client import HTTPException, HTTPMessage
from http.client import HTTPResponse as ClientResponse
from typing import TYPE_CHECKING, Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


@cache
def _patterns() -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """Return what finds an ordinary head, and its lines that frame a body; slow to compile."""
    line = rb"[\w-]+:[\t -~]*\r\n"
    head = rb"HTTP/1\.1 ([2-5]\d\d) ([!-~][ -~]*[!-~])\r\n((?:" + line + rb"){1,99})\r\n"
    framing = rb"(?im)^(connection|content-length|transfer-encoding):[\t ]*([^\r]*)"
    return re.compile(head), re.compile(framing)


class Limits:
    """Time limits of an attempt: seconds to connect, seconds of silence, and the end of all."""

    def __init__(self, connect: float, read: float, deadline: float) -> None:
        self.connect = connect
        self.read = read
        self.deadline = deadline

    def left(self) -> float:
        """Return the seconds that remain until the deadline."""
        return self.deadline - time.monotonic()


class Silence(float):
    """The seconds that a peer may be silent, with the limits that it comes from.

    urllib3 hands it to the connection as the one time limit of a request. ``most`` bounds the
    bytes of an answer on the wire; None is for no bound.
    """

    limits: Limits
    most: int | None

    def __new__(cls, limits: Limits, most: int | None = None) -> Silence:
        """Clip the silence to what is left; a wait may have ended a little late."""
        self = super().__new__(cls, min(limits.read, max(limits.left(), 0.001)))
        self.limits = limits
        self.most = most
        return self

    def for_connecting(self) -> Silence:
        """Return the limit of connecting, under the same deadline."""
        limits = self.limits
        return Silence(Limits(limits.connect, limits.connect, limits.deadline))


class Unsent(HTTPError):
    """There was no connection, so nothing was sent."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(cause)
        self.cause = cause


class Watched(HTTPConnection):
    """A connection that tells a failure to connect apart, and whose reads keep a deadline."""

    _begun: ClientResponse | None = None

    def connect(self) -> None:
        """Connect, TLS and a proxy's tunnel included, or raise Unsent."""
        silence = self.timeout
        if isinstance(silence, Silence):
            self.timeout: float | None = silence.for_connecting()
        try:
            super().connect()
        except Exception as error:
            raise Unsent(error) from error
        if isinstance(silence, Silence):  # to send with, as over a connection that was open
            self.sock.settimeout(Silence(silence.limits))

    def response_class(  # type: ignore[override]  # called as the class would be
        self, sock: socket.socket, *arguments: Any, **named: Any
    ) -> ClientResponse:
        """Return a response that keeps the deadline of the time limit set last."""
        timed: Any = _Timed(sock, self.timeout)
        self._begun = Answer(timed, *arguments, **named)
        return self._begun

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3 does
        """Return the response, or close what of it has begun: it holds the socket open."""
        try:
            return super().getresponse()
        except BaseException:
            if self._begun is not None:
                self._begun.close()
            raise
        finally:
            self._begun = None


class WatchedTls(Watched, HTTPSConnection):  # pyright: ignore[reportIncompatibleVariableOverride]
    """The same, over TLS."""

    @property
    def is_connected(self) -> bool:
        """Whether the connection is open, and nothing waits in it that nobody asked for."""
        pending = getattr(self.sock, "pending", None)  # read from the socket, not yet from TLS
        return super().is_connected and not (pending and pending())


class Answer(ClientResponse):
    """http.client's response, which reads an ordinary head without its e-mail parser.

    That parser takes a sixth of a call's time. Ordinary is a head that came in one piece, in
    visible ASCII, and says once how its body is framed; http.client reads all others.
    """

    # What _take sets, with the types that http.client gives it.
    version: int
    code: int
    status: int
    reason: str
    headers: HTTPMessage
    msg: HTTPMessage
    chunked: bool
    chunk_left: int | None
    length: int | None
    will_close: bool

    def __init__(self, sock: socket.socket, *arguments: Any, **named: Any) -> None:
        super().__init__(sock, *arguments, **named)
        self._is_plain = named.get("method") != "HEAD" and self.debuglevel <= 0

    def begin(self) -> None:
        """Read status line and headers."""
        file = self.fp
        usual = self._is_plain and self.headers is None  # pyright: ignore[reportUnnecessaryComparison]
        head = _patterns()[0].match(file.peek()) if usual else None
        if head is not None and self._take(int(head[1]), head[2], head[3]):
            file.read(head.end())
        else:
            super().begin()

    def _take(self, status: int, reason: bytes, lines: bytes) -> bool:
        """Set what http.client would; return False, with nothing set, for it to do so."""
        found: list[tuple[bytes, bytes]] = _patterns()[1].findall(lines)
        framing = {name.lower(): value.lower() for name, value in found}
        length, encoding = framing.get(b"content-length"), framing.get(b"transfer-encoding")
        is_length = length is not None and length.isdigit() and len(length) < 19 and not encoding
        is_chunked = encoding == b"chunked" and length is None
        if len(framing) < len(found) or status in (204, 304) or not (is_length or is_chunked):
            return False
        self.version, self.code, self.status, self.reason = 11, status, status, reason.decode()
        self.headers = self.msg = HTTPMessage()
        for line in lines.decode().splitlines():
            name, _, value = line.partition(":")
            self.headers.set_raw(name, value.lstrip("\t "))  # as a parser does
        self.chunked = is_chunked
        if is_chunked:
            self.chunk_left = None
        self.length = int(length) if length is not None else None
        self.will_close = b"close" in framing.get(b"connection", b"")
        return True


class _Timed:
    """What a response reads from in place of a socket."""

    def __init__(self, sock: socket.socket, silence: float | None) -> None:
        self._sock = sock
        self._silence = silence

    def makefile(self, _mode: str) -> io.BufferedReader:
        raw = self._sock.makefile("rb", buffering=0)
        if not isinstance(self._silence, Silence):  # not set by RestClient
            return io.BufferedReader(raw)
        return io.BufferedReader(TimedFile(self._sock, raw, self._silence))


class TimedFile(io.RawIOBase):
    """A socket's bytes, each wait for them bounded by what remains until the deadline."""

    def __init__(self, sock: socket.socket, raw: socket.SocketIO, silence: Silence) -> None:
        self._sock = sock
        self._raw = raw
        self._silence = silence
        self._came = 0

    def readable(self) -> bool:
        """As io asks."""
        return True

    def fileno(self) -> int:
        """Return the socket's."""
        return self._raw.fileno()

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Wait for bytes, but not past the deadline; refuse more of them than are allowed."""
        left = self._silence.limits.left()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        if left < self._silence:  # else the socket has its time limit already
            self._sock.settimeout(left)
        size = self._sock.recv_into(buffer)
        self._came += size
        if self._silence.most is not None and self._came > self._silence.most:
            raise HTTPException(f"more than {self._silence.most} bytes came")
        return size

    def close(self) -> None:
        """Let go of the socket."""
        self._raw.close()
        super().close()
