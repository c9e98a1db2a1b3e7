"""Connections that tell a failure to connect apart, and whose reads keep a deadline."""

from __future__ import annotations

import io
import re
import socket
import time
from functools import cache
from http.client import HTTPException, HTTPMessage, LineTooLong
from http.client import HTTPResponse as ClientResponse
from typing import TYPE_CHECKING, Any, Self, cast

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


MAX_LINE = 65536
"""The most bytes of a line that frames a response: a status line, a field, a chunk's size."""
MAX_HEAD_LINES = 101
"""The most lines before a body: a status line, 99 fields and an empty one; interim ones count."""
_BUFFER_SIZE = 8192  # io's own differs between Pythons


@cache
def _patterns() -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """Return what finds an ordinary head, and its lines that frame a body; slow to compile."""
    line = rb"[\w-]+:[\t -~]*\r\n"
    head = rb"HTTP/1\.1 ([2-5]\d\d) ([!-~][ -~]*[!-~])\r\n((?:" + line + rb"){1,99})\r\n"
    framing = rb"(?im)^(connection|content-length|transfer-encoding):[\t ]*([^\r]*)"
    return re.compile(head), re.compile(framing)


class Timeouts:
    """Time timeouts of an attempt: seconds to connect, seconds of silence, and the end of all."""

    def __init__(self, connect: float, read: float, deadline: float) -> None:
        self.connect = connect
        self.read = read
        self.deadline = deadline

    def remaining(self) -> float:
        """Return the seconds that remain until the deadline."""
        return self.deadline - time.monotonic()


class DeadlineTimeout(float):
    """The seconds that a peer may be silent, with the timeouts that it comes from.

    urllib3 hands it to the connection as the one time limit of a request. ``max_bytes`` bounds the
    bytes of an answer on the wire; None is for no bound.
    """

    timeouts: Timeouts
    max_bytes: int | None

    def __new__(cls, timeouts: Timeouts, max_bytes: int | None = None) -> DeadlineTimeout:
        """Clip the silence to what is left; a wait may have ended a little late."""
        self = super().__new__(cls, min(timeouts.read, max(timeouts.remaining(), 0.001)))
        self.timeouts = timeouts
        self.max_bytes = max_bytes
        return self

    def for_connect(self) -> DeadlineTimeout:
        """Return the limit of connecting, under the same deadline."""
        timeouts = self.timeouts
        return DeadlineTimeout(Timeouts(timeouts.connect, timeouts.connect, timeouts.deadline))


class ConnectError(HTTPError):
    """There was no connection, so nothing was sent."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(cause)
        self.cause = cause


class DeadlineHTTPConnection(HTTPConnection):
    """A connection that tells a failure to connect apart, and whose reads keep a deadline."""

    _begun: ClientResponse | None = None
    _reader: ResponseReader | None = None

    def connect(self) -> None:
        """Connect, TLS and a proxy's tunnel included, or raise ConnectError."""
        silence = self.timeout
        if isinstance(silence, DeadlineTimeout):
            self.timeout: float | None = silence.for_connect()
        self._reader = None
        try:
            super().connect()
            self._check_tunnel()
        except Exception as error:
            raise ConnectError(error) from error
        if isinstance(silence, DeadlineTimeout):  # to send with, as over a connection that was open
            self.sock.settimeout(DeadlineTimeout(silence.timeouts))

    def response_class(  # type: ignore[override]  # called as the class would be
        self, sock: socket.socket, *arguments: Any, **named: Any
    ) -> ClientResponse:
        """Return a response that keeps the deadline of the time limit set last."""
        reader: Any = ResponseReader(DeadlineSocketIO(sock, cast("DeadlineTimeout", self.timeout)))
        self._reader = reader
        self._begun = Answer(reader, *arguments, **named)
        return self._begun

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3 does
        """Return the response, or close what of it has begun: it holds the socket open."""
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
        """Whether the connection is open, and nothing came over it that nobody asked for."""
        return super().is_connected and not self._has_left_over()

    def _has_left_over(self) -> bool:
        """Whether bytes came after the last response; what they are is not known, so none is read.

        A peer, or somebody between, may have sent them as the response to the next request.
        """
        if self._reader is None:
            return False
        self._reader.close()
        return self._reader.has_left_over


class DeadlineHTTPSConnection(DeadlineHTTPConnection, HTTPSConnection):  # pyright: ignore[reportIncompatibleVariableOverride]
    """The same, over TLS."""

    @property
    def is_connected(self) -> bool:
        """The same, where bytes may be read from the socket, but not yet from TLS."""
        pending = getattr(self.sock, "pending", None)
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


class ResponseReader(io.BufferedReader):
    """A response's bytes, with bounds of our own; it knows whether more came than the response."""

    lines_left: int | None = MAX_HEAD_LINES
    """The lines that may still come; None, of a body, is for any number."""
    has_left_over: bool = False
    """Whether bytes were here, when it was closed, that nobody had read."""

    def __init__(self, raw: DeadlineSocketIO) -> None:
        super().__init__(raw, _BUFFER_SIZE)
        self._file = raw

    def makefile(self, _mode: str) -> Self:
        """Return itself: http.client expects a socket, and asks it for a reader."""
        return self

    def readline(self, size: int | None = -1, /) -> bytes:
        """Read a line; refuse one that is too long, or one too many."""
        if self.lines_left is not None:
            self.lines_left -= 1
            if self.lines_left < 0:
                raise HTTPException(f"more than {MAX_HEAD_LINES} lines came before the body")
        most = MAX_LINE + 1
        line = super().readline(most if size is None or size < 0 else min(size, most))
        if len(line) > MAX_LINE:
            raise LineTooLong("a line")
        return line

    def close(self) -> None:
        """Note what is left over, and close; http.client does so where a response ends."""
        if not self.closed:
            self._file.has_ended = True  # so that peek shows what is here, and waits for no more
            self.has_left_over = bool(self.peek())
        super().close()


class DeadlineSocketIO(io.RawIOBase):
    """A socket's bytes, each wait for them bounded by what remains until the deadline."""

    has_ended: bool = False

    def __init__(self, sock: socket.socket, silence: DeadlineTimeout) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._timeout = silence
        self._bytes_received = 0

    def readable(self) -> bool:
        """As io asks."""
        return True

    def fileno(self) -> int:
        """Return the socket's."""
        return self._raw.fileno()

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        """Wait for bytes, but not past the deadline; refuse more of them than are allowed."""
        if self.has_ended:
            return None
        left = self._timeout.timeouts.remaining()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        if left < self._timeout:  # else the socket has its time limit already
            self._sock.settimeout(left)
        size = self._sock.recv_into(buffer)
        self._bytes_received += size
        if self._timeout.max_bytes is not None and self._bytes_received > self._timeout.max_bytes:
            raise HTTPException(f"more than {self._timeout.max_bytes} bytes came")
        return size

    def close(self) -> None:
        """Let go of the socket."""
        self._raw.close()
        super().close()
