"""A real proxy on loopback: it forwards plain http and tunnels TLS."""

import select
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any


class Proxy:
    """A proxy that tunnels CONNECT and forwards plain http, and notes what it was asked."""

    def __init__(
        self,
        context: ssl.SSLContext | None = None,
        response: bytes = b"HTTP/1.1 200 OK\r\n\r\n",
        change: Callable[[bytes], bytes] = bytes,
    ) -> None:
        self._context = context
        self._response = response
        self._change = change
        self.heads: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def _start(self, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                inner, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._serve, inner)

    def _serve(self, inner: socket.socket) -> None:
        if self._context is not None:
            try:
                inner = self._context.wrap_socket(inner, server_side=True)
            except OSError:  # of a client that refuses the certificate
                inner.close()
                return
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += (byte := inner.recv(1))
            if not byte:
                inner.close()
                return
        self.heads.append(head.decode())
        method, target, _ = head.decode().split(" ", 2)
        address = target.removeprefix("http://").partition("/")[0].split(":")
        with inner, socket.create_connection((address[0], int(address[1]))) as outer:
            if method == "CONNECT":
                inner.sendall(self._response)
            else:
                outer.sendall(head.replace(f"http://{':'.join(address)}".encode(), b"", 1))
            with suppress(ConnectionError):
                self._pump(inner, outer)

    def _pump(self, inner: socket.socket, outer: socket.socket) -> None:
        """Pass on what comes from either side, until one of them ends."""
        sinks = {inner: outer, outer: inner}
        while True:
            waits = isinstance(inner, ssl.SSLSocket) and inner.pending()
            for source in [inner] if waits else select.select(sinks, [], [], 30)[0]:
                data = source.recv(65536)
                if not data:
                    return
                sinks[source].sendall(self._change(data) if source is outer else data)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)
