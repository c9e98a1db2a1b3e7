"""Where a response begins and ends: bytes beyond its end, and the limits of what frames it."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from scripted_server import Reply, ScriptedServer

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


Serve = Callable[..., ScriptedServer]
Connect = Callable[..., stcloud.TokensApiControllerApi]


def certificate() -> tuple[ssl.SSLContext, AbstractContextManager[str]]:
    """Return a server's context, and a file of the authority that a client trusts."""
    trustme = pytest.importorskip("trustme", reason="trustme makes the certificates")
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context, authority.cert_pem.tempfile()


@pytest.fixture(params=["plain", "tls"])
def tls(request: pytest.FixtureRequest) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """What a server and a client need to speak plainly, and over TLS."""
    if request.param == "plain":
        yield {}, {}
        return
    context, ca_file = certificate()
    with ca_file as file:
        yield {"context": context}, {"ssl_ca_cert": file}


def succeeded(api: stcloud.TokensApiControllerApi) -> bool | None:
    """Make a call; return what its response says, which only a forged one says is False."""
    try:
        response = api.delete_app_token1(5, 7)
    except stcloud.NotFoundException:
        return True
    return response is None or response.success


@pytest.mark.parametrize("surplus", [FORGED, FORGED * 500], ids=["little", "much"])
@pytest.mark.parametrize("name", RESPONSES)
def test_bytes_after_a_response_end_its_connection(
    name: str, surplus: bytes, tls: tuple[Any, Any], serve: Serve, connect: Connect
) -> None:
    """Bytes that nobody asked for are not read as the next response: that one has a connection."""
    server = serve(RESPONSES[name] + surplus, **tls[0])
    api = connect(server.url, **tls[1])
    assert [succeeded(api), succeeded(api), succeeded(api)] == [True, True, True]
    assert server.connections == 3


@pytest.mark.parametrize("name", RESPONSES)
def test_connection_is_used_again_after_an_exact_response(
    name: str, tls: tuple[Any, Any], serve: Serve, connect: Connect
) -> None:
    """A response that ends where it says leaves its connection to the next call."""
    server = serve(RESPONSES[name], **tls[0])
    api = connect(server.url, **tls[1])
    assert [succeeded(api), succeeded(api)] == [True, True]
    assert server.connections == 1


@pytest.mark.parametrize("surplus", [b"", FORGED], ids=["nothing", "more"])
def test_bytes_after_the_response_to_connect_end_the_connection(
    surplus: bytes, serve: Serve, connect: Connect
) -> None:
    """A proxy's tunnel carries TLS alone: bytes before it fail the call, and nothing is sent."""
    context, ca_file = certificate()
    with ca_file as file:
        tunnel = Reply(b"HTTP/1.1 200 Connection established\r\n\r\n" + surplus, "tls")
        proxy = serve(tunnel, RESPONSES["length"], tunnel=context)
        api = connect("https://127.0.0.1", proxy=proxy.url, ssl_ca_cert=file)
        if not surplus:
            assert succeeded(api) is True
            return
        with pytest.raises(stcloud.ConnectionException) as caught:
            api.get_app_tokens1(5)
    assert caught.value.outcome_unknown is False
    assert [request.method for request in proxy.received] == ["CONNECT"]


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
def test_response_within_the_limits_is_read(name: str, serve: Serve, connect: Connect) -> None:
    """A head of 101 lines, each of 65,536 bytes, is the most that is read, on every Python."""
    assert succeeded(connect(serve(WITHIN_LIMITS[name]).url)) is True


@pytest.mark.parametrize("name", BEYOND_LIMITS)
def test_response_beyond_the_limits_is_refused(name: str, serve: Serve, connect: Connect) -> None:
    """One line or one byte more fails the call, and ends the connection."""
    api = connect(serve(BEYOND_LIMITS[name]).url)
    with pytest.raises(stcloud.ConnectionException) as caught:
        api.get_app_tokens1(5)
    assert type(caught.value) is stcloud.ConnectionException
