"""Where a response begins and ends: bytes beyond its end, and the limits of what frames it."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import trustme

import stcloud

BODY = b'{"success": true}'
FORGED = b'HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{"success": false}'
OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 17\r\n"
CHUNKS = b"11\r\n" + BODY + b"\r\n0\r\n"

RESPONSES = {
    "length": OK + LENGTH + b"\r\n" + BODY,
    "chunks": OK + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS + b"\r\n",
    "chunks-with-trailer": OK + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS + b"A: b\r\n\r\n",
    "long-head": OK + LENGTH + b"X: " + b"x" * 20_000 + b"\r\n\r\n" + BODY,
    "head-not-in-ascii": OK + LENGTH + b"X: \xff\r\n\r\n" + BODY,
    "no-content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "error": b"HTTP/1.1 404 Not Found\r\n" + LENGTH + b"\r\n" + BODY,
}


class Server:
    """Sends the same bytes to every request; counts the connections that had one."""

    def __init__(self, response: bytes, context: ssl.SSLContext | None) -> None:
        self._response = response
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                plain, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=[plain], daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        # The client may end the connection at any time, or refuse to shake hands.
        with plain, suppress(OSError):
            context = self._context
            wrapped = context.wrap_socket(plain, server_side=True) if context else plain
            with wrapped as connection:
                if connection.recv(65536):
                    self.connections += 1
                    connection.sendall(self._response)
                while connection.recv(65536):
                    connection.sendall(self._response)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def serve(authority: trustme.CA) -> Iterator[Callable[..., Server]]:
    """Start servers that send the given bytes, over TLS if asked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    servers: list[Server] = []

    def serve(response: bytes, *, tls: bool = False) -> Server:
        servers.append(Server(response, context if tls else None))
        return servers[-1]

    yield serve
    for server in servers:
        server.close()


@contextmanager
def client(host: str, **settings: Any) -> Iterator[stcloud.TokensApiControllerApi]:
    configuration = stcloud.Configuration(host=host, api_key="k", retries=0, **settings)
    with stcloud.ApiClient(configuration) as api_client:
        yield stcloud.TokensApiControllerApi(api_client)


def succeeded(api: stcloud.TokensApiControllerApi) -> bool | None:
    """Make a call; return what its response says, which only a forged one says is False."""
    try:
        response = api.delete_app_token1(5, 7)
    except stcloud.NotFoundException:
        return True
    return response is None or response.success


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("surplus", [FORGED, FORGED * 500], ids=["little", "much"])
@pytest.mark.parametrize("name", RESPONSES)
def test_bytes_after_a_response_end_its_connection(
    name: str, surplus: bytes, tls: bool, serve: Callable[..., Server], authority: trustme.CA
) -> None:
    """Bytes that nobody asked for are not read as the next response: that one has a connection."""
    server = serve(RESPONSES[name] + surplus, tls=tls)
    scheme = "https" if tls else "http"
    with (
        authority.cert_pem.tempfile() as file,
        client(f"{scheme}://{server.address}", ssl_ca_cert=file) as api,
    ):
        assert [succeeded(api), succeeded(api), succeeded(api)] == [True, True, True]
    assert server.connections == 3


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("name", RESPONSES)
def test_connection_is_used_again_after_an_exact_response(
    name: str, tls: bool, serve: Callable[..., Server], authority: trustme.CA
) -> None:
    """A response that ends where it says leaves its connection to the next call."""
    server = serve(RESPONSES[name], tls=tls)
    scheme = "https" if tls else "http"
    with (
        authority.cert_pem.tempfile() as file,
        client(f"{scheme}://{server.address}", ssl_ca_cert=file) as api,
    ):
        assert [succeeded(api), succeeded(api)] == [True, True]
    assert server.connections == 1


def test_bytes_after_the_response_to_connect_end_the_connection(
    serve: Callable[..., Server],
) -> None:
    """A proxy's tunnel carries TLS alone: bytes before it fail the call, and nothing is sent."""
    proxy = serve(b"HTTP/1.1 200 Connection established\r\n\r\n" + FORGED)
    with (
        client("https://service.invalid", proxy=f"http://{proxy.address}") as api,
        pytest.raises(stcloud.ConnectionException) as caught,
    ):
        api.get_app_tokens1(5)
    assert caught.value.outcome_unknown is False


def fields(count: int) -> bytes:
    """Return header lines, of which one is the length of the body."""
    return LENGTH + b"".join(b"X-%d: x\r\n" % number for number in range(count - 1))


def line(size: int, start: bytes) -> bytes:
    """Return a line of that many bytes, its end included."""
    return start + b"x" * (size - len(start) - 2) + b"\r\n"


INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
WITHIN_LIMITS = {
    "99-fields": OK + fields(99) + b"\r\n" + BODY,
    "field-of-65536-bytes": OK + LENGTH + line(65_536, b"X: ") + b"\r\n" + BODY,
    "status-line-of-65536-bytes": line(65_536, b"HTTP/1.1 200 ") + LENGTH + b"\r\n" + BODY,
    "49-interim-responses": INTERIM * 49 + OK + LENGTH + b"\r\n" + BODY,
    "chunk-size-of-65536-bytes": CHUNKED + line(65_536, b"11;") + CHUNKS[4:] + b"\r\n",
}
BEYOND_LIMITS = {
    "100-fields": OK + fields(100) + b"\r\n" + BODY,
    "field-of-65537-bytes": OK + LENGTH + line(65_537, b"X: ") + b"\r\n" + BODY,
    "status-line-of-65537-bytes": line(65_537, b"HTTP/1.1 200 ") + LENGTH + b"\r\n" + BODY,
    "50-interim-responses": INTERIM * 50 + OK + LENGTH + b"\r\n" + BODY,
    "interim-responses-without-end": INTERIM * 100_000,
    "chunk-size-of-65537-bytes": CHUNKED + line(65_537, b"11;") + CHUNKS[4:] + b"\r\n",
    "trailer-of-65537-bytes": CHUNKED + CHUNKS + line(65_537, b"X: ") + b"\r\n",
}


@pytest.mark.parametrize("name", WITHIN_LIMITS)
def test_response_within_the_limits_is_read(name: str, serve: Callable[..., Server]) -> None:
    """A head of 101 lines, each of 65,536 bytes, is the most that is read, on every Python."""
    with client(f"http://{serve(WITHIN_LIMITS[name]).address}") as api:
        assert succeeded(api) is True


@pytest.mark.parametrize("name", BEYOND_LIMITS)
def test_response_beyond_the_limits_is_refused(name: str, serve: Callable[..., Server]) -> None:
    """One line or one byte more fails the call, and ends the connection."""
    with client(f"http://{serve(BEYOND_LIMITS[name]).address}") as api:
        with pytest.raises(stcloud.ConnectionException) as caught:
            api.get_app_tokens1(5)
        assert type(caught.value) is stcloud.ConnectionException
