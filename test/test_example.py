"""The example program: its steps, where it runs, and that it leaves nothing behind."""

import re
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import stcloud
from stcloud.sandbox import Fault, Sandbox

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "token_lifecycle.py"
STEPS = ["GET", "POST", "PUT", "POST", "DELETE"]


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-X", "dev", "-W", "error", str(EXAMPLE), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def steps(output: str) -> list[str]:
    return re.findall(r"^\d\. .* ([A-Z]+) /users-web/", output, re.M)


@pytest.fixture
def account(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The service that the environment names."""
    monkeypatch.setenv("SEMATEXT_HOST", sandbox.url)
    monkeypatch.setenv("SEMATEXT_API_KEY", sandbox.api_key)
    return sandbox


def test_without_a_key_it_runs_on_a_sandbox() -> None:
    """Without settings, it goes through its steps on a sandbox, and shows no secret."""
    result = run()
    assert (result.returncode, result.stderr) == (0, "")
    assert steps(result.stdout) == STEPS
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", result.stdout)


def test_with_a_key_it_runs_on_the_service(
    account: Sandbox, api: stcloud.TokensApiControllerApi
) -> None:
    """With a key and an app, it runs there, and the app has the same tokens after it as before."""
    api.create_app_token({"name": "somebody's"}, account.app_id)
    before = api.get_app_tokens1(account.app_id)
    result = run("--app-id", str(account.app_id))
    assert (result.returncode, result.stderr) == (0, "")
    assert steps(result.stdout) == STEPS
    assert api.get_app_tokens1(account.app_id) == before


def test_its_token_is_deleted_when_nobody_reads_on(account: Sandbox) -> None:
    """As with `| head`: then printing fails."""
    command = [sys.executable, "-u", str(EXAMPLE), "--app-id", str(account.app_id)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        while not program.stdout.readline().startswith(b"2."):
            pass
        program.stdout.close()
        assert program.stderr.read() == b"Nobody reads the output.\n"
    assert account.tokens() == []


def test_nobody_reads(account: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with `| true`: what was printed comes out at the end."""
    monkeypatch.setenv("PYTHONUNBUFFERED", "")
    command = [sys.executable, str(EXAMPLE), "--app-id", str(account.app_id)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdout.close()
        assert program.stderr.read() == b"Nobody reads the output.\n"
    assert program.returncode == 1
    assert account.tokens() == []


def test_names_beyond_the_terminals_characters(
    account: Sandbox, api: stcloud.TokensApiControllerApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else's token has such a name."""
    api.create_app_token({"name": "\u00fcber\nall"}, account.app_id)
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    result = run("--app-id", str(account.app_id))
    assert (result.returncode, result.stderr) == (0, "")
    assert "1001  '\\xfcber\\nall'" in result.stdout


def wait_for_fault(sandbox: Sandbox) -> None:
    while sandbox.pending_faults:
        time.sleep(0.01)


def test_its_token_is_deleted_after_ctrl_c(account: Sandbox) -> None:
    """Also if another one comes while it is deleted."""
    command = [sys.executable, "-u", str(EXAMPLE), "--app-id", str(account.app_id)]
    account.fail_next("update_app_token", Fault.hang(30))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        wait_for_fault(account)
        account.fail_next("get_app_tokens1", Fault.hang(0.5))
        program.send_signal(signal.SIGINT)
        wait_for_fault(account)
        program.send_signal(signal.SIGINT)
        _, errors = program.communicate(timeout=30)
    assert (program.returncode, errors) == (1, b"Stopped.\n")
    assert account.tokens() == []


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("arguments", "problem"),
    [([], "SEMATEXT_API_KEY is set: .*--app-id"), (["--app-id", "5"], "NotFoundException: ")],
)
def test_a_failure_is_one_line(arguments: list[str], problem: str) -> None:
    """What goes wrong is reported in one line, with exit code 1."""
    result = run(*arguments)
    assert result.returncode == 1
    assert re.fullmatch(f"{problem}.*\n", result.stderr)


def test_a_missing_extra_is_named() -> None:
    """Without the sandbox's requirements, it says what to install."""
    program = "import runpy, sys; sys.modules['werkzeug'] = None; "
    program += f"print(runpy.run_path({str(EXAMPLE)!r})['main']())"
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "pip install '.[sandbox]'" in result.stdout


def test_its_token_is_deleted_when_a_step_fails(
    account: Sandbox, api: stcloud.TokensApiControllerApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure midway is reported, and leaves no token behind."""

    def fail(*_: Any) -> None:
        raise stcloud.ServiceException(503, "busy")

    monkeypatch.setattr(stcloud.TokensApiControllerApi, "regenerate_app_token1", fail)
    monkeypatch.setattr(sys, "argv", [EXAMPLE.name, "--app-id", str(account.app_id)])
    assert runpy.run_path(str(EXAMPLE))["main"]() == "ServiceException: (503) busy"
    data = api.get_app_tokens1(account.app_id).data
    assert data
    assert data.tokens == []
