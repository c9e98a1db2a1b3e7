import gzip
import inspect
import socket
import ssl
import threading
import time
import traceback
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
import trustme
import urllib3
from scripted_server import Reply, ScriptedServer, unused_address

import stcloud
from stcloud import rest
from stcloud._transport.connection import DeadlineHTTPConnection, DeadlineSocketIO
from stcloud._transport.timeouts import CallLimits, StepLimits, Timeouts
from stcloud.sandbox import Sandbox

Api = stcloud.TokensApiControllerApi
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n" + b'{"success": true}'


def connected(host: str, **settings: Any) -> Api:
    settings = {"api_key": "made-up-key", "retries": 0, **settings}
    return Api(stcloud.ApiClient(stcloud.Configuration(host=host, **settings)))


def failure(api: Api, **options: Any) -> stcloud.ApiException:
    with closing(api.api_client), pytest.raises(stcloud.ApiException) as raised:  # noqa: PT012
        result: Any = api.get_app_tokens1(5, **options)
        result.get(20)  # in the background, it fails here
    return raised.value


def test_bytes_on_the_wire_are_bounded() -> None:
    """Also those that are no part of a body: here, the extensions of chunks."""
    chunk = b"1;" + b"x" * 60_000 + b"\r\n1\r\n"
    sent = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 200
    with ScriptedServer(Reply(sent, "close")) as server:
        error = failure(connected(server.url, max_response_bytes=1000))
    assert type(error) is stcloud.ConnectionException
    assert "bytes came" in str(error)


def test_each_wait_is_for_what_is_left() -> None:
    """A read begins with the time that remains until the deadline, not with that of the first."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        limits = StepLimits()
        limits.timeouts = Timeouts(CallLimits(stcloud.Configuration(deadline=20), None))
        theirs.send(b"a")
        time.sleep(0.01)
        assert DeadlineSocketIO(ours, limits, None).readinto(bytearray(1)) == 1
        left = ours.gettimeout()
    assert left is not None
    assert 19 < left < 20


def test_sending_has_the_limit_of_silence(sandbox: Sandbox) -> None:
    """Also over a new connection, whose socket has had the limit of connecting."""
    configuration = stcloud.Configuration(
        host=sandbox.url, api_key=sandbox.api_key, connect_timeout=3, read_timeout=7
    )
    timeouts: list[float | None] = []

    class Noted(DeadlineHTTPConnection):
        def send(self, data: Any) -> None:
            super().send(data)
            timeouts.append(self.sock.gettimeout() if self.sock else None)

    with stcloud.ApiClient(configuration) as client, pytest.MonkeyPatch.context() as patch:
        patch.setattr("stcloud._transport.pools.DeadlineHTTPConnection", Noted)
        api = stcloud.TokensApiControllerApi(client)
        for _ in range(2):
            api.create_app_token({}, sandbox.app_id)
    assert timeouts
    assert {round(limit or 0) for limit in timeouts} == {7}


SECRET = b'{"token": "plain-secret"}'


@pytest.mark.parametrize(
    "response",
    [SECRET, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + SECRET + b"\r\n"],
    ids=["no head", "no chunks"],
)
def test_traceback_holds_no_content(response: bytes) -> None:
    """Python's own errors repeat what came where something else was expected."""
    with ScriptedServer(Reply(response, "close")) as server:
        error = failure(connected(server.url))
    assert type(error) is stcloud.ConnectionException
    assert error.__cause__ is not None
    assert "plain-secret" not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize("encoding", ["gzip", "gzip ", ""])
def test_success_without_content_may_have_an_encoding(encoding: str) -> None:
    """It is no body that was cut off."""
    head = f"HTTP/1.1 204 No Content\r\nContent-Encoding: {encoding}\r\n\r\n"
    with ScriptedServer(Reply(head.encode(), "close")) as server:
        api = connected(server.url)
        response: Any = api.delete_app_token1(5, 7)
        api.api_client.close()
    assert response.success is True


def urllib3_failures() -> dict[str, type[Exception]]:
    found: dict[str, type[Exception]] = {}
    for name, kind in vars(urllib3.exceptions).items():
        ours = inspect.isclass(kind) and kind.__module__.startswith("urllib3")
        if ours and issubclass(kind, Exception):
            found[name] = kind
    return found


@pytest.mark.parametrize("name", urllib3_failures())
def test_no_urllib3_exception_comes_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every exception class of urllib3, raised by a request or a read, becomes ours, chained."""
    kind = urllib3_failures()[name]
    parameters = list(inspect.signature(kind.__init__).parameters.values())[1:]
    broken = kind(*[MagicMock() for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD])
    slow = issubclass(kind, (urllib3.exceptions.TimeoutError, urllib3.exceptions.EmptyPoolError))
    refused = issubclass(kind, urllib3.exceptions.NewConnectionError)
    expected = stcloud.TimeoutException if slow and not refused else stcloud.ConnectionException

    def fail(*_: Any, **__: Any) -> None:
        raise broken

    with ScriptedServer(Reply(GOOD, "close")) as server:
        monkeypatch.setattr(urllib3.HTTPResponse, "read", fail)
        monkeypatch.setattr(urllib3.HTTPResponse, "read1", fail)
        reading = failure(connected(server.url))
    monkeypatch.setattr(urllib3.HTTPConnectionPool, "urlopen", fail)
    for error in (reading, failure(connected("http://127.0.0.1:9"))):
        assert type(error) is expected
        assert error.status == 0
        assert error.__cause__ is broken


def test_walk_sees_urllib3s_exceptions() -> None:
    """The walk above finds the known classes, so that it cannot pass by finding none."""
    assert {"HTTPError", "MaxRetryError", "ReadTimeoutError", "HTTPWarning"} <= set(
        urllib3_failures()
    )


def test_refused_connection() -> None:
    """Nobody listens: a ConnectionException that names the address."""
    address = unused_address()
    error = failure(connected(f"http://{address}"))
    assert type(error) is stcloud.ConnectionException
    assert f"no connection: {address}" in str(error)


def test_unknown_host() -> None:
    """A name that does not resolve says so."""
    error = failure(connected("https://no-such-host.invalid"))
    assert type(error) is stcloud.ConnectionException
    assert "could not be resolved: no-such-host.invalid" in str(error)


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"no HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n" + b'{"success": true}',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
    ],
    ids=lambda response: repr(response)[2:60],
)
def test_response_that_is_not_whole(response: bytes) -> None:
    """Hang-ups, cut bodies and broken HTTP raise ConnectionException with the cause chained."""
    with ScriptedServer(Reply(response, "close")) as server:
        error = failure(connected(server.url))
    assert type(error) is stcloud.ConnectionException
    assert error.status == 0
    assert error.__cause__ is not None


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\n", GOOD[:-1]], ids=len)
@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({"read_timeout": 0.1}, {}),
        ({}, {"_request_timeout": 0.1}),
        ({}, {"_request_timeout": (20, 0.1)}),
        ({"read_timeout": 0.1}, {"async_req": True}),
    ],
    ids=str,
)
def test_server_without_response_runs_into_the_timeout(
    begun: bytes, settings: dict[str, Any], options: dict[str, Any]
) -> None:
    """A server that stays silent, at whatever point, raises TimeoutException."""
    with ScriptedServer(Reply(begun, "hang")) as server:
        error = failure(connected(server.url, **settings), **options)
    assert type(error) is stcloud.TimeoutException
    limit = settings or {**options, "_request_timeout[1]": 0.1}
    assert any(f"{name}=0.1 s" in str(error) for name in limit)


def test_switch_of_protocols_is_not_the_response() -> None:
    """A 101, which nobody asked for, leaves the outcome unknown."""
    early = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
    with ScriptedServer(Reply(early + GOOD, "close")) as server:
        error = failure(connected(server.url))
    assert (type(error), error.outcome_unknown) == (stcloud.ConnectionException, True)
    assert "101" in str(error)


@pytest.mark.parametrize("size", [b"-5", b"-1"])
def test_negative_chunk_is_refused(size: bytes) -> None:
    """A size that is none cannot make the client read without end, or raise something else."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + size + b"\r\n"
    with ScriptedServer(Reply(head + b"x" * 30_000_000, "close")) as server:
        error = failure(connected(server.url, max_response_bytes=1000))
    assert type(error) is stcloud.ConnectionException


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "zstd", "unheard-of"])
def test_encoding_that_nobody_asked_for_is_refused(encoding: str) -> None:
    """Only gzip and deflate are unpacked, each once."""
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: 2\r\n\r\n{{}}"
    with ScriptedServer(Reply(head.encode(), "close")) as server:
        assert encoding in str(failure(connected(server.url)))


def raw_deflate(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


def gzip_members(content: bytes) -> bytes:
    return gzip.compress(content[:9]) + gzip.compress(content[9:])


@pytest.mark.parametrize("size", [0, (1 << 16) + 1])
@pytest.mark.parametrize("compress", [gzip.compress, gzip_members, zlib.compress, raw_deflate])
def test_packed_response_is_unpacked(compress: Callable[[bytes], bytes], size: int) -> None:
    """A response may come as gzip or deflate, of any length; cut off, it is no response."""
    name = "gzip" if compress in (gzip.compress, gzip_members) else "deflate"
    packed = compress(b'{"success": true}'.ljust(size))
    for content in (packed, packed[:-1]):
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {name}\r\nContent-Length: {len(content)}"
        with ScriptedServer(Reply(head.encode() + b"\r\n\r\n" + content, "close")) as server:
            api = connected(server.url)
            if content == packed:
                with closing(api.api_client):
                    assert api.get_app_tokens1(5).success is True
            else:
                assert "cut off" in str(failure(api))


def test_padding_of_gzip_is_ignored() -> None:
    """As gzip itself does with zeros that follow."""
    packed = gzip.compress(b'{"success": true}') + b"\0\0"
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
    with ScriptedServer(Reply(head.encode() + packed, "close")) as server:
        api = connected(server.url)
        with closing(api.api_client):
            assert api.get_app_tokens1(5).success is True


@pytest.mark.parametrize("response", [b"", b"Connection: close\r\nContent-Length: 1, 2\r\n\r\n"])
def test_failed_call_ends_its_connection(response: bytes) -> None:
    """The server learns it at once, not when nobody holds the exception any more."""
    is_closed: list[bool] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\n" + response)
            connection.settimeout(10)
            with suppress(TimeoutError):
                is_closed.append(connection.recv(1) == b"")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        api = connected(f"http://127.0.0.1:{listener.getsockname()[1]}")
        error = failure(api, _request_timeout=0.5)
        thread.join(20)
    assert is_closed == [True]
    assert error.__traceback__ is not None  # which holds all that the call had


def test_raw_response_is_read_before_the_deadline() -> None:
    """The reading of a raw response ends with the call's deadline too; nothing waits for ever."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{"
    with ScriptedServer(Reply(head, "hang")) as server:
        api = connected(server.url, deadline=0.5)
        with closing(api.api_client):
            response = api.get_app_tokens1(5, _preload_content=False)
            with pytest.raises(urllib3.exceptions.ReadTimeoutError), response:
                response.read()


def test_deadline_that_has_passed_is_a_time_out(sandbox: Sandbox) -> None:
    """However short the time, the call ends as a time-out."""
    error = failure(connected(sandbox.url), _request_timeout=1e-9)
    assert isinstance(error, stcloud.ConnectionException)


def test_time_limits_are_finite_by_default() -> None:
    """Nobody waits for ever: 5 seconds to connect, 30 for each read."""
    configuration = stcloud.Configuration()
    assert (configuration.connect_timeout, configuration.read_timeout) == (5, 30)


@pytest.fixture
def secure_sandbox(authority: trustme.CA) -> Iterator[Sandbox]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with Sandbox(ssl_context=context) as sandbox:
        yield sandbox


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path) -> str:
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return str(file)


def test_trusted_certificate_is_accepted(secure_sandbox: Sandbox, trusted: str) -> None:
    """A server whose certificate is trusted is talked to over TLS."""
    api = connected(secure_sandbox.url, api_key=secure_sandbox.api_key, ssl_ca_cert=trusted)
    with closing(api.api_client):
        assert api.get_app_tokens1(secure_sandbox.app_id).success is True


def test_unknown_certificate_is_refused(secure_sandbox: Sandbox) -> None:
    """A server whose certificate nobody vouches for is not talked to."""
    error = failure(connected(secure_sandbox.url))
    assert type(error) is stcloud.ConnectionException
    assert "no secure connection" in str(error)
    assert "certificate verify failed" in str(error)


def test_file_without_certificates_is_named(secure_sandbox: Sandbox) -> None:
    """A file of trusted certificates that is none raises an error that names the setting."""
    api = connected(secure_sandbox.url, ssl_ca_cert=__file__)
    with closing(api.api_client), pytest.raises(ValueError, match="ssl_ca_cert"):
        api.get_app_tokens1(5)


def test_rest_offers_what_scripts_import() -> None:
    """``from stcloud.rest import ApiException`` stays possible."""
    assert rest.ApiException is stcloud.ApiException
