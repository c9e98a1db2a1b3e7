"""Status line and headers of a response, read strictly (RFC 9112), and where its body ends."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
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
"""The most digits of a length: more than a petabyte fits, and no integer overflows."""


_FRAMING_FIELDS = ("transfer-encoding", "content-length")


class Head(NamedTuple):
    """A status line, and the headers after it in their order."""

    minor_version: int
    status: int
    reason: str
    fields: list[tuple[str, str]]

    def lists(self, *names: str) -> Iterator[list[str]]:
        """Yield the elements of list fields, in lower case; each may stand in several lines."""
        found: dict[str, list[str]] = {}
        for name, value in self.fields:
            if (field := name.lower()) in names:
                elements = found.setdefault(field, [])
                elements += [element.strip(" \t") for element in value.lower().split(",")]
        return (found.get(name, []) for name in names)


class Framing(NamedTuple):
    """Where a body ends: after so many bytes, after its chunks, or with the connection."""

    length: int | None
    is_chunked: bool
    will_close: bool
    removed: tuple[str, ...] = ()
    """The headers that mean nothing once the body is read: RFC 9112 7.1.3 removes them, too."""


@cache
def _patterns() -> tuple[re.Pattern[bytes], re.Pattern[bytes], re.Pattern[bytes]]:
    """Return what a status line, a field and a chunk's size look like; slow to compile."""
    text = rb"[\t -~\x80-\xff]*"
    return (
        re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: (" + text + rb"))?"),
        re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):(" + text + rb")"),
        re.compile(rb"([0-9A-Fa-f]{1,%d})[\t ]*(?:;%b)?\r\n" % (_MAX_DIGITS, text)),
    )


def read_head(file: io.BufferedReader) -> Head:
    """Read the status line and headers of a final response; pass over interim ones.

    Raises:
        HTTPException: they are cut off, or not what RFC 9112 allows. Its text quotes nothing.
    """
    if not file.peek(1):
        raise RemoteDisconnected("the server closed the connection without a response")
    lines = _iter_lines(file)
    while True:
        head = _read_one_head(lines)
        if head.status >= 200:
            return head
        if head.status == 101:  # nobody asked for it
            raise HTTPException("the server switches to another protocol (101)")


def _read_one_head(lines: Iterator[bytes]) -> Head:
    status_line, field, _ = _patterns()
    found = status_line.fullmatch(next(lines))
    if found is None:
        raise HTTPException("what came does not begin as an HTTP/1 response does")
    fields: list[tuple[str, str]] = []
    while line := next(lines):
        if fields and line[:1] in b"\t ":  # folded: RFC 9112 5.2 makes a space of that
            name, value = fields.pop()
            line = f"{name}:{value} ".encode("latin-1") + line.lstrip(b"\t ")
        parts = field.fullmatch(line)
        if parts is None:
            raise HTTPException("a line among the response's headers is no header")
        fields.append((parts[1].decode("ascii"), parts[2].strip(b"\t ").decode("latin-1")))
    reason = (found[3] or b"").strip(b"\t ").decode("latin-1")
    return Head(int(found[1]), int(found[2]), reason, fields)


def _iter_lines(file: io.BufferedReader) -> Iterator[bytes]:
    """Read lines without their ends, which may be a bare LF (RFC 9112 2.2); bound their number."""
    for _ in range(MAX_HEAD_LINES):
        line = file.readline(MAX_LINE + 1)
        if len(line) > MAX_LINE:
            raise HTTPException(f"a line before the body has more than {MAX_LINE} bytes")
        if not line.endswith(b"\n"):
            raise HTTPException("the response's status line or headers are cut off")
        yield line[:-2] if line.endswith(b"\r\n") else line[:-1]
    raise HTTPException(f"more than {MAX_HEAD_LINES} lines came before the body")


def frame(head: Head, method: str | None) -> Framing:
    """Return where the body of the response to such a request ends (RFC 9112 6.3).

    Raises:
        HTTPException: the headers contradict each other, or say what nobody can read.
    """
    connection, codings, lengths = head.lists("connection", "transfer-encoding", "content-length")
    will_close = "close" in connection or (
        head.minor_version == 0 and "keep-alive" not in connection
    )
    if method == "HEAD" or head.status in (204, 304):  # no body, whatever the headers say
        if codings or (head.status == 204 and set(lengths) - {"0"}) or len(lengths) > 1:
            return Framing(0, is_chunked=False, will_close=True, removed=_FRAMING_FIELDS)
        return Framing(0, is_chunked=False, will_close=will_close)
    if codings:
        if lengths or head.minor_version == 0 or list(filter(None, codings)) != ["chunked"]:
            raise HTTPException("the response's Transfer-Encoding is not chunked alone")
        removed = ("transfer-encoding",)
        return Framing(None, is_chunked=True, will_close=will_close, removed=removed)
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

    def begin(self) -> None:
        """Read status line and headers, and set what http.client would."""
        head = read_head(self.fp)
        framing = frame(head, self._method)  # type: ignore[attr-defined]  # of http.client
        self.version, self.reason = 10 + min(head.minor_version, 1), head.reason
        self.code = self.status = head.status
        self.headers = self.msg = HTTPMessage()
        for name, value in head.fields:
            if not framing.removed or name.lower() not in framing.removed:
                self.headers.set_raw(name, value)
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
        found = _patterns()[2].fullmatch(self._file.readline(MAX_LINE))
        if found is None:
            raise HTTPException("the body's chunks have no readable sizes")
        if size := int(found[1], 16):
            return size
        trailers = _iter_lines(self._file)
        while line := next(trailers):
            if _patterns()[1].fullmatch(line) is None:
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

    def makefile(self, _mode: str) -> Self:
        """Return itself: http.client expects a socket, and asks it for a reader."""
        return self

    def close(self) -> None:
        """Note what is left over, and close; http.client does so where a response ends."""
        if not self.closed:
            self._file.has_ended = True  # so that peek shows what is here, and waits for no more
            self.has_left_over = bool(self.peek())
        super().close()
