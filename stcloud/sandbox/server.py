"""HTTP/1.1 over threads: connections that stay open, whatever was sent on them.

Werkzeug's own server closes a connection after each response, so this one stands on the
standard library's. A thread serves one connection.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import socket
import socketserver
import ssl
import threading
import weakref
from collections.abc import Generator
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import IO, Any, cast
from urllib.parse import unquote

from werkzeug.exceptions import BadRequest, default_exceptions
from werkzeug.serving import DechunkedInput

from stcloud.sandbox.app import App, Response, refusal
from stcloud.sandbox.faults import Fault, deliver, is_to_be_reset, reset

MAX_BODY = 1024 * 1024
_NONE = Fault("response", committed=True)
_PATIENCE = 1.0  # seconds for a peer that does not read, or does not stop sending

_logger = logging.getLogger("stcloud.sandbox")


class _Connection(BaseHTTPRequestHandler):
    """Reads the requests of one connection and writes their responses."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, app: App, closing: threading.Event, *arguments: Any) -> None:
        self._app = app
        self._closing = closing
        super().__init__(*arguments)

    def setup(self) -> None:
        if isinstance(self.request, ssl.SSLSocket):
            self.request.do_handshake()  # here, for a slow one must not hold up the others
        super().setup()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):  # every method: the app decides which are allowed
            return self._serve
        raise AttributeError(name)

    def _serve(self) -> None:
        problem = self._framing_problem()
        if problem:
            self.send_error(problem)
            return
        if "Transfer-Encoding" in self.headers:
            try:
                content = DechunkedInput(cast("IO[bytes]", self.rfile)).read(MAX_BODY + 1)
            except OSError:  # of a chunk that is none
                self.send_error(HTTPStatus.BAD_REQUEST)
                return
            if len(content) > MAX_BODY:
                self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                return
        else:
            length = int(self.headers.get("Content-Length", 0))
            content = self.rfile.read(length)
            if len(content) < length:
                self.close_connection = True  # the client hung up
                return
        path = unquote(self.path.partition("?")[0])
        self._send(self._app.respond(self.command, path, self.headers, content))

    def _framing_problem(self) -> HTTPStatus | None:
        lengths = self.headers.get_all("Content-Length", ["0"])
        codings = self.headers.get_all("Transfer-Encoding", [])
        if codings:
            is_chunked = [coding.strip().lower() for coding in codings] == ["chunked"]
            if not is_chunked or "Content-Length" in self.headers:
                return HTTPStatus.BAD_REQUEST
        if len(lengths) > 1 or not re.fullmatch("[0-9]{1,18}", lengths[0]):
            return HTTPStatus.BAD_REQUEST
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE if int(lengths[0]) > MAX_BODY else None

    def _send(self, response: Response) -> None:
        if self._closing.is_set():
            self.close_connection = True
        headers = {
            "Content-Length": len(response.content),
            "Date": self.date_time_string(),
            "Connection": "close" if self.close_connection else "keep-alive",
            **response.headers,  # of a fault, which may have other ones
        }
        status = HTTPStatus(response.status)
        lines = [f"HTTP/1.1 {status.value} {status.phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        content = b"" if self.command == "HEAD" else response.content
        fault = response.fault or _NONE
        asked = ascii(self.requestline.partition("?")[0])[1:-1]
        _logger.info("%s %d%s", asked, status, f" ({fault.way})" if response.fault else "")
        if not deliver(self.connection, head, content, fault):
            self.close_connection = True

    def send_error(self, code: int, *_: Any, **__: Any) -> None:
        """Refuse what cannot be read as a request, and hang up."""
        self.close_connection = True
        self._send(refusal(default_exceptions.get(code, BadRequest)()))
        self._discard()

    def _discard(self) -> None:
        """Read on for a while: to close now would reset the connection under the response."""
        socket.socket.shutdown(self.connection, socket.SHUT_WR)
        self.connection.settimeout(_PATIENCE)
        for _ in range(1000):
            if not self.rfile.read1(MAX_BODY):
                break

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Keep what the base class would print, for debugging."""
        _logger.debug(format, *args)


_servers: weakref.WeakSet[Server] = weakref.WeakSet()


def _reset_after_fork() -> None:
    for server in _servers:
        server.leave_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)


class Server(socketserver.TCPServer):
    """Listens and responds from its making until ``stop()``."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, app: App, host: str, port: int, ssl_context: ssl.SSLContext | None) -> None:
        if ":" in host:
            self.address_family: int = socket.AF_INET6
        self._ssl_context = ssl_context
        self._closing = threading.Event()
        self._lock = threading.RLock()
        self._open: dict[threading.Thread, socket.socket] = {}
        self._drops = self._drops_before_accept = 0
        super().__init__((host, port), partial(_Connection, app, self._closing))
        _servers.add(self)
        self._process = os.getpid()
        self._accept()

    @property
    def url(self) -> str:
        """The address to reach it at."""
        host, port = self.socket.getsockname()[:2]
        scheme = "https" if self._ssl_context else "http"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    def stop(self) -> None:
        """Finish the responses in flight, close every connection and join every thread."""
        if self._process != os.getpid():
            return  # a fork has neither the threads nor the sockets
        self._closing.set()
        self._stop_listening()
        self._hang_up(socket.SHUT_RD)  # idle connections end, busy ones may still respond
        last_resort = threading.Timer(_PATIENCE, self._hang_up, [socket.SHUT_RDWR])
        last_resort.start()
        for thread in self._open:
            thread.join()
        last_resort.cancel()
        last_resort.join()

    def leave_to_parent(self) -> None:
        """Close the sockets that a fork has inherited, or it would keep port and connections."""
        self.socket.close()
        for connection in self._open.values():
            connection.close()

    def drop_connections(self) -> None:
        """Close every connection, after what was read from it is carried out.

        Those that nobody has accepted yet are reset.
        """
        with self._lock:
            self._drops += 1
            with contextlib.suppress(OSError):  # none waits, or nothing listens
                while True:
                    reset(self.socket.accept()[0])
            threads = list(self._open)
            self._hang_up(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()

    def server_activate(self) -> None:
        """Listen; accepting never waits, since another thread may take what has come."""
        super().server_activate()
        self.socket.setblocking(False)

    @contextlib.contextmanager
    def refusing(self) -> Generator[None, None, None]:
        """Refuse connections for a while, after closing those that are open."""
        if not self._acceptor.is_alive():
            raise RuntimeError("the sandbox refuses connections already")
        self._stop_listening()
        self.socket: socket.socket = socket.socket(self.address_family, self.socket_type)
        self.server_bind()  # without listening, so that nobody else takes the port
        self.drop_connections()
        try:
            yield
        finally:
            if not self._closing.is_set():
                self.server_activate()
                self._accept()

    def _accept(self) -> None:
        self._acceptor = threading.Thread(target=self.serve_forever, args=[0.05], daemon=True)
        self._acceptor.start()

    def _stop_listening(self) -> None:
        self.shutdown()
        self._acceptor.join()
        self.server_close()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; its TLS handshake is left to its thread."""
        try:
            with self._lock:
                connection, address = super().get_request()
                self._drops_before_accept = self._drops
            connection.setblocking(True)  # some systems hand down how the other one is
        except OSError:
            raise
        except Exception as error:  # of pytest-socket, for example: the next one may be accepted
            _logger.exception("a connection was not accepted")
            raise OSError("a connection was not accepted") from error
        if self._ssl_context:
            connection = self._ssl_context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread; a daemon, so that a forgotten sandbox stops nobody."""
        thread = threading.Thread(
            target=self._handle_connection, args=[request, client_address], daemon=True
        )
        with self._lock:  # as others may go through them at this moment
            if self._drops_before_accept != self._drops:
                reset(request)
                return
            self._open = {known: its for known, its in self._open.items() if known.is_alive()}
            thread.start()
            self._open[thread] = request

    def _handle_connection(self, request: socket.socket, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except OSError as error:
            _logger.debug("connection of %s ended: %s", client_address, error)
        except Exception:
            _logger.exception("connection of %s failed", client_address)
        finally:
            with self._lock:
                self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection, with a FIN before unless it is to be reset."""
        if is_to_be_reset(request):
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def _hang_up(self, how: int) -> None:
        with self._lock:  # else a descriptor could be closed, and taken by another, meanwhile
            for connection in self._open.values():
                with contextlib.suppress(OSError):
                    # Not SSLSocket's: that would let its thread go on in plain text.
                    socket.socket.shutdown(connection, how)
