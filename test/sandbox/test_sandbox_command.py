"""``python -m stcloud.sandbox``, as a person and as an operating system use it."""

import json
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from itertools import takewhile
from pathlib import Path
from ssl import create_default_context
from subprocess import DEVNULL, PIPE, Popen, run
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme

COMMAND = [sys.executable, "-m", "stcloud.sandbox", "--api-key", "made up"]
PATH = "/users-web/api/v3/apps/789/tokens"
HEADERS = {"Authorization": "apiKey made up", "Content-Type": "application/json"}


@contextmanager
def running(*options: object, stderr: int = PIPE) -> Iterator[tuple[Popen[str], str, str]]:
    """Run the command; give its process, the URL that it prints, and all of its greeting."""
    arguments = [*COMMAND, *map(str, options)]
    buffered = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    with Popen(arguments, stdout=PIPE, stderr=stderr, text=True, env=buffered) as process:
        try:
            assert process.stdout
            greeting = "".join(takewhile("Ctrl-C stops it.\n".__ne__, process.stdout))
            (url,) = re.findall(r"listens at (\S+)", greeting)
            yield process, url, greeting
        finally:
            process.kill()


def ask(connection: HTTPConnection, method: str = "GET", body: str | None = None) -> Any:
    connection.request(method, PATH, body, HEADERS)
    with connection.getresponse() as response:
        assert response.status == 200
        return json.load(response)["data"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_greeting_tells_how_to_reach_and_stop_it(number: signal.Signals, tmp_path: Path) -> None:
    """A person gets lines to paste, a line per request, and an end without complaint."""
    path = tmp_path / "tokens.sqlite3"
    with running("--database", path) as (process, url, greeting):
        assert f"    export SEMATEXT_HOST={url}\n" in greeting
        assert "    export SEMATEXT_API_KEY='made up'\n" in greeting
        assert "app has the id 789" in greeting
        assert str(path) in greeting
        with closing(HTTPConnection(urlsplit(url).netloc, timeout=30)) as connection:
            assert ask(connection) == {"tokens": []}
            process.send_signal(number)
            printed, logged = process.communicate()
    assert (process.returncode, printed) == (0, "Stopped.\n")
    assert re.fullmatch(rf"\S+ \S+ GET {PATH} HTTP/1.1 200\n", logged)
    assert list(tmp_path.iterdir()) == [path]


def test_several_signals_end_it_as_one_does() -> None:
    """A terminal and a supervisor may send one each."""
    for _ in range(5):
        with running() as (process, _url, _greeting):
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGTERM):
                process.send_signal(number)
            printed, logged = process.communicate()
        assert (process.returncode, printed, logged) == (0, "Stopped.\n", "")


def test_tls_is_served(tmp_path: Path) -> None:
    """With a certificate and its key the command serves HTTPS, and says so."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    context = create_default_context()
    authority.configure_trust(context)
    with running("--cert", tmp_path / "cert.pem", "--key", tmp_path / "key.pem") as (
        _,
        url,
        _greeting,
    ):
        assert url.startswith("https://")
        with closing(HTTPSConnection(urlsplit(url).netloc, context=context)) as connection:
            assert ask(connection) == {"tokens": []}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--port", "{used}"], "cannot listen on 127.0.0.1 port {used}: "),
        (["--port", "65536"], "cannot listen on 127.0.0.1 port 65536: "),
        (["--host", "192.0.2.1"], "cannot listen on 192.0.2.1 port 0: "),
        (["--app-id", "0"], "app_id must be a positive 64-bit integer"),
        (["--database", "{folder}"], "cannot use the database {folder}: "),
        (["--database", "{folder}/no/file"], "cannot use the database {folder}/no/file: "),
        (["--database", "{folder}/text"], "cannot use the database {folder}/text: "),
        (["--cert", "{folder}/no"], "cannot use the certificate {folder}/no: "),
        (["--cert", "{folder}/text"], "cannot use the certificate {folder}/text: "),
    ],
)
def test_what_cannot_work_is_one_line(tmp_path: Path, options: list[str], problem: str) -> None:
    """A mistake is reported in one line, with exit code 2 and no traceback."""
    (tmp_path / "text").write_text("neither a database nor a certificate\n" * 100)
    with socket.create_server(("127.0.0.1", 0)) as used:
        facts = {"folder": tmp_path, "used": used.getsockname()[1]}
        arguments = COMMAND + [option.format(**facts) for option in options]
        ended = run(arguments, capture_output=True, text=True, check=False, timeout=50)
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"python -m stcloud.sandbox: {problem.format(**facts)}")
    assert (ended.returncode, ended.stdout) == (2, "")


def test_key_needs_a_certificate() -> None:
    """A private key alone is a mistake, not a reason to serve plain text."""
    ended = run(
        [*COMMAND, "--key", "key.pem"], capture_output=True, text=True, check=False, timeout=50
    )
    assert ended.returncode == 2
    assert "--key needs --cert" in ended.stderr


def test_kill_loses_no_acknowledged_write(tmp_path: Path) -> None:
    """Every token that was returned before a kill -9 is there afterwards."""
    path = tmp_path / "tokens.sqlite3"
    written = threading.Semaphore(0)

    def create_until_killed(netloc: str) -> list[dict[str, Any]]:
        acknowledged = []
        connection = HTTPConnection(netloc, timeout=30)
        with closing(connection), suppress(OSError, HTTPException):
            while True:
                acknowledged.append(ask(connection, "POST", "{}")["token"])
                written.release()
        return acknowledged

    with running("--database", path, stderr=DEVNULL) as (process, url, _greeting):
        with ThreadPoolExecutor(4) as pool:
            writers = [pool.submit(create_until_killed, urlsplit(url).netloc) for _ in range(4)]
            for _ in range(100):
                written.acquire()
            process.kill()
        acknowledged = [token for writer in writers for token in writer.result()]
    with running("--database", path) as (_, url, _greeting):
        connection = HTTPConnection(urlsplit(url).netloc, timeout=30)
        kept = ask(connection)["tokens"]
        connection.close()
    assert len(acknowledged) >= 100
    assert [token for token in acknowledged if token not in kept] == []
