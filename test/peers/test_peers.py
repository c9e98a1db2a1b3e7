"""Real nginx, haproxy and squid before the sandbox: what calls report is what the database says."""

import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import trustme
from scripted_server import unused_address

import stcloud
from stcloud.sandbox import Fault, Sandbox

pytestmark = pytest.mark.skipif(
    os.environ.get("STCLOUD_TEST_PEERS") != "1", reason="set by tox -e peers"
)
Api = stcloud.TokensApiControllerApi
THREADS = 8

NGINX = """
daemon off;
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
worker_shutdown_timeout 1s;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_timeout {keep_alive};
    keepalive_requests {requests};
    upstream sandbox {{ server {upstream}; keepalive 16; }}
    server {{
        listen {address};
        location / {{
            proxy_pass http://sandbox;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_next_upstream off;
            proxy_connect_timeout 1s;
            proxy_read_timeout {read_timeout};
        }}
    }}
}}
"""
HAPROXY = """
global
    maxconn 256
defaults
    mode http
    timeout connect 1s
    timeout client 20s
    timeout server {read_timeout}
    timeout http-keep-alive {keep_alive}
    retries 0
frontend in
    bind {address}
    default_backend sandbox
backend sandbox
    server one {upstream}
"""
SQUID = """
http_port {address}
pid_filename {folder}/squid.pid
cache_log {folder}/cache.log
access_log none
cache deny all
coredump_dir {folder}
netdb_filename none
shutdown_lifetime 0 seconds
auth_param basic program {ncsa} {folder}/passwords
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all
"""


class Peer:
    """A program with a configuration of its own, which listens on a free port."""

    def __init__(self, name: str, text: str, folder: Path, **values: str) -> None:
        program = shutil.which(name) or shutil.which(name, path="/usr/sbin")
        if program is None:
            pytest.skip(f"{name} is not on this machine")
        self.address = unused_address()
        self.url = f"http://{self.address}"
        self._file = folder / f"{name}.conf"
        self._file.write_text(text.format(address=self.address, folder=folder, **values))
        self._log = (folder / f"{name}.out").open("wb")
        options = {"nginx": ["-p", str(folder), "-c"], "haproxy": ["-W", "-db", "-f"]}
        self._command = [program, *options.get(name, ["-N", "-f"]), str(self._file)]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stdout=self._log, stderr=self._log)
        end = time.monotonic() + 20
        host, port = self.address.split(":")
        while True:
            with suppress(OSError), socket.create_connection((host, int(port)), 1):
                return
            if self.process.poll() is not None or time.monotonic() > end:
                self.close()
                raise RuntimeError(Path(self._log.name).read_text(errors="replace"))
            time.sleep(0.02)

    def reload(self) -> None:
        is_haproxy = "haproxy" in self._command[0]
        self.process.send_signal(signal.SIGUSR2 if is_haproxy else signal.SIGHUP)

    def kill(self) -> None:
        with suppress(OSError):
            for child in children(self.process.pid):
                os.kill(child, signal.SIGKILL)
        self.process.kill()
        self.process.wait(20)

    def close(self) -> None:
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        self.kill()
        self._log.close()


def children(process: int) -> list[int]:
    listed = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii")
    return [int(child) for child in listed.split()]


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that squid, which becomes another user, can reach: tmp_path is the tester's alone."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o777)
        yield Path(name)


@pytest.fixture
def peer(folder: Path, sandbox: Sandbox) -> Iterator[Callable[..., Peer]]:
    with ExitStack() as started:

        def start(name: str, **values: str) -> Peer:
            text = {"nginx": NGINX, "haproxy": HAPROXY, "squid": SQUID}[name]
            upstream = sandbox.url.removeprefix("http://")
            values = {
                "upstream": upstream,
                "keep_alive": "20s",
                "read_timeout": "20s",
                "requests": "1000",
                **values,
            }
            return started.enter_context(closing(Peer(name, text, folder, **values)))

        yield start


def connected(url: str, sandbox: Sandbox, **settings: Any) -> stcloud.ApiClient:
    settings = {"host": url, "api_key": sandbox.api_key, "read_timeout": 10, **settings}
    return stcloud.ApiClient(stcloud.Configuration(**settings))


class Calls:
    """Creates tokens from many threads until it is ended, and compares with the database."""

    def __init__(self, api: Api, pause: float = 0) -> None:
        self._api = api
        self._pause = pause
        self._has_ended = threading.Event()
        self.created: set[str] = set()
        self.unknown: set[str] = set()
        self.refused: set[str] = set()
        self.errors: set[str] = set()

    def _work(self, thread: int) -> None:
        number = 0
        while not self._has_ended.is_set():
            number += 1
            name = f"{thread}-{number}"
            try:
                self._api.create_app_token({"name": name}, 789)
            except stcloud.ApiException as error:
                self.errors.add(str(error))
                (self.unknown if error.outcome_unknown else self.refused).add(name)
            else:
                self.created.add(name)
            self._has_ended.wait(self._pause)

    def during(self, disturb: Callable[[], object]) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            working = [pool.submit(self._work, thread) for thread in range(THREADS)]
            try:
                disturb()
            finally:
                self._has_ended.set()
            for thread in working:
                thread.result(60)

    def check(self, sandbox: Sandbox) -> None:
        """None is lost, none is done twice, and no call reports what is not so."""
        end = time.monotonic() + 10
        while True:
            names = [token["name"] for token in sandbox.tokens()]
            if self.created <= set(names) or time.monotonic() > end:
                break
            time.sleep(0.05)
        assert len(names) == len(set(names))
        assert self.created <= set(names)
        assert not self.refused & set(names)
        assert set(names) <= self.created | self.unknown
        assert len(self.created) > THREADS, self.errors


@pytest.mark.parametrize("name", ["nginx", "haproxy"])
def test_rolling_reloads(name: str, peer: Callable[..., Peer], sandbox: Sandbox) -> None:
    """Workers end and others begin, five times in two seconds."""
    proxy = peer(name)

    def reload() -> None:
        for _ in range(5):
            time.sleep(0.4)
            proxy.reload()

    with connected(proxy.url, sandbox) as client:
        calls = Calls(Api(client))
        calls.during(reload)
    calls.check(sandbox)


@pytest.mark.parametrize("name", ["nginx", "haproxy"])
def test_kills(name: str, peer: Callable[..., Peer], sandbox: Sandbox) -> None:
    """The proxy is killed amid calls, and is back after half a second: what was unsent is sent."""
    proxy = peer(name)

    def kill() -> None:
        for _ in range(2):
            time.sleep(0.5)
            proxy.kill()
            time.sleep(0.5)
            proxy.start()
        time.sleep(0.5)

    with connected(proxy.url, sandbox) as client:
        calls = Calls(Api(client))
        calls.during(kill)
    calls.check(sandbox)
    assert not calls.refused


@pytest.mark.parametrize(("name", "keep_alive"), [("nginx", "1s"), ("haproxy", "300ms")])
def test_keep_alive_shorter_than_the_pause(
    name: str, keep_alive: str, peer: Callable[..., Peer], sandbox: Sandbox
) -> None:
    """The proxy closes idle connections just when they are needed: no call fails."""
    proxy = peer(name, keep_alive=keep_alive)
    pause = 1.0 if name == "nginx" else 0.3
    with connected(proxy.url, sandbox, idle_timeout=pause * 0.6) as client:
        calls = Calls(Api(client), pause)
        calls.during(lambda: time.sleep(4))
    calls.check(sandbox)
    assert not calls.unknown | calls.refused


def test_connections_that_end_after_some_requests(
    peer: Callable[..., Peer], sandbox: Sandbox
) -> None:
    """``Connection: close`` in the last of their responses is heeded."""
    proxy = peer("nginx", requests="3")
    with connected(proxy.url, sandbox) as client:
        calls = Calls(Api(client))
        calls.during(lambda: time.sleep(1))
    calls.check(sandbox)
    assert not calls.unknown | calls.refused


@pytest.mark.parametrize(("name", "status"), [("nginx", 502), ("haproxy", 503)])
def test_page_of_a_proxy_whose_service_is_gone(
    name: str, status: int, peer: Callable[..., Peer], sandbox: Sandbox
) -> None:
    """The exception has the status, and says that a page of HTML came."""
    proxy = peer(name, upstream=unused_address())
    page = pytest.raises(stcloud.ServiceException, match="a page of HTML came")
    with connected(proxy.url, sandbox, retries=0) as client, page as raised:
        Api(client).get_app_tokens1(789)
    assert raised.value.status == status


@pytest.mark.parametrize("name", ["nginx", "haproxy"])
def test_service_that_is_too_slow_for_the_proxy(
    name: str, peer: Callable[..., Peer], sandbox: Sandbox
) -> None:
    """A 504 to a creation may mean that it was done: the outcome is unknown."""
    proxy = peer(name, read_timeout="1s")
    sandbox.fail_next("create_app_token", Fault.late(20))
    with connected(proxy.url, sandbox) as client, pytest.raises(stcloud.ServiceException) as raised:
        Api(client).create_app_token({"name": "slow"}, 789)
    assert (raised.value.status, raised.value.attempts) == (504, 1)
    assert raised.value.outcome_unknown
    assert [token["name"] for token in sandbox.tokens()] == ["slow"]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_squid(
    scheme: str,
    peer: Callable[..., Peer],
    authority: trustme.CA,
    folder: Path,
) -> None:
    """Requests go through with the password, and are refused once without or with another."""
    ncsa = Path("/usr/lib/squid/basic_ncsa_auth")
    openssl = shutil.which("openssl")
    if not ncsa.exists() or openssl is None:
        pytest.skip("squid's basic_ncsa_auth and openssl are not on this machine")
    made = subprocess.run(
        [openssl, "passwd", "-apr1", "made-up"], capture_output=True, check=True, timeout=20
    )
    (folder / "passwords").write_bytes(b"user:" + made.stdout)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    ca_file = folder / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    proxy = peer("squid", ncsa=str(ncsa))
    with Sandbox(ssl_context=context if scheme == "https" else None) as sandbox:
        settings: dict[str, Any] = {"ssl_ca_cert": ca_file}
        address = f"http://user:made-up@{proxy.address}"
        with connected(sandbox.url, sandbox, proxy=address, **settings) as client:
            calls = Calls(Api(client))
            calls.during(lambda: time.sleep(1))
        calls.check(sandbox)
        assert not calls.unknown | calls.refused
        for address in (f"http://{proxy.address}", f"http://user:other@{proxy.address}"):
            client = connected(sandbox.url, sandbox, proxy=address, **settings)
            with client, pytest.raises(stcloud.ApiException, match="407") as raised:
                Api(client).create_app_token({"name": "refused"}, 789)
            assert (raised.value.attempts, raised.value.outcome_unknown) == (1, False)
        assert "refused" not in [token["name"] for token in sandbox.tokens()]
