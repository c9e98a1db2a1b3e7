"""A response's body: decoded in pieces of a bounded size."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from http.client import HTTPException

from urllib3 import BaseHTTPResponse

_CHUNK = 65536
_MAX_MEMBERS = 1000
"""The most members of a gzip body; each costs time and memory, however little it holds."""
_GZIP = b"\x1f"  # the first byte of each of its members


def iter_decoded(response: BaseHTTPResponse) -> Iterator[bytes]:
    """Read a response's body in decoded pieces, each of a bounded size.

    urllib3 before 2.6 decodes what it read to whatever size that has, and no version notices that
    a compressed body is cut off.
    """
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding in ("", "identity"):
        while chunk := response.read(_CHUNK):
            yield chunk
        return
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise HTTPException(f"the response's Content-Encoding is {encoding!r}")
    yield from _decompress(response)


def _decompress(response: BaseHTTPResponse) -> Iterator[bytes]:
    unpacker, members = None, 0
    while chunk := response.read(_CHUNK, decode_content=False):
        while chunk:
            if unpacker is None or (unpacker.eof and chunk.startswith(_GZIP)):
                unpacker, members = zlib.decompressobj(_zlib_wbits(chunk)), members + 1
                if members > _MAX_MEMBERS:
                    raise HTTPException(f"the body has more than {_MAX_MEMBERS} gzip members")
            elif unpacker.eof:  # padding follows
                break
            yield unpacker.decompress(chunk, _CHUNK)
            chunk = unpacker.unconsumed_tail or unpacker.unused_data
    if unpacker is not None:
        yield unpacker.flush()  # a few bytes, if a piece was full just when its input ended
        if not unpacker.eof:
            raise HTTPException("the compressed body is cut off")


def _zlib_wbits(chunk: bytes) -> int:
    """Return zlib's ``wbits`` for the format: gzip, zlib, or raw deflate, which some send."""
    is_framed = chunk.startswith(_GZIP) or chunk[0] & 0x0F == zlib.DEFLATED
    return zlib.MAX_WBITS + 32 if is_framed else -zlib.MAX_WBITS
