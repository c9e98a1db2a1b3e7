"""Who is talked to, what is sent to whom, and what a hostile response can do."""

import gzip
import logging
import os
import ssl
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from pytest_httpserver import HTTPServer
from relay import Proxy
from scripted_server import unused_address

import stcloud
from stcloud.configuration import InsecureTransportWarning
from stcloud.sandbox import Sandbox

Api = stcloud.TokensApiControllerApi
KEY = "0123abcd-made-up-key"


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return str(file)


@pytest.fixture
def serve(authority: trustme.CA) -> Iterator[Callable[..., Sandbox]]:
    """Start sandboxes with a certificate of a name, and end them."""
    started: list[Sandbox] = []

    def serve(*names: str, expires: datetime | None = None, **context: Any) -> Sandbox:
        settings = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*names, not_after=expires).configure_cert(settings)
        for name, value in context.items():
            setattr(settings, name, value)
        if settings.verify_mode is ssl.CERT_REQUIRED:
            authority.configure_trust(settings)
        sandbox = Sandbox(ssl_context=settings)
        sandbox.start()
        started.append(sandbox)
        return sandbox

    yield serve
    for sandbox in started:
        sandbox.close()


def call(sandbox: Sandbox, **settings: Any) -> bool | None:
    configuration = stcloud.Configuration(host=sandbox.url, api_key=sandbox.api_key, **settings)
    with stcloud.ApiClient(configuration) as client:
        return Api(client).get_app_tokens1(sandbox.app_id).success


def refusal(sandbox: Sandbox, **settings: Any) -> stcloud.ConnectionException:
    with pytest.raises(stcloud.ConnectionException) as raised:
        call(sandbox, **settings)
    return raised.value


def call_succeeds(sandbox: Sandbox, **settings: Any) -> bool:
    try:
        return call(sandbox, **settings) is True
    except stcloud.ConnectionException:
        return False


def test_unknown_expired_and_wrong_host_certificates_are_refused(
    serve: Callable[..., Sandbox], ca_file: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A certificate that does not vouch for the host ends the call at once, nothing sent."""
    caplog.set_level(logging.INFO, "stcloud.sandbox")
    expired = serve("127.0.0.1", expires=datetime(2020, 1, 1, tzinfo=UTC))
    for sandbox, settings, problem in (
        (serve("127.0.0.1"), {}, "unable to get local issuer|self.signed"),
        (expired, {"ssl_ca_cert": ca_file}, "expired"),
        (serve("elsewhere.example"), {"ssl_ca_cert": ca_file}, "mismatch|not valid"),
    ):
        error = refusal(sandbox, **settings)
        assert (error.attempts, error.outcome_unknown) == (1, False)
        with pytest.raises(stcloud.ConnectionException, match=problem):
            raise error
    assert "tokens" not in caplog.text


def test_name_to_expect_can_be_given(serve: Callable[..., Sandbox], ca_file: str) -> None:
    """``assert_hostname`` names the certificate's host, or switches the check off."""
    sandbox = serve("elsewhere.example")
    assert call(sandbox, ssl_ca_cert=ca_file, assert_hostname="elsewhere.example") is True
    assert call(sandbox, ssl_ca_cert=ca_file, assert_hostname=False) is True
    assert "no secure connection" in str(
        refusal(sandbox, ssl_ca_cert=ca_file, assert_hostname="other.example")
    )


def test_verification_can_be_switched_off(serve: Callable[..., Sandbox]) -> None:
    """``verify_ssl=False`` talks to anyone, and warns when it is set."""
    with pytest.warns(InsecureTransportWarning, match="verify_ssl") as noted:
        assert call(serve("elsewhere.example"), verify_ssl=False) is True
    assert [warning.filename for warning in noted] == [__file__]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1")
def test_tls_is_1_2_at_least(serve: Callable[..., Sandbox], ca_file: str) -> None:
    """A server that speaks older TLS only is refused."""
    old = ssl.TLSVersion.TLSv1_1
    sandbox = serve("127.0.0.1", minimum_version=old, maximum_version=old)
    assert refusal(sandbox, ssl_ca_cert=ca_file).attempts == 1
    assert call(serve("127.0.0.1", maximum_version=ssl.TLSVersion.TLSv1_2), ssl_ca_cert=ca_file)


def test_verification_can_be_switched_on_again(serve: Callable[..., Sandbox]) -> None:
    """A setting that is changed counts from the next call on."""
    sandbox = serve("127.0.0.1")
    with pytest.warns(InsecureTransportWarning, match="verify_ssl"):
        configuration = stcloud.Configuration(
            host=sandbox.url, api_key=sandbox.api_key, verify_ssl=False, retries=0
        )
    with stcloud.ApiClient(configuration) as client:
        assert Api(client).get_app_tokens1(sandbox.app_id).success is True
        configuration.verify_ssl = True
        with pytest.raises(stcloud.ConnectionException, match="certificate verify failed"):
            Api(client).get_app_tokens1(sandbox.app_id)


def test_other_name_may_be_expected_later(serve: Callable[..., Sandbox], ca_file: str) -> None:
    """A connection that was made under another name is not used."""
    sandbox = serve("elsewhere.example")
    configuration = stcloud.Configuration(
        host=sandbox.url,
        api_key=sandbox.api_key,
        ssl_ca_cert=ca_file,
        assert_hostname="elsewhere.example",
    )
    with stcloud.ApiClient(configuration) as client:
        assert Api(client).get_app_tokens1(sandbox.app_id).success is True
        configuration.assert_hostname = "other.example"
        with pytest.raises(stcloud.ConnectionException, match="no secure connection"):
            Api(client).get_app_tokens1(sandbox.app_id)


ASKING = """
import os, sys, stcloud
os.open(sys.argv[1], os.O_RDWR)  # makes it the terminal of this session
configuration = stcloud.Configuration(host="https://127.0.0.1:9", api_key="made-up-key", retries=0)
configuration.cert_file, configuration.key_file = sys.argv[2:]
try:
    stcloud.TokensApiControllerApi(stcloud.ApiClient(configuration)).get_app_tokens1(789)
except ValueError as error:
    print(error)
"""


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no terminals here")
def test_key_with_a_password_asks_nobody(authority: trustme.CA, tmp_path: Path) -> None:
    """An encrypted key is refused; a service that has a terminal does not wait at it."""
    own = authority.issue_cert("client.example")
    certificate, key = tmp_path / "own.pem", tmp_path / "own.key"
    own.cert_chain_pems[0].write_to_path(str(certificate))
    plain = serialization.load_pem_private_key(own.private_key_pem.bytes(), None)
    key.write_bytes(
        plain.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"made-up"),
        )
    )
    master, slave = os.openpty()
    with os.fdopen(master), os.fdopen(slave):
        program = [sys.executable, "-c", ASKING, os.ttyname(slave), str(certificate), str(key)]
        ended = subprocess.run(
            program, capture_output=True, text=True, timeout=30, start_new_session=True, check=True
        )
    assert ended.stdout.startswith("cert_file or key_file names no readable PEM file of its kind")


def test_client_certificate(
    serve: Callable[..., Sandbox], authority: trustme.CA, ca_file: str, tmp_path: Path
) -> None:
    """With ``cert_file`` and ``key_file`` the client proves who it is; without, it is refused."""
    sandbox = serve("127.0.0.1", verify_mode=ssl.CERT_REQUIRED)
    own = authority.issue_cert("client.example")
    certificate, key = tmp_path / "own.pem", tmp_path / "own.key"
    own.cert_chain_pems[0].write_to_path(str(certificate))
    own.private_key_pem.write_to_path(str(key))
    assert call(sandbox, ssl_ca_cert=ca_file, cert_file=certificate, key_file=key) is True
    assert not call_succeeds(sandbox, ssl_ca_cert=ca_file)


def test_ssl_cert_file_counts_unless_switched_off(
    serve: Callable[..., Sandbox], ca_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE names the trusted certificates; ``trust_env=False`` ignores it."""
    monkeypatch.setenv("SSL_CERT_FILE", ca_file)
    sandbox = serve("127.0.0.1")
    assert call(sandbox) is True
    assert "certificate verify failed" in str(refusal(sandbox, trust_env=False))


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with closing(Proxy()) as proxy:
        yield proxy


def test_explicit_proxy_is_used(
    serve: Callable[..., Sandbox], sandbox: Sandbox, ca_file: str, proxy: Proxy
) -> None:
    """Https goes through a tunnel, which hides the key; plain http is forwarded."""
    address = f"http://user:pass%20word@{proxy.address}"
    assert call(serve("127.0.0.1"), ssl_ca_cert=ca_file, proxy=address) is True
    assert call(sandbox, proxy=address) is True
    tunnel, forwarded = proxy.heads
    assert tunnel.startswith("CONNECT 127.0.0.1:")
    assert "apiKey" not in tunnel
    assert forwarded.startswith(f"GET {sandbox.url}/users-web/")
    for head in proxy.heads:
        assert "proxy-authorization: basic dxnlcjpwyxnzihdvcmq=" in head.lower()


def test_proxy_may_speak_tls(
    serve: Callable[..., Sandbox], sandbox: Sandbox, authority: trustme.CA, ca_file: str
) -> None:
    """The certificates trusted for the service count for the proxy, too, also within a tunnel."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with closing(Proxy(context)) as proxy:
        for service in (sandbox, serve("127.0.0.1")):
            assert call(service, ssl_ca_cert=ca_file, proxy=f"https://{proxy.address}") is True
        assert len(proxy.heads) == 2


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_proxy_of_the_environment(
    name: str, sandbox: Sandbox, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment's proxy is used, unless NO_PROXY names the host or trust_env is off."""
    monkeypatch.setenv(name, f"http://{proxy.address}")
    assert call(sandbox) is True
    assert len(proxy.heads) == 1
    assert call(sandbox, trust_env=False) is True
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert call(sandbox) is True
    assert len(proxy.heads) == 1


@pytest.mark.parametrize("names", [["HTTP_PROXY"], ["http_proxy"], ["http_proxy", "HTTP_PROXY"]])
@pytest.mark.parametrize("proxy", ["socks5://h:1", "h:1:2"])
def test_unusable_proxy_of_the_environment_is_named(
    proxy: str, names: list[str], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that cannot be used is a clear error before anything is sent.

    The variable that is named is the one that counts.
    """
    for name in names:
        monkeypatch.setenv(name, proxy)
    with pytest.raises(ValueError, match=rf"{names[0]} (must be|is a SOCKS)"):
        call(sandbox)


def test_proxy_without_scheme_is_http(
    sandbox: Sandbox, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The common short form, host and port alone, works."""
    monkeypatch.setenv("HTTP_PROXY", proxy.address)
    assert call(sandbox) is True
    assert len(proxy.heads) == 1


def test_proxy_that_is_down_is_told(sandbox: Sandbox) -> None:
    """Nobody listens at the proxy: nothing was sent, and its password is not shown."""
    proxy = f"http://user:secret-word@{unused_address()}"
    error = refusal(sandbox, proxy=proxy, retries=0)
    assert (error.outcome_unknown, "secret-word" in f"{error} {error!r}") == (False, False)


def test_debug_shows_no_secret(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """With debug on, one line reports each attempt, and neither key nor token is in any log."""
    caplog.set_level(logging.DEBUG)
    configuration = stcloud.Configuration(host=sandbox.url, api_key=sandbox.api_key, debug=True)
    with stcloud.ApiClient(configuration) as client:
        response: Any = Api(client).create_app_token({"name": "n"}, sandbox.app_id)
        token = response.data.token.token
        client.call_api("/users-web/api/v3/apps/789/tokens", "GET", None, {"secret": token})
        with pytest.raises(stcloud.NotFoundException):
            client.call_api("/{token}", "GET", {"token": token})
        with pytest.raises(stcloud.NotFoundException):
            Api(client).delete_app_token1(sandbox.app_id, 1)
    logging.getLogger("stcloud").setLevel(logging.NOTSET)
    own = [record for record in caplog.records if record.name == "stcloud"]
    attempts = [record.getMessage() for record in own if record.levelno == logging.DEBUG]
    path = "/users-web/api/v3/apps/789/tokens"
    starts = [f"POST {path}: 200 ", f"GET {path}: 200 ", "GET /****", f"DELETE {path}/1: 404 "]
    for line, start in zip(attempts, starts, strict=True):
        assert line.startswith(start)
        assert ", attempt 1, " in line
        assert line.endswith(" bytes")
    printed = capfd.readouterr()
    for text in (*map(logging.LogRecord.getMessage, own), printed.out, printed.err):
        assert token not in text
        assert sandbox.api_key not in text


def bomb(size: int) -> bytes:
    return gzip.compress(b" " * size, 9)


def test_bomb_raises_and_memory_stays_flat(httpserver: HTTPServer) -> None:
    """A response that grows beyond the bound when decompressed raises before it has grown."""
    httpserver.expect_request("/x").respond_with_data(
        bomb(200_000_000), headers={"Content-Encoding": "gzip"}
    )
    most = 1_000_000
    configuration = stcloud.Configuration(
        host=httpserver.url_for(""), api_key=KEY, max_response_bytes=most
    )
    with stcloud.ApiClient(configuration) as client:
        tracemalloc.start()
        with pytest.raises(stcloud.UnexpectedResponseException, match="more than 1000000 bytes"):
            client.call_api("/x", "GET")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 100_000_000


def test_raw_response_is_not_bounded(httpserver: HTTPServer) -> None:
    """How much of it is read is the caller's choice."""
    size = 20_000_000
    httpserver.expect_request("/x").respond_with_data(b"x" * size)
    configuration = stcloud.Configuration(
        host=httpserver.url_for(""), api_key=KEY, max_response_bytes=1
    )
    with stcloud.ApiClient(configuration) as client:
        assert len(client.call_api("/x", "GET", _preload_content=False)[0].read()) == size


@pytest.mark.parametrize("status", [200, 500])
def test_response_is_bounded(status: int, httpserver: HTTPServer) -> None:
    """A response of the allowed size is read, one byte more is not; of an error the text is cut."""
    body = b'{"a": "' + b"x" * 991 + b'"}'
    httpserver.expect_request("/x").respond_with_data(body, status)
    configuration = stcloud.Configuration(host=httpserver.url_for(""), api_key=KEY, retries=0)
    with stcloud.ApiClient(configuration) as client:
        for most, cut in ((len(body), False), (len(body) - 1, True)):
            configuration.max_response_bytes = most
            if status == 200 and not cut:
                assert client.call_api("/x", "GET")[1] == 200
                continue
            with pytest.raises(stcloud.ApiException) as raised:
                client.call_api("/x", "GET")
            kind = (
                stcloud.ServiceException if status == 500 else stcloud.UnexpectedResponseException
            )
            assert type(raised.value) is kind
            if status == 500:
                assert raised.value.body == body[:most].decode()
