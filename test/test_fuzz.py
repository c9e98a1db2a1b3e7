"""Whatever a server sends, a call returns or raises an ApiException, and nothing else.

``tox run -e fuzz`` runs this for longer than the other tests.
"""

import http.client
import io
import itertools
import json
import os
from collections.abc import Iterator
from typing import Any, cast

import pytest
import urllib3
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from operations import OPERATIONS
from scripted_server import Reply, ScriptedServer

import stcloud
from stcloud._transport.head import StrictResponse
from stcloud.rest import RestClient

HTTP_DATE = (
    r"[MTWFS][a-z]{2}, [0-9]{1,3} [A-Z][a-z]{2} [0-9]{1,6} [0-9:]{1,9} (GMT|[+-][0-9]{1,6})?"
)
EXAMPLES = int(os.environ.get("STCLOUD_FUZZ_EXAMPLES", "300"))
fuzz = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES <= 300,
    database=None,
    suppress_health_check=list(HealthCheck),
)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.datetimes().map(str)
)
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)
DATE = st.one_of(
    ANYTHING,
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]?[0-9:.,+Zz-]{0,20}", fullmatch=True),
    st.from_regex(r"[0-9W.:TZ+-]{1,25}", fullmatch=True),
)
TOKEN = st.fixed_dictionaries(
    {}, optional={"createdAt": DATE, "id": ANYTHING, "token": ANYTHING, "enabled": ANYTHING}
)
ENVELOPE = st.fixed_dictionaries(
    {},
    optional={
        "data": st.one_of(
            ANYTHING,
            st.fixed_dictionaries({"token": TOKEN | ANYTHING}),
            st.fixed_dictionaries({"tokens": st.lists(TOKEN) | ANYTHING}),
        ),
        "errors": st.lists(st.dictionaries(st.sampled_from(["code", "message"]), ANYTHING))
        | ANYTHING,
        "message": ANYTHING,
        "success": st.booleans() | ANYTHING,
    },
)
BODY = st.one_of(
    ENVELOPE.map(json.dumps).map(str.encode),
    st.binary(),
    st.text().map(lambda text: text.encode(errors="surrogatepass")),
    st.integers(1, 5000).map(lambda depth: b"[" * depth),
    st.integers(1, 5000).map(lambda depth: b'{"data":' * depth),
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Retry-After": st.one_of(
            st.text(st.characters(codec="latin-1"), max_size=40),
            st.from_regex(r"-?[0-9a-fE.+ _]{1,12}", fullmatch=True),
            st.from_regex(
                HTTP_DATE,
                fullmatch=True,
            ),
        ),
        "Location": st.text(st.characters(codec="latin-1"), max_size=40),
        "Content-Encoding": st.sampled_from(
            ["gzip", "deflate", "br", "zstd", "x-gzip", "gzip, gzip"]
        ),
    },
)


def check(api: stcloud.TokensApiControllerApi, name: str) -> None:
    """Make a call; what it returns or raises can be shown, and a response can be written again."""
    try:
        result = getattr(api, name)(*OPERATIONS[name].arguments(5, 7))
    except stcloud.ApiException as error:
        shown = str(error)
    else:
        assert result == result.from_json(result.to_json())
        shown = repr(result)[:500].replace("\n", "")
    assert len(shown) <= 500
    assert shown.isprintable()


@pytest.mark.timeout(3600)
@fuzz
@given(
    name=st.sampled_from(list(OPERATIONS)),
    status=st.sampled_from([200, 200, 200, 201, 204, 302, 400, 404, 429, 500, 503])
    | st.integers(200, 999),
    headers=HEADERS,
    body=BODY,
)
def test_any_response_is_read_or_refused(
    name: str, status: int, headers: dict[str, str], body: bytes
) -> None:
    """Any body, date, envelope and header of a response."""

    def request(*_: Any, **__: Any) -> urllib3.BaseHTTPResponse:
        return urllib3.HTTPResponse(
            io.BytesIO(body), headers, status, reason="", preload_content=False
        )

    configuration = stcloud.Configuration(host="http://127.0.0.1:9", api_key="made-up", retries=0)
    with pytest.MonkeyPatch.context() as patch, stcloud.ApiClient(configuration) as client:
        patch.setattr(RestClient, "request", request)
        check(stcloud.TokensApiControllerApi(client), name)


@pytest.fixture(scope="module")
def speaker() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


HEADER_LINES = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from(
            [
                b"Content-Length: 17",
                b"Content-Length: -1",
                b"Content-Length: 5, 6",
                b"Transfer-Encoding: chunked",
                b"Content-Encoding: gzip",
                b"Connection: close",
                b" folded",
                b": no name",
                b"Retry-After: 0",
            ]
        ),
    ),
    max_size=5,
)
STATUS_LINE = st.one_of(
    st.binary(max_size=40),
    st.from_regex(rb"HTTP/1\.[01] [0-9]{3} ?[ -~]{0,20}", fullmatch=True),
    st.just(b"HTTP/1.1 200 OK"),
)
CONTENT = st.binary() | st.sampled_from(
    [
        b'{"success": true}',
        b"5\r\n{    \r\n1\r\n}\r\n0\r\n\r\n",
        b"ffffffffffffffff\r\n",
        b"-1\r\n{}\r\n",
    ]
)


@pytest.mark.timeout(3600)
@fuzz
@given(first=STATUS_LINE, lines=HEADER_LINES, content=CONTENT)
def test_any_bytes_on_the_wire_are_read_or_refused(
    first: bytes, lines: list[bytes], content: bytes, speaker: ScriptedServer
) -> None:
    """Any status line, header lines and framing, over a real socket."""
    speaker.replies = [Reply(b"\r\n".join([first, *lines, b"", content]), "close")]
    configuration = stcloud.Configuration(host=speaker.url, api_key="made-up", retries=0)
    with stcloud.ApiClient(configuration) as client:
        check(stcloud.TokensApiControllerApi(client), "get_app_tokens1")


# The head of a response, which the SDK reads itself, more strictly than http.client.

AFTER = b'{"success": true}'

STATUS_LINES = [
    b"HTTP/1.1 200 OK",
    b"HTTP/1.1 204 No Content",
    b"HTTP/1.1 304 Not Modified",
    b"HTTP/1.1 404 Not Found ",
    b"HTTP/1.1 503 ",
    b"HTTP/1.1 100 Continue",
    b"HTTP/1.1 999 OK",
    b"HTTP/1.0 200 OK",
    b"HTTP/1.1  200 OK",
    b"HTTP/2 200 OK",
    b"ICY 200 OK",
    "HTTP/1.1 200 Zażółć".encode(),
]
LINES = [
    b"Content-Length: 17",
    b"content-length:17",
    b"Content-Length:\t5 ",
    b"Content-Length: -1",
    b"Content-Length: 17, 17",
    b"Content-Length: " + b"9" * 5000,
    b"Content-Length : 17",
    b" Content-Length: 17",
    b"X-Content-Length: 3",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: Chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Connection: close",
    b"connection: Keep-Alive, Close",
    b"Connection:",
    b"Content-Type: application/json; charset=utf-8",
    b"Content-Type: multipart/mixed; boundary=x",
    b"Content-Encoding: gzip",
    b"X-Folded: one\r\n two",
    b"X-Bare: one\rContent-Length: 2",
    b"X-Feed: one\nContent-Length: 2",
    b"X-Tab: \tone\ttwo\t",
    b"X-Latin: caf\xe9",
    b"X-Control: \x0bone\x1ctwo\x85",
    b"X-Word: =?utf-8?q?one?=",
    b"From nobody",
    b"no colon",
    b": no name",
    b"",
    *[b"X-Many-%d: x" % number for number in range(3)],
]
HEADS = st.builds(
    lambda status, lines: b"\r\n".join([status, *lines, b"", b""]),
    st.sampled_from(STATUS_LINES) | st.binary(max_size=20),
    st.lists(st.sampled_from(LINES) | st.binary(max_size=20), max_size=6),
)
MANY = b"".join(b"X-%d: x\r\n" % number for number in range(98))


class Wire:
    """Has the bytes that a server sent, as a socket has them."""

    def __init__(self, sent: bytes) -> None:
        self._sent = sent

    def makefile(self, _mode: str) -> io.BufferedReader:
        # A size as a connection's reader has it: io's own differs between Pythons.
        return io.BufferedReader(cast("Any", io.BytesIO(self._sent)), 8192)


def read(
    kind: type[http.client.HTTPResponse], sent: bytes, method: str
) -> http.client.HTTPResponse:
    response = kind(cast("Any", Wire(sent)), method=method)
    response.begin()
    return response


def assert_strict(head: bytes, method: str = "GET") -> None:
    """The head is refused, or it is read as http.client reads it."""
    try:
        ours: Any = read(StrictResponse, head + AFTER, method)
    except http.client.HTTPException:
        return
    if b"\r\n\r\nHTTP/1" in head or b"HTTP/1.1 100" in head:
        return  # http.client passes over 100 alone
    theirs: Any = read(http.client.HTTPResponse, head + AFTER, method)
    for name in ("version", "status", "code", "reason"):
        assert getattr(ours, name) == getattr(theirs, name)
    framing = {"transfer-encoding", "content-length"}
    assert {*map(str.lower, ours.msg)} - framing == {*map(str.lower, theirs.msg)} - framing
    for name in ours.msg:
        kept = zip(ours.msg.get_all(name), theirs.msg.get_all(name), strict=True)
        assert all(one.split() == other.split() for one, other in kept)
    if ours.length and b"17, 17" not in head:
        assert ours.length == theirs.length
        assert ours.will_close >= theirs.will_close


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("status", STATUS_LINES)
def test_head_is_refused_or_read_as_http_client_reads_it(status: bytes, method: str) -> None:
    """Every two lines together, usual and odd ones."""
    for lines in itertools.product(LINES, LINES):
        assert_strict(b"\r\n".join([status, *lines, b"", b""]), method)


@fuzz
@given(HEADS)
@example(b"HTTP/1.1 200 OK\r\n" + MANY + b"Content-Length: 17\r\n\r\n")
@example(b"HTTP/1.1 200 OK\r\n" + MANY + b"X: x\r\nContent-Length: 17\r\n\r\n")
@example(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\nContent-Length: 17\r\n\r\n")
def test_any_head_is_refused_or_read_as_http_client_reads_it(head: bytes) -> None:
    """The same for any bytes."""
    assert_strict(head)
