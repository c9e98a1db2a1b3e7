"""Connections under load and in odd places: threads, forks, dropped clients, interrupted calls."""

import gc
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import trustme

import stcloud
from stcloud.rest import RestClient
from stcloud.sandbox import Fault, Sandbox

Connect = Callable[..., stcloud.TokensApiControllerApi]

FORKING = """
import os, sys
import stcloud

host, ca_file = sys.argv[1:]
api = stcloud.TokensApiControllerApi(
    stcloud.ApiClient(stcloud.Configuration(host=host, ssl_ca_cert=ca_file, retries=0))
)
assert api.get_app_tokens1(789).data.tokens == []
children = []
for number in range(3):
    children.append(os.fork())
    if children[-1] == 0:
        for again in range(5):
            assert api.create_app_token({"name": f"{number}-{again}"}, 789).success
        sys.exit()
for number in range(5):
    assert api.create_app_token({"name": f"parent-{number}"}, 789).success
for child in children:
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert len(api.get_app_tokens1(789).data.tokens) == 20
"""


def test_sixteen_threads_share_ten_connections(
    sandbox: Sandbox, connect: Connect, connections: list[object]
) -> None:
    """Each thread gets its own responses, over ten connections at most, none thrown away."""
    api = connect(connection_pool_maxsize=10)

    def work(app_id: int) -> None:
        created: Any = api.create_app_token({"name": f"of {app_id}"}, app_id)
        for _ in range(30):
            listed: Any = api.get_app_tokens1(app_id)
            assert listed.data.tokens == [created.data.token]

    app_ids = range(1001, 1017)
    for app_id in app_ids:
        sandbox.add_app(app_id)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, app_ids))
    assert 1 < len(connections) <= 10


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_client_made_before_a_fork(tmp_path: Path, connections: list[object]) -> None:
    """It works in three children and in the parent, each over a TLS connection of its own."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    ca_file = str(tmp_path / "ca.pem")
    authority.cert_pem.write_to_path(ca_file)
    with Sandbox(ssl_context=context) as sandbox:
        program = [sys.executable, "-W", "error", "-c", FORKING, sandbox.url, ca_file]
        environment = {**os.environ, "SEMATEXT_API_KEY": sandbox.api_key}
        subprocess.run(program, check=True, timeout=50, env=environment)
    assert len(connections) == 4


FORKING_AMID_WORK = """
import os, signal, sys, threading
import stcloud

client = stcloud.ApiClient(stcloud.Configuration(host=sys.argv[1]))
api = stcloud.TokensApiControllerApi(client)
assert api.get_app_tokens1(789, async_req=True).get(20).success
has_ended = threading.Event()

def work():
    while not has_ended.is_set():
        api.get_app_tokens1(789, async_req=True).get(20)

sys.setswitchinterval(1e-5)  # so that forks come while threads hold locks
threads = [threading.Thread(target=work, daemon=True) for _ in range(3)]
for thread in threads:
    thread.start()
for _ in range(20):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        is_done = api.get_app_tokens1(789, async_req=True).get(20).success
        os._exit(0 if is_done else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
has_ended.set()
for thread in threads:
    thread.join(20)
assert api.get_app_tokens1(789, async_req=True).get(20).success
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_fork_while_threads_work(sandbox: Sandbox) -> None:
    """What a thread of the parent had locked locks nobody out in the child."""
    # Python warns of any fork beside threads; that this one works is the point.
    options = ["-W", "error", "-W", "ignore:This process:DeprecationWarning"]
    program = [sys.executable, *options, "-c", FORKING_AMID_WORK, sandbox.url]
    environment = {**os.environ, "SEMATEXT_API_KEY": sandbox.api_key}
    subprocess.run(program, check=True, timeout=50, env=environment)


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 25
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no /proc here")
def test_dropped_clients_leave_nothing(sandbox: Sandbox) -> None:
    """A hundred clients, used and forgotten, leave neither thread nor descriptor."""

    def use() -> None:
        configuration = stcloud.Configuration(
            host=sandbox.url, api_key=sandbox.api_key, connection_pool_maxsize=2
        )
        api = stcloud.TokensApiControllerApi(stcloud.ApiClient(configuration))
        api.get_app_tokens1(789)
        pending: Any = api.get_app_tokens1(789, async_req=True)
        pending.get(30)

    def left() -> tuple[int, int]:
        return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))

    use()
    gc.collect()
    wait_until(
        lambda: not any("_handle_connection" in thread.name for thread in threading.enumerate())
    )
    before = left()
    for _ in range(100):
        use()
    gc.collect()
    wait_until(lambda: all(now <= then for now, then in zip(left(), before, strict=True)))


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C interrupts, also where the tests run in the background of a script."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals to threads here")
@pytest.mark.parametrize("fault", [Fault.hang(50), Fault.drip(0.001)])
def test_interrupted_call_gives_its_connection_up(
    sandbox: Sandbox, connect: Connect, connections: list[object], fault: Fault
) -> None:
    """After Ctrl-C, amid head or body, the pool of one still serves, over a new connection."""
    api = connect(connection_pool_maxsize=1, retries=0, deadline=20)
    for _ in range(3):
        api.create_app_token({"name": "x" * 10_000}, 789)
    sandbox.fail_next(None, fault)
    main = threading.main_thread().ident or 0
    timer = threading.Timer(1, signal.pthread_kill, [main, signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        api.get_app_tokens1(789)
    timer.join()
    assert sandbox.pending_faults == 0
    for _ in range(3):
        listed: Any = api.get_app_tokens1(789)
        assert len(listed.data.tokens) == 3
    assert len(connections) == 2


def test_interruption_between_head_and_body(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There, too, Ctrl-C leaves the pool of one its connection."""
    api = connect(connection_pool_maxsize=1, deadline=20)

    def interrupt(*_: object) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(RestClient, "read", interrupt)
        with pytest.raises(KeyboardInterrupt):
            api.get_app_tokens1(789)
    assert api.get_app_tokens1(789).success is True


def test_response_that_is_too_large_gives_its_connection_up(connect: Connect) -> None:
    """The pool of one serves the next call."""
    for _ in range(10):
        connect().create_app_token({"name": "x" * 10_000}, 789)  # more than is read at once
    api = connect(connection_pool_maxsize=1, max_response_bytes=10, deadline=20)
    for _ in range(2):
        with pytest.raises(stcloud.UnexpectedResponseException, match="more than 10 bytes"):
            api.get_app_tokens1(789)
