"""Certificates: files that change, folders, contexts of one's own, and what the server refuses."""

import errno
import os
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from shutil import which
from typing import Any, NoReturn

import certifi
import pytest
import trustme
from relay import Proxy
from scripted_server import unused_address

import stcloud
from stcloud._transport.pools import Pools
from stcloud.configuration import InsecureTransportWarning
from stcloud.sandbox import Sandbox

Api = stcloud.TokensApiControllerApi


def server_context(authority: trustme.CA, **settings: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    for name, value in settings.items():
        setattr(context, name, value)
    if context.verify_mode is ssl.CERT_REQUIRED:
        authority.configure_trust(context)
    return context


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[Sandbox]:
    with Sandbox(ssl_context=server_context(authority)) as sandbox:
        yield sandbox


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(file)
    return file


def connected(sandbox: Sandbox, **settings: Any) -> Api:
    settings = {"retries": 0, "host": sandbox.url, "api_key": sandbox.api_key, **settings}
    return Api(stcloud.ApiClient(stcloud.Configuration(**settings)))


def call(sandbox: Sandbox, **settings: Any) -> bool | None:
    api = connected(sandbox, **settings)
    with closing(api.api_client):
        return api.get_app_tokens1(sandbox.app_id).success


def test_trusted_certificates_are_read_again(
    secure: Sandbox, ca_file: Path, authority: trustme.CA
) -> None:
    """A file that changes on disk counts from the next call on."""
    trustme.CA().cert_pem.write_to_path(ca_file)
    api = connected(secure, ssl_ca_cert=ca_file)
    with closing(api.api_client):
        with pytest.raises(stcloud.ConnectionException, match="certificate verify failed"):
            api.get_app_tokens1(secure.app_id)
        authority.cert_pem.write_to_path(ca_file)
        os.utime(ca_file, ns=(1, 1))
        assert api.get_app_tokens1(secure.app_id).success


def test_client_certificate_is_read_again(
    authority: trustme.CA, ca_file: Path, tmp_path: Path
) -> None:
    """Short-lived certificates of clients are renewed while the program runs."""
    seen: list[Any] = []
    context = server_context(authority, verify_mode=ssl.CERT_REQUIRED)
    file = tmp_path / "client.pem"

    def renew(name: str) -> None:
        certificate = authority.issue_cert(f"{name}@example.com")
        certificate.private_key_and_cert_chain_pem.write_to_path(file)

    with Sandbox(ssl_context=context) as sandbox:
        renew("first")
        api = connected(sandbox, ssl_ca_cert=ca_file, cert_file=file)
        with closing(api.api_client), pytest.MonkeyPatch.context() as patch:
            load = ssl.SSLContext.load_cert_chain

            def noted(*arguments: Any, **named: Any) -> None:
                seen.append(1)
                load(*arguments, **named)

            patch.setattr(ssl.SSLContext, "load_cert_chain", noted)
            for _ in range(3):
                api.get_app_tokens1(sandbox.app_id)
            assert len(seen) == 1
            renew("second")
            os.utime(file, ns=(1, 1))
            assert api.get_app_tokens1(sandbox.app_id).success
            assert len(seen) == 2


def test_key_without_its_certificate_is_refused(secure: Sandbox, ca_file: Path) -> None:
    """It would be ignored, and the server would ask for a certificate in vain."""
    with pytest.raises(ValueError, match="key_file needs cert_file"):
        call(secure, ssl_ca_cert=ca_file, key_file=ca_file)


def test_variable_replaces_certifi(
    secure: Sandbox, ca_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whom only certifi's file trusts is not trusted any more."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("stcloud._transport.pools.where", lambda: str(ca_file))
    assert call(secure)
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    monkeypatch.setenv("SSL_CERT_FILE", str(other))
    with pytest.raises(stcloud.ConnectionException, match="no secure connection"):
        call(secure)


def test_missing_file_is_named(
    secure: Sandbox, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the setting or the variable that names it, and never with another one."""
    missing = str(ca_file) + ".gone"
    monkeypatch.setenv("SSL_CERT_FILE", missing)
    monkeypatch.setenv("SSL_CERT_DIR", str(ca_file.parent))
    with pytest.raises(ValueError, match=r"^SSL_CERT_FILE names no") as raised:
        call(secure)
    assert missing in str(raised.value)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("stcloud._transport.pools.where", lambda: missing)
    with pytest.raises(ValueError, match="certifi") as raised:
        call(secure)
    assert "SSL_CERT_FILE" not in str(raised.value)
    api = connected(secure, ssl_ca_cert=ca_file)
    ca_file.unlink()
    with closing(api.api_client), pytest.raises(ValueError, match="ssl_ca_cert"):
        api.get_app_tokens1(secure.app_id)


@pytest.mark.parametrize("source", ["ssl_ca_cert", "SSL_CERT_DIR"])
def test_folder_of_certificates(
    source: str, secure: Sandbox, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the names that ``openssl rehash`` makes."""
    if not (openssl := which("openssl")):
        pytest.skip("no openssl program here")
    subprocess.run([openssl, "rehash", ca_file.parent], check=True, timeout=20)
    monkeypatch.setenv("SSL_CERT_DIR", str(ca_file.parent) if source == "SSL_CERT_DIR" else "")
    settings = {"ssl_ca_cert": ca_file.parent} if source == "ssl_ca_cert" else {}
    assert call(secure, **settings) is True


def test_context_of_the_caller(secure: Sandbox, ca_file: Path) -> None:
    """``ssl_context`` is used as it is: the system's store, an encrypted key, lax rules."""
    context = ssl.create_default_context(cafile=str(ca_file))
    assert call(secure, ssl_context=context) is True
    with pytest.raises(stcloud.ConnectionException, match="certificate verify failed"):
        call(secure, ssl_context=ssl.create_default_context(cafile=certifi.where()))
    with pytest.raises(TypeError, match="ssl_context must be SSLContext"):
        stcloud.Configuration(ssl_context="default")  # type: ignore[arg-type]
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with pytest.warns(InsecureTransportWarning, match="ssl_context verifies nothing") as noted:
        stcloud.Configuration(ssl_context=context)
    assert len(noted) == 1


def test_context_of_truststore(
    secure: Sandbox, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's own trust store, through the library for it."""
    truststore = pytest.importorskip("truststore", reason="truststore reads the system's store")
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    assert call(secure, ssl_context=context, trust_env=False) is True


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_refused_client_certificate_is_reported_as_such(
    version: ssl.TLSVersion, authority: trustme.CA, ca_file: Path, tmp_path: Path
) -> None:
    """Every time, also where TLS 1.3 reports it only after the request began to be sent."""
    context = server_context(authority, verify_mode=ssl.CERT_REQUIRED, minimum_version=version)
    context.maximum_version = version
    stranger = tmp_path / "stranger.pem"
    other = trustme.CA().issue_cert("x@example.com")
    other.private_key_and_cert_chain_pem.write_to_path(stranger)
    body = {"name": "x" * 200_000}  # so that sending takes longer than the server's refusal
    with Sandbox(ssl_context=context) as sandbox:
        for number in range(40):
            settings = {"cert_file": stranger} if number % 2 else {}
            api = connected(sandbox, ssl_ca_cert=ca_file, retries=3, **settings)
            with closing(api.api_client), pytest.raises(stcloud.ConnectionException) as raised:
                api.api_client.call_api("/x", "POST", body=body)
            assert "ALERT" in str(raised.value).upper()
            assert (raised.value.attempts, raised.value.outcome_unknown) == (1, False)


def test_damaged_handshake_is_retried(secure: Sandbox, ca_file: Path) -> None:
    """Nothing was sent, so that also a token is created, by the next attempt."""
    lock = threading.Lock()
    damaged: list[int] = []

    def damage(data: bytes) -> bytes:
        with lock:
            if len(damaged) < 2 and len(data) > 300:
                damaged.append(len(data))
                return data[:250] + bytes([data[250] ^ 1]) + data[251:]
        return data

    with closing(Proxy(change=damage)) as proxy:
        policy = stcloud.RetryPolicy(backoff=0.01)
        settings = {"proxy": f"http://{proxy.address}", "ssl_ca_cert": ca_file, "retries": policy}
        api = connected(secure, **settings)
        with closing(api.api_client):
            info: Any = api.create_app_token_with_http_info({"name": "x"}, secure.app_id)
            listed: Any = api.get_app_tokens1(secure.app_id)
    assert len(damaged) == 2
    assert info.attempts == 3
    assert [token.name for token in listed.data.tokens] == ["x"]


def test_files_that_are_being_renewed_are_waited_for(
    secure: Sandbox, ca_file: Path, authority: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    """One is empty for a moment, or does not fit the other: what was read before stays in use."""
    api = connected(secure, ssl_ca_cert=ca_file)
    with closing(api.api_client):
        assert api.get_app_tokens1(secure.app_id).success
        ca_file.write_text("")
        client = api.api_client
        ways: list[Callable[[], object]] = [str, client.close, client.rest_client.reset_pools]
        for forget in ways:
            forget()
            caplog.clear()
            raw: Any = api.get_app_tokens1(secure.app_id, _preload_content=False)
            raw.release_conn()
            assert raw.status == 200
            assert api.get_app_tokens1(secure.app_id).success
            assert caplog.text.count("the files that were read before stay in use") == 2
        authority.cert_pem.write_to_path(ca_file)
        caplog.clear()
        assert api.get_app_tokens1(secure.app_id).success
        api.api_client.configuration.assert_hostname = "127.0.0.1"
        ca_file.write_text("")
        with pytest.raises(ValueError, match="names no readable PEM file"):
            api.get_app_tokens1(secure.app_id)  # other settings have read nothing yet
    assert not caplog.text


def test_files_that_were_read_stay_in_use_for_each_host(
    secure: Sandbox, ca_file: Path, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever was called last; but not for a proxy that was not there before."""
    with Sandbox(ssl_context=server_context(authority)) as other:
        api = connected(secure, ssl_ca_cert=str(ca_file))
        configuration = api.api_client.configuration
        with closing(api.api_client):
            for renewing in (False, True):
                for sandbox in (secure, other, secure):
                    configuration.host = sandbox.url
                    configuration.api_key["Authorization"] = sandbox.api_key
                    assert api.get_app_tokens1(sandbox.app_id).success
                if not renewing:
                    ca_file.write_text("")
            monkeypatch.setenv("HTTPS_PROXY", f"https://{unused_address()}")
            api.api_client.close()
            with pytest.raises(ValueError, match="names no readable PEM file"):
                api.get_app_tokens1(secure.app_id)


def test_files_that_nothing_has_read_are_in_use_nowhere(
    secure: Sandbox, sandbox: Sandbox, ca_file: Path
) -> None:
    """A host without TLS has read none."""
    api = connected(sandbox, ssl_ca_cert=str(ca_file))
    with closing(api.api_client):
        assert api.get_app_tokens1(sandbox.app_id).success
        ca_file.write_text("")
        api.api_client.configuration.host = secure.url
        with pytest.raises(ValueError, match="names no readable PEM file"):
            api.get_app_tokens1(secure.app_id)


def test_a_route_replaces_the_one_before_it(sandbox: Sandbox) -> None:
    """Whatever the settings were: pools do not pile up."""
    api = connected(sandbox)
    with closing(api.api_client):
        for size in range(1, 6):
            api.api_client.configuration.connection_pool_maxsize = size
            assert api.get_app_tokens1(sandbox.app_id).success
        assert len(api.api_client.rest_client._pools._routes) == 1


def test_authority_of_a_proxy_is_read_again(
    sandbox: Sandbox, ca_file: Path, authority: trustme.CA
) -> None:
    """Also where the host is plain http: at the next connection after close()."""
    trustme.CA().cert_pem.write_to_path(str(ca_file))
    with closing(Proxy(server_context(authority))) as proxy:
        settings = {"proxy": f"https://{proxy.address}", "ssl_ca_cert": str(ca_file)}
        api = connected(sandbox, retries=0, **settings)
        with closing(api.api_client):
            with pytest.raises(stcloud.ConnectionException, match="CERTIFICATE_VERIFY_FAILED"):
                api.get_app_tokens1(sandbox.app_id)
            authority.cert_pem.write_to_path(str(ca_file))
            api.api_client.close()
            assert api.get_app_tokens1(sandbox.app_id).success


def test_lack_of_descriptors_is_no_fault_of_a_file(
    secure: Sandbox, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call was not sent, and may be made again."""

    def refused(*_: object) -> NoReturn:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", refused)
    with pytest.raises(stcloud.ConnectionException, match="Too many open files") as raised:
        call(secure, ssl_ca_cert=ca_file)
    assert raised.value.outcome_unknown is False


def test_threads_that_come_at_once_share_a_route(
    secure: Sandbox, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each would have as many connections as all may have."""
    both, new_route = threading.Barrier(2, timeout=30), Pools._new_route

    def meet(*arguments: Any) -> Any:
        both.wait()
        return new_route(*arguments)

    monkeypatch.setattr(Pools, "_new_route", meet)
    pools = Pools(stcloud.Configuration(host=secure.url, ssl_ca_cert=ca_file))
    with ThreadPoolExecutor(2) as threads:
        routes = list(threads.map(lambda _: pools.route(secure.url, False), range(2)))
    assert routes[0] is routes[1] is pools.route(secure.url, False)
