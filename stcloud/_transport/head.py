"""Status line and headers of a response, read strictly (RFC 9112), and where its body ends."""

from __future__ import annotations

import io
import re
from functools import cache
from http.client import HTTPException, HTTPMessage, RemoteDisconnected
from http.client import HTTPResponse as ClientResponse
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from stcloud._transport.connection import DeadlineSocketIO

MAX_LINE = 65536
"""The most bytes of a line that frames a response: a status line, a field, a chunk's size."""
MAX_HEAD_LINES = 101
"""The most lines before a body: a status line, 99 fields and an empty one; interim ones count."""
_BUFFER_SIZE = 8192  # io's own differs between Pythons
_MAX_DIGITS = 15
"""The most digits of a length: nearly a petabyte, and no integer overflows."""


_EMPTY_LINES = (b"\r\n", b"\n")


class Head(NamedTuple):
    """A status line, and the headers after it.

    The last three are the elements, in lower case, of Connection, Transfer-Encoding and
    Content-Length: they say where the body ends.
    """

    minor_version: int
    status: int
    reason: str
    headers: HTTPMessage
    connection: list[str]
    codings: list[str]
    lengths: list[str]


class Framing(NamedTuple):
    """Where a body ends: after so many bytes, after its chunks, or with the connection."""

    length: int | None
    is_chunked: bool
    will_close: bool
    removed: tuple[str, ...] = ()
    """The headers that mean nothing once the body is read: RFC 9112 7.1.3 removes them, too."""


_TEXT = r"[\t -~\x80-\xff]*"
_FIELD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+:" + _TEXT + r"\r?\n"


@cache
def _head_pattern() -> re.Pattern[str]:
    """Return what a head looks like; it is slow to compile."""
    status_line = r"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: (" + _TEXT + r"))?\r?\n"
    return re.compile(status_line + r"((?:" + _FIELD + r")*)\r?\n")


@cache
def _chunk_patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return what the size of a chunk looks like, and the trailers after the last one."""
    size = rf"([0-9A-Fa-f]{{1,{_MAX_DIGITS}}})[\t ]*(?:;{_TEXT})?\r\n"
    return re.compile(size), re.compile(f"(?:{_FIELD})*\r?\n")


def read_head(file: io.BufferedReader) -> Head:
    """Read the status line and headers of a final response; pass over interim ones.

    Raises:
        HTTPException: they are cut off, or not what RFC 9112 allows. Its text quotes nothing.
    """
    if not file.peek(1):
        raise RemoteDisconnected("the server closed the connection without a response")
    lines = MAX_HEAD_LINES
    while True:
        block = _read_block(file, lines)
        head = _parse_head(block)
        if head.status >= 200:
            return head
        if head.status == 101:  # nobody asked for it
            raise HTTPException("the server switches to another protocol (101)")
        lines -= block.count("\n")


def _read_block(file: io.BufferedReader, most: int) -> str:
    """Read lines up to an empty one; they may end with a bare LF (RFC 9112 2.2)."""
    lines: list[bytes] = []
    for _ in range(most):
        line = file.readline(MAX_LINE + 1)
        lines.append(line)
        if line in _EMPTY_LINES:
            return b"".join(lines).decode("latin-1")
        if len(line) > MAX_LINE:
            raise HTTPException(f"a line of the headers has more than {MAX_LINE} bytes")
        if not line:
            raise HTTPException("the response's status line, headers or trailers are cut off")
    raise HTTPException(f"the headers have more than {MAX_HEAD_LINES} lines")


def _parse_head(block: str) -> Head:
    pattern = _head_pattern()
    found = pattern.fullmatch(block)
    if found is None:
        status_line, end, fields = block.partition("\n")
        # A folded header: RFC 9112 5.2 makes a space of the line's end.
        found = pattern.fullmatch(status_line + end + re.sub(r"\r?\n[\t ]+", " ", fields))
    if found is None:
        raise HTTPException("what came is no status line and headers of HTTP/1")
    minor_version, status, reason, fields = found.groups(default="")
    headers = HTTPMessage()
    connection: list[str] = []
    codings: list[str] = []
    lengths: list[str] = []
    elements = {"connection": connection, "transfer-encoding": codings, "content-length": lengths}
    for line in fields.split("\n")[:-1]:
        name, _, text = line.partition(":")
        value = text.strip("\t\r ")
        headers.set_raw(name, value)
        if (key := name.lower()) in elements:  # each may stand in several lines
            elements[key] += [element.strip("\t ") for element in value.lower().split(",")]
    reason = reason.strip("\t ")
    return Head(int(minor_version), int(status), reason, headers, connection, codings, lengths)


def frame(head: Head, method: str | None) -> Framing:
    """Return where the body of the response to such a request ends (RFC 9112 6.3).

    Raises:
        HTTPException: the headers contradict each other, or say what nobody can read.
    """
    connection, codings, lengths = head.connection, head.codings, head.lengths
    will_close = "close" in connection or (
        head.minor_version == 0 and "keep-alive" not in connection
    )
    if method == "HEAD" or head.status in (204, 304):  # no body, whatever the headers say
        if codings or (head.status == 204 and set(lengths) - {"0"}) or len(lengths) > 1:
            removed = ("transfer-encoding", "content-length")
            return Framing(0, is_chunked=False, will_close=True, removed=removed)
        return Framing(0, is_chunked=False, will_close=will_close)
    if codings:
        if lengths or head.minor_version == 0 or list(filter(None, codings)) != ["chunked"]:
            raise HTTPException("the response's Transfer-Encoding is not chunked alone")
        return Framing(None, is_chunked=True, will_close=will_close, removed=("transfer-encoding",))
    if not lengths:
        return Framing(None, is_chunked=False, will_close=True)
    for length in lengths:
        if not (length.isascii() and length.isdigit() and len(length) <= _MAX_DIGITS):
            raise HTTPException("the response's Content-Length is no number")
        if int(length) != int(lengths[0]):
            raise HTTPException("the response has several Content-Lengths")
    return Framing(int(lengths[0]), is_chunked=False, will_close=will_close)


class StrictResponse(ClientResponse):
    """http.client's response, whose head and chunks are read by this module."""

    # What begin sets, with the types that http.client gives it.
    version: int
    code: int
    status: int
    reason: str
    headers: HTTPMessage
    msg: HTTPMessage
    chunked: bool
    length: int | None
    will_close: bool

    def flush(self) -> None:
        """Do nothing: http.client's would fail on a reader that the collector closed before."""

    def begin(self) -> None:
        """Read status line and headers, and set what http.client would."""
        head = read_head(self.fp)
        framing = frame(head, self._method)  # type: ignore[attr-defined]  # of http.client
        self.version, self.reason = 10 + min(head.minor_version, 1), head.reason
        self.code = self.status = head.status
        self.headers = self.msg = head.headers
        for name in framing.removed:
            del self.headers[name]
        # http.client reads no chunks: to it, ChunkedBody below is a body until the end.
        self.chunked, self.length = False, framing.length
        self.will_close = framing.will_close
        if framing.is_chunked:
            self.fp = io.BufferedReader(ChunkedBody(self.fp), _BUFFER_SIZE)


class ChunkedBody(io.RawIOBase):
    """A body in chunks, read strictly (RFC 9112 7.1); its end is the end of this file."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self._left: int | None = 0
        """Bytes of the chunk that are still to come; None at the end."""
        self._has_begun = False

    def readable(self) -> bool:
        """Return True: io asks."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read from one chunk; return 0 at the end of the last.

        Raises:
            HTTPException: a chunk is cut off, or its size cannot be read.
        """
        if self._left == 0:
            self._left = self._next_size()
        if self._left is None:
            return 0
        size = self._file.readinto1(memoryview(buffer)[: self._left])
        if not size:
            raise HTTPException("a chunk of the body is cut off")
        self._left -= size
        return size

    def _next_size(self) -> int | None:
        if self._has_begun and self._file.readline(3) != b"\r\n":
            raise HTTPException("a chunk of the body does not end where it says")
        self._has_begun = True
        size, trailers = _chunk_patterns()
        found = size.fullmatch(self._file.readline(MAX_LINE).decode("latin-1"))
        if found is None:
            raise HTTPException("the body's chunks have no readable sizes")
        if left := int(found[1], 16):
            return left
        if trailers.fullmatch(_read_block(self._file, MAX_HEAD_LINES)) is None:
            raise HTTPException("a line after the body's chunks is no header")
        return None

    def close(self) -> None:
        """Close the connection's reader, too: the response ends."""
        self._file.close()
        super().close()


class ResponseReader(io.BufferedReader):
    """Reads a response's bytes in bounds, and knows whether more came than the response."""

    has_left_over: bool = False
    """Whether bytes were here, when it was closed, that nobody had read."""

    def __init__(self, raw: DeadlineSocketIO) -> None:
        super().__init__(raw, _BUFFER_SIZE)
        self._file = raw

    @property
    def has_begun(self) -> bool:
        """Whether any byte of the response came."""
        return self._file.bytes_received > 0

    def makefile(self, _mode: str) -> Self:
        """Return itself: http.client expects a socket, and asks it for a reader."""
        return self

    def close(self) -> None:
        """Note what is left over, and close; http.client does so where a response ends."""
        if not self.closed:
            self._file.has_ended = True  # so that peek shows what is here, and waits for no more
            self.has_left_over = bool(self.peek())
        super().close()
