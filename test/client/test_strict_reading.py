"""What a server sends is read strictly: what is not well framed fails the call at once."""

import gzip
import time
from collections.abc import Callable

import pytest
from scripted_server import Reply, ScriptedServer

import stcloud

Serve = Callable[..., ScriptedServer]
Connect = Callable[..., stcloud.TokensApiControllerApi]

BODY = b'{"success": true}'
OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 17\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LAST = b"\r\n0\r\n\r\n"

READ = {
    "no phrase": b"HTTP/1.1 200\r\n" + LENGTH + b"\r\n" + BODY,
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 17\n\n" + BODY,
    "equal lengths in a list": OK + b"Content-Length: 17, 17\r\n\r\n" + BODY,
    "equal lengths": OK + LENGTH + LENGTH + b"\r\n" + BODY,
    "space after the coding": OK + b"Transfer-Encoding: chunked \r\n\r\n11\r\n" + BODY + LAST,
    "leading zeros of a chunk": CHUNKED + b"0011\r\n" + BODY + LAST,
    "chunk with an extension": CHUNKED + b"11;a=b\r\n" + BODY + LAST,
    "trailers": CHUNKED + b"11\r\n" + BODY + b"\r\n0\r\nX: y\r\n\r\n",
    "folded header": OK + b"X: a\r\n b\r\n" + LENGTH + b"\r\n" + BODY,
    "early hints": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK + LENGTH + b"\r\n" + BODY,
    "several interim responses": b"".join(
        [
            *(b"HTTP/1.1 %d x\r\n\r\n" % status for status in (100, 102, 103)),
            OK,
            LENGTH,
            b"\r\n",
            BODY,
        ]
    ),
    "byte order mark": OK + b"Content-Length: 20\r\n\r\n\xef\xbb\xbf" + BODY,
}
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n"
WITHOUT_BODY = {
    "chunked": NO_CONTENT + b"Transfer-Encoding: chunked\r\n\r\n",
    "huge chunk": NO_CONTENT + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    "large chunk": NO_CONTENT + b"Transfer-Encoding: chunked\r\n\r\nfffffffff\r\n",
    "length": NO_CONTENT + b"Content-Length: 1000\r\n\r\n",
    "two lengths": NO_CONTENT + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "unknown encoding": NO_CONTENT + b"Content-Encoding: br\r\n\r\n",
}
REFUSED = {
    "different lengths in a list": OK + b"Content-Length: 17, 18\r\n\r\n" + BODY,
    "different lengths": OK + LENGTH + b"Content-Length: 5\r\n\r\n" + BODY,
    "empty element among lengths": OK + b"Content-Length: 17,\r\n\r\n" + BODY,
    "positive length": OK + b"Content-Length: +17\r\n\r\n" + BODY,
    "negative length": OK + b"Content-Length: -17\r\n\r\n" + BODY,
    "length with an underscore": OK + b"Content-Length: 1_7\r\n\r\n" + BODY,
    "length in other digits": OK + "Content-Length: \u0661\u0667\r\n\r\n".encode() + BODY,
    "length without digits": OK + b"Content-Length:\r\n\r\n" + BODY,
    "enormous length": OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n" + BODY,
    "length beside chunks": OK + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n11\r\n" + BODY + LAST,
    "unknown coding": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n11\r\n" + BODY + LAST,
    "no coding": OK + b"Transfer-Encoding: identity\r\n\r\n" + BODY,
    "chunked twice": OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n11\r\n" + BODY + LAST,
    "chunks in HTTP/1.0": b"HTTP/1.0" + CHUNKED[8:] + b"11\r\n" + BODY + LAST,
    "chunk's size with 0x": CHUNKED + b"0x11\r\n" + BODY + LAST,
    "chunk's size with a sign": CHUNKED + b"+11\r\n" + BODY + LAST,
    "chunk's size with an underscore": CHUNKED + b"1_1\r\n" + BODY + LAST,
    "chunk's size after a space": CHUNKED + b" 11\r\n" + BODY + LAST,
    "chunk's size that is huge": CHUNKED + b"f" * 17 + b"\r\n" + BODY + LAST,
    "chunk's size ended by a line feed": CHUNKED + b"11\n" + BODY + LAST,
    "no chunk's size": CHUNKED + b"\r\n" + BODY + LAST,
    "chunk that goes on": CHUNKED + b"10\r\n" + BODY + LAST,
    "trailer without a colon": CHUNKED + b"11\r\n" + BODY + b"\r\n0\r\nX\r\n\r\n",
    "bare CR": OK + b"X: a\rb\r\n" + LENGTH + b"\r\n" + BODY,
    "NUL": OK + b"X: a\0b\r\n" + LENGTH + b"\r\n" + BODY,
    "line without a colon": OK + b"X\r\n" + LENGTH + b"\r\n" + BODY,
    "space before the colon": OK + b"Content-Length : 17\r\n\r\n" + BODY,
    "header without a name": OK + b": x\r\n" + LENGTH + b"\r\n" + BODY,
    "folded first header": OK + b" X: y\r\n" + LENGTH + b"\r\n" + BODY,
    "other protocol": b"ICY 200 OK\r\n" + LENGTH + b"\r\n" + BODY,
    "HTTP/2": b"HTTP/2.0 200 OK\r\n" + LENGTH + b"\r\n" + BODY,
    "no status": b"HTTP/1.1 OK\r\n" + LENGTH + b"\r\n" + BODY,
    "short status": b"HTTP/1.1 20 OK\r\n" + LENGTH + b"\r\n" + BODY,
    "long status": b"HTTP/1.1 2000 OK\r\n" + LENGTH + b"\r\n" + BODY,
    "spaces before the status": b"HTTP/1.1  200 OK\r\n" + LENGTH + b"\r\n" + BODY,
    "switch of protocols": b"HTTP/1.1 101 Switching\r\n\r\n" + OK + LENGTH + b"\r\n" + BODY,
}


@pytest.mark.parametrize("name", READ)
def test_well_framed_response_is_read(name: str, serve: Serve, connect: Connect) -> None:
    """What RFC 9112 allows is read, and its connection is used again."""
    server = serve(READ[name])
    api = connect(server.url)
    assert [api.get_app_tokens1(5).success for _ in range(2)] == [True, True]
    assert server.connections == 1


@pytest.mark.parametrize("name", WITHOUT_BODY)
def test_no_content_has_no_body(name: str, serve: Serve, connect: Connect) -> None:
    """A 204 ends with its headers, whatever they say; and what follows is no other response."""
    server = serve(Reply(WITHOUT_BODY[name], "hang"))
    api = connect(server.url, max_response_bytes=1000)
    response = api.delete_app_token1(5, 7)
    assert response.success is True


@pytest.mark.parametrize("name", REFUSED)
def test_badly_framed_response_is_refused(name: str, serve: Serve, connect: Connect) -> None:
    """It raises at once, while the server keeps the connection; that one is not used again."""
    server = serve(Reply(REFUSED[name], "keep"), READ["no phrase"])
    api = connect(server.url)
    with pytest.raises(stcloud.ConnectionException) as caught:
        api.create_app_token({"name": "x"}, 5)
    assert type(caught.value) is stcloud.ConnectionException
    assert caught.value.outcome_unknown
    assert api.get_app_tokens1(5).success is True
    assert [request.connection for request in server.received] == [1, 2]


@pytest.mark.parametrize("name", ["different lengths in a list", "different lengths"])
def test_lengths_that_differ_are_named(name: str, serve: Serve, connect: Connect) -> None:
    """By the reader itself: urllib3 refuses them later, and quotes them."""
    with pytest.raises(stcloud.ConnectionException, match="has several Content-Lengths"):
        connect(serve(REFUSED[name]).url).get_app_tokens1(5)


@pytest.mark.parametrize(
    "sent", [OK[:9], OK, OK + LENGTH[:9], OK + LENGTH, OK + LENGTH[:-1]], ids=len
)
def test_head_that_is_cut_off_is_no_success(sent: bytes, serve: Serve, connect: Connect) -> None:
    """Also where its status line came and said that the token was created."""
    api = connect(serve(Reply(sent.replace(b"200", b"201"), "close")).url)
    with pytest.raises(stcloud.ConnectionException, match="cut off") as caught:
        api.create_app_token({"name": "x"}, 5)
    assert caught.value.outcome_unknown


def test_close_counts_among_several_connection_headers(serve: Serve, connect: Connect) -> None:
    """In whichever of them it stands."""
    head = OK + b"Connection: keep-alive\r\nConnection: close\r\n" + LENGTH
    server = serve(head + b"\r\n" + BODY)
    api = connect(server.url)
    assert [api.get_app_tokens1(5).success for _ in range(2)] == [True, True]
    assert server.connections == 2


@pytest.mark.parametrize("framing", ["length", "chunks", "close"])
def test_size_is_bounded_in_every_framing(framing: str, serve: Serve, connect: Connect) -> None:
    """``max_response_bytes`` holds however the end of the body is marked."""
    body = b" " * 20_000
    sent = {
        "length": OK + b"Content-Length: 20000, 20000\r\n\r\n" + body,
        "chunks": CHUNKED + b"4e20\r\n" + body + LAST,
        "close": OK + b"\r\n" + body,
    }
    api = connect(serve(Reply(sent[framing], "close")).url, max_response_bytes=1000)
    with pytest.raises(stcloud.UnexpectedResponseException, match="more than 1000 bytes"):
        api.get_app_tokens1(5)


def test_number_of_gzip_members_is_bounded(serve: Serve, connect: Connect) -> None:
    """However little each holds: six million of them took 16 seconds."""
    members = gzip.compress(b"") * 50_000
    head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(members)
    api = connect(serve(head + members).url)
    began = time.process_time()
    with pytest.raises(stcloud.ConnectionException, match="gzip members"):
        api.get_app_tokens1(5)
    assert time.process_time() - began < 5
