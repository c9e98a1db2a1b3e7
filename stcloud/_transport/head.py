"""Status line and headers of a response: read fast where they are ordinary, in bounds always."""

from __future__ import annotations

import io
import re
import socket
from functools import cache
from http.client import HTTPException, HTTPMessage, LineTooLong
from http.client import HTTPResponse as ClientResponse
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from stcloud._transport.connection import DeadlineSocketIO

MAX_LINE = 65536
"""The most bytes of a line that frames a response: a status line, a field, a chunk's size."""
MAX_HEAD_LINES = 101
"""The most lines before a body: a status line, 99 fields and an empty one; interim ones count."""
_BUFFER_SIZE = 8192  # io's own differs between Pythons


@cache
def _patterns() -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """Return what finds ordinary headers, and those that frame a body; slow to compile."""
    line = rb"[\w-]+:[\t -~]*\r\n"
    head = rb"HTTP/1\.1 ([2-5]\d\d) ([!-~][ -~]*[!-~])\r\n((?:" + line + rb"){1,99})\r\n"
    framing = rb"(?im)^(connection|content-length|transfer-encoding):[\t ]*([^\r]*)"
    return re.compile(head), re.compile(framing)


class HeadResponse(ClientResponse):
    """http.client's response, which reads ordinary headers without its email parser.

    That parser takes a sixth of a call's time. Ordinary are status line and headers that came in
    one piece, in visible ASCII, and say once how the body is framed; http.client reads all others.
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
    """Reads a response's bytes in bounds, and knows whether more came than the response."""

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
