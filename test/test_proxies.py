"""Proxies: which hosts need none, and who is named when a proxy fails."""

import logging
import ssl
from base64 import b64decode
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import quote

import pytest
import trustme
from relay import Proxy
from scripted_server import ScriptedServer, response, unused_address

import stcloud
from stcloud._transport.no_proxy import is_bypassed
from stcloud.sandbox import Sandbox

Api = stcloud.TokensApiControllerApi
PASSWORD = "pässwörd-ąę"  # made up


def connected(host: str, **settings: Any) -> Api:
    settings = {"api_key": "made-up-key", "retries": 0, **settings}
    return Api(stcloud.ApiClient(stcloud.Configuration(host=host, **settings)))


def failure(host: str, **settings: Any) -> stcloud.ApiException:
    api = connected(host, **settings)
    with closing(api.api_client), pytest.raises(stcloud.ApiException) as raised:
        api.create_app_token({"name": "x"}, 5)
    return raised.value


@pytest.mark.parametrize(
    ("no_proxy", "host", "port", "expected"),
    [
        ("*", "example.com", None, True),
        ("example.com", "example.com", None, True),
        ("example.com", "EXAMPLE.com", 8080, True),
        ("example.com", "api.example.com", None, True),
        (".example.com", "api.example.com", None, True),
        (".example.com", "example.com", None, True),
        ("*.example.com", "api.example.com", None, True),
        ("Example.COM", "a.b.example.com", None, True),
        ("example.com", "notexample.com", None, False),
        ("example.com.", "example.com", None, True),
        ("a.org, example.com b.org", "example.com", None, True),
        ("a.org\texample.com", "example.com", None, True),
        ("example.com:8080", "example.com", 8080, True),
        ("example.com:8080", "example.com", 9090, False),
        ("example.com:8080", "example.com", None, False),
        ("localhost,127.0.0.1,::1", "::1", 8080, True),
        ("[::1]", "::1", None, True),
        ("[::1]:8080", "::1", 8080, True),
        ("[::1]:8080", "::1", 9090, False),
        ("::1", "0:0:0:0:0:0:0:1", None, True),
        ("127.0.0.1", "127.0.0.1", 1, True),
        ("127.0.0.1:80", "127.0.0.1", 81, False),
        ("10.0.0.0/8", "10.1.2.3", None, True),
        ("10.0.0.0/8", "11.1.2.3", None, False),
        ("10.0.0.7/8", "10.1.2.3", None, True),
        ("fd00::/8", "fd12::1", None, True),
        ("fd00::/8", "10.1.2.3", None, False),
        ("10.0.0.0/8", "example.com", None, False),
        ("0.0.1", "127.0.0.1", None, False),
        ("", "example.com", None, False),
        (",, .", "example.com", None, False),
    ],
)
def test_hosts_that_need_no_proxy(
    no_proxy: str, host: str, port: int | None, expected: bool
) -> None:
    """``NO_PROXY`` is read as curl, Go and requests read it."""
    assert is_bypassed(host, port, no_proxy) is expected


def test_key_does_not_go_to_a_proxy_that_is_not_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For an IPv6 address in brackets, too: plain http would show the key to the proxy."""
    with closing(Proxy()) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.address}")
        monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1,::1")
        error = failure(f"http://[::1]:{unused_address().rpartition(':')[2]}")
        assert "no connection: [::1]:" in str(error)
        assert proxy.heads == []


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("fault", ["name", "refused", "certificate"])
def test_proxy_that_cannot_be_reached_is_named(
    scheme: str, fault: str, authority: trustme.CA
) -> None:
    """Not the service, which nobody has asked yet; nothing was sent."""
    address = "nothing.invalid:3128" if fault == "name" else unused_address()
    if fault == "certificate":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        with closing(Proxy(context)) as proxy:
            address = proxy.address
            error = failure(f"{scheme}://127.0.0.1:9", proxy=f"https://{address}")
    else:
        error = failure(f"{scheme}://127.0.0.1:9", proxy=f"http://user:secret@{address}")
    assert type(error) is stcloud.ConnectionException
    assert f": the proxy {address}: " in str(error)
    assert "127.0.0.1:9:" not in str(error)
    assert error.outcome_unknown is False


@pytest.mark.parametrize(
    ("status", "attempts"),
    [
        *((status, 1) for status in (301, 400, 401, 403, 404, 407)),
        *((status, 3) for status in (429, 500, 502, 503, 504)),
    ],
)
def test_refusal_of_a_tunnel(status: int, attempts: int, caplog: pytest.LogCaptureFixture) -> None:
    """A wrong password is not sent again, which would lock the account; a 5xx may pass."""
    caplog.set_level(logging.DEBUG)
    refusal = b"HTTP/1.1 %d Plain-Secret\r\nX: plain-secret\r\n\r\n" % status
    policy = stcloud.RetryPolicy(attempts=3, backoff=0.01)
    with ScriptedServer(refusal) as proxy:
        address = f"http://user:made-up-password@{proxy.address}"
        error = failure("https://127.0.0.1:9", proxy=address, retries=policy)
        assert len(proxy.received) == attempts
    assert (error.attempts, error.outcome_unknown) == (attempts, False)
    assert f"the proxy {proxy.address}: the proxy refused to connect: status {status}" in str(error)
    assert ("password" in str(error)) == (status == 407)
    shown, cause = caplog.text + repr(error), error.__cause__
    while cause is not None:
        shown += f"{cause!r} {cause} {cause.args!r} {vars(cause)!r}"
        cause = cause.__cause__ or cause.__context__
    assert "plain-secret" not in shown.lower()
    assert "made-up-password" not in shown


FORGED = response(b'{"success": false}')
GOOD = b'{"success": true}'
# As long as the reader's buffer, so that what follows it stays within TLS.
FULL = response(GOOD.ljust(8192 - len(response(b" " * 8000)) + 8000))


@pytest.mark.parametrize("good", [response(GOOD), FULL], ids=["short", "full"])
@pytest.mark.parametrize("surplus", [b"", FORGED], ids=["none", "forged"])
def test_surplus_within_the_tunnel_of_a_proxy_that_speaks_tls(
    surplus: bytes, good: bytes, authority: trustme.CA
) -> None:
    """TLS within TLS holds bytes of its own: they end the connection, and are no response."""
    inner, outer = (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for _ in range(2))
    for context in (inner, outer):
        authority.issue_cert("127.0.0.1").configure_cert(context)
    with (
        authority.cert_pem.tempfile() as ca_file,
        ScriptedServer(good + surplus, context=inner) as server,
        closing(Proxy(outer)) as proxy,
    ):
        api = connected(server.url, proxy=f"https://{proxy.address}", ssl_ca_cert=ca_file)
        with closing(api.api_client):
            results = [api.delete_app_token1(5, number).success for number in range(1, 6)]
        assert results == [True] * 5
        assert len({request.connection for request in server.received}) == (5 if surplus else 1)


@pytest.mark.parametrize("source", ["setting", "variable"])
def test_password_in_any_script(
    source: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes out as UTF-8."""
    with closing(Proxy()) as proxy:
        address = f"http://user:{quote(PASSWORD)}@{proxy.address}"
        monkeypatch.setenv("HTTP_PROXY", address if source == "variable" else "")
        settings = {"proxy": address} if source == "setting" else {}
        api = connected(sandbox.url, api_key=sandbox.api_key, **settings)
        with closing(api.api_client):
            assert api.get_app_tokens1(sandbox.app_id).success
        (head,) = proxy.heads
    (value,) = [line.split()[-1] for line in head.splitlines() if "Basic" in line]
    assert b64decode(value).decode() == f"user:{PASSWORD}"


@pytest.mark.parametrize("scheme", ["socks4", "socks5", "socks5h", "SOCKS5"])
def test_socks_is_refused_by_name(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text names the setting or the variable, and holds no password."""
    address = f"{scheme}://user:secret@127.0.0.1:1080"
    with pytest.raises(ValueError, match="proxy is a SOCKS proxy") as raised:
        stcloud.Configuration(proxy=address)
    assert "secret" not in str(raised.value)
    monkeypatch.setenv("ALL_PROXY", address)
    api = connected("https://127.0.0.1:9")
    with closing(api.api_client), pytest.raises(ValueError, match="ALL_PROXY is a SOCKS") as raised:
        api.get_app_tokens1(5)
    assert "secret" not in str(raised.value)


def test_407_of_a_proxy_that_forwards(served_407: ScriptedServer) -> None:
    """It is the response's status, and is not retried."""
    error = failure("http://127.0.0.1:9", proxy=served_407.url, retries=3)
    assert (error.status, error.attempts) == (407, 1)


@pytest.fixture
def served_407() -> Iterator[ScriptedServer]:
    with ScriptedServer(response(b"", "407 Proxy Authentication Required")) as server:
        yield server


def test_tunnel_to_an_ipv6_address() -> None:
    """The address stands in brackets, before its port."""
    with ScriptedServer(b"HTTP/1.1 403 Forbidden\r\n\r\n") as proxy:
        failure("https://[::1]:8443", proxy=proxy.url)
        (request,) = proxy.received
    assert (request.path, request.headers["Host"]) == ("[::1]:8443", "[::1]:8443")
