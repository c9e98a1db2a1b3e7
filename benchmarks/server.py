"""Responds with lists of tokens, as quickly as it can, so that its time does not hide the clients'.

It knows no more of HTTP than that: keep-alive, GET, and app N has N tokens. It prints its port, and
ends when its standard input does. compare.py starts it, as a process of its own.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import uuid
from collections.abc import Iterator
from functools import cache
from typing import Any

_LONGEST = 65536  # bytes of a request


def tokens(count: int) -> list[dict[str, Any]]:
    """Return tokens with all of their fields; no two are the same."""
    return [
        {
            "createdAt": f"2026-03-{1 + number % 28:02}T08:{number % 60:02}:12.{number % 1000:03}Z",
            "enabled": number % 10 != 0,
            "id": 100_000 + number,
            "name": f"log shipper of host {number}",
            "readable": number % 2 == 0,
            "token": str(uuid.UUID(int=number * 0x9E3779B97F4A7C15 % 2**128, version=4)),
            "writeable": True,
        }
        for number in range(1, count + 1)
    ]


@cache
def response(count: int) -> bytes:
    """Return a complete response with so many tokens."""
    document = {"data": {"tokens": tokens(count)}, "errors": None, "message": None, "success": True}
    body = json.dumps(document, separators=(",", ":")).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def requests(connection: socket.socket) -> Iterator[bytes]:
    """Yield the head of each request that comes."""
    waiting = b""
    while len(waiting) < _LONGEST and (received := connection.recv(_LONGEST)):
        *heads, waiting = (waiting + received).split(b"\r\n\r\n")
        yield from heads


def serve(connection: socket.socket) -> None:
    """Serve a client until it goes."""
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for head in requests(connection):
                # GET /users-web/api/v3/apps/N/tokens
                connection.sendall(response(int(head.split(b"/", 6)[5])))
        except ConnectionError:
            pass


def accept(listener: socket.socket) -> None:
    """Give each connection a thread: it waits in one system call, with no selector before it."""
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


def main() -> None:
    """Serve on a free port of the loopback interface."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
