"""A server on loopback that sends scripted bytes as its responses, and notes the requests."""

import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Reply:
    """What to send to one request, and what comes after it."""

    data: bytes
    then: str = "keep"
    """``keep`` the connection, ``close`` it, ``hang``: keep it, and respond no more; or ``tls``:
    begin TLS on it, as the end of a proxy's tunnel does.
    """


@dataclass(frozen=True)
class Received:
    """A request as it came."""

    method: str
    path: str
    headers: Message
    body: bytes
    connection: int


def response(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    """Return a well-framed response; ``Retry_After`` is the header ``Retry-After``."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class ScriptedServer(ThreadingHTTPServer):
    """Sends the replies one after another, the last one again and again."""

    daemon_threads = True

    def __init__(
        self,
        *replies: Reply | bytes,
        context: ssl.SSLContext | None = None,
        tunnel: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.replies = list(replies)
        self.context = context
        self.tunnel = tunnel
        self.received: list[Received] = []
        self.has_ended = threading.Event()
        self.lock = threading.Lock()
        self.connections = 0
        self.address = f"127.0.0.1:{self.server_port}"
        self.url = f"{'https' if context else 'http'}://{self.address}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=[0.01], daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.has_ended.set()
        self.shutdown()
        self.server_close()

    def next_reply(self) -> Reply:
        """Return what to send now."""
        with self.lock:
            reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        return reply if isinstance(reply, Reply) else Reply(reply)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients may end a connection at any time, or refuse to shake hands."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ScriptedServer

    def setup(self) -> None:
        if self.server.context is not None:  # in this connection's own thread
            self.request = self.server.context.wrap_socket(self.request, server_side=True)
        super().setup()
        self.number = 0

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()
        if isinstance(self.request, ssl.SSLSocket):
            self.request.close()  # the server holds the plain socket, which is detached

    def _reply(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.server.lock:
            if not self.number:
                self.server.connections += 1
                self.number = self.server.connections
            received = Received(self.command, self.path, self.headers, body, self.number)
            self.server.received.append(received)
        reply = self.server.next_reply()
        self.wfile.write(reply.data)
        if reply.then == "hang":
            self.server.has_ended.wait(60)
        self.close_connection = reply.then not in ("keep", "tls")
        if reply.then == "tls" and self.server.tunnel is not None:
            self.request = self.server.tunnel.wrap_socket(self.request, server_side=True)
            super().setup()

    do_GET = do_POST = do_PUT = do_DELETE = do_CONNECT = _reply  # noqa: N815  # http.server's names

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def unused_address() -> str:
    """Return an address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"
