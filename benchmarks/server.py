"""Responds with lists of tokens as quickly as it can, for compare.py.

It knows no more of HTTP than that: keep-alive, GET, and app N has N tokens.
"""

from __future__ import annotations

import json
import socketserver
import threading
import uuid
from functools import cache
from typing import Any


def token(number: int) -> dict[str, Any]:
    """Return a token with all of its fields; no two are the same."""
    return {
        "createdAt": f"2026-03-{1 + number % 28:02}T08:{number % 60:02}:12.{number % 1000:03}Z",
        "enabled": number % 10 != 0,
        "id": 100_000 + number,
        "name": f"log shipper of host {number}",
        "readable": number % 2 == 0,
        "token": str(uuid.UUID(int=number * 0x9E3779B97F4A7C15 % 2**128, version=4)),
        "writeable": True,
    }


@cache
def response(count: int) -> bytes:
    """Return a complete response with so many tokens."""
    tokens = [token(number) for number in range(1, count + 1)]
    document = {"data": {"tokens": tokens}, "errors": None, "message": None, "success": True}
    body = json.dumps(document, separators=(",", ":")).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


class Handler(socketserver.BaseRequestHandler):
    """Serves a client until it goes."""

    def handle(self) -> None:
        """Read heads of requests, such as GET /users-web/api/v3/apps/N/tokens."""
        waiting = b""
        while received := self.request.recv(65536):
            *heads, waiting = (waiting + received).split(b"\r\n\r\n")
            for head in heads:
                self.request.sendall(response(int(head.split(b"/", 6)[5])))


class Server(socketserver.ThreadingTCPServer):
    """A thread for each connection: it waits in one system call."""

    daemon_threads = True
    disable_nagle_algorithm = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went."""


def start() -> str:
    """Serve on a free port of the loopback interface while this process lives; return its URL."""
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"
