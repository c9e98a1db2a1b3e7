"""The example of a fleet: nothing is refused while its token is replaced, and a mistake shows."""

import os
import re
import runpy
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import urllib3

import stcloud

EXAMPLE = Path(__file__).parents[1] / "examples" / "rotate_for_a_fleet.py"
SMALL = ["--agents", "5", "--rotations", "2", "--seed", "1"]
COMMAND = [sys.executable, "-X", "dev", "-W", "error", str(EXAMPLE), *SMALL]
SECRET = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-")  # how the sandbox's keys and tokens begin


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [*COMMAND, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)


def counts(output: str) -> list[int]:
    """Return the faults met, and the lines shipped and refused, from the last line."""
    return [int(count) for count in re.findall(r"\d+", output.splitlines()[-1])]


def test_nothing_is_refused_during_a_rotation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the service fails; no secret is shown, and no proxy is asked."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    result = run("--overlap", "2")
    assert (result.returncode, result.stderr) == (0, "")
    faults, shipped, refused = counts(result.stdout)
    assert faults > 0
    assert shipped > 0
    assert refused == 0
    steps = re.findall(r"\w+: (\w+) token \d+ [0-9a-f]{12}: done", result.stdout)
    assert steps[-3:] == ["promote", "disable", "delete"]
    assert "publish token 1002 " in result.stdout
    assert "PartlyPublishedError" in result.stdout
    assert not SECRET.search(result.stdout)


def test_agents_that_reload_too_late_are_refused() -> None:
    """Without an overlap, each agent's last line has a token that is gone."""
    result = run("--overlap", "0", "--reload", "600")
    assert (result.returncode, result.stderr) == (1, "")
    assert counts(result.stdout)[2] >= 5


def test_receiver_takes_enabled_writeable_tokens_only() -> None:
    """It asks again for each line."""
    token = stcloud.TokenDto(enabled=True, token="t", writeable=True)
    receiving = runpy.run_path(str(EXAMPLE))["receiving"]
    with receiving(lambda: [token]) as url, urllib3.PoolManager() as http:

        def status(value: str) -> int:
            headers = {"Authorization": f"Bearer {value}"}
            return http.request("POST", url, body="a line", headers=headers).status

        assert (status("t"), status("u"), status("")) == (200, 403, 403)
        token.enabled = False
        assert status("t") == 403
        token.enabled, token.writeable = True, False
        assert status("t") == 403


def test_on_a_terminal_it_draws_a_picture() -> None:
    """The tokens and how many agents use each; no secret."""
    terminal, its_output = os.openpty()
    with subprocess.Popen([*COMMAND, "--overlap", "1"], stdout=its_output) as program:
        os.close(its_output)
        try:
            output = "".join(iter(lambda: read(terminal), ""))
            program.wait()
        finally:
            program.kill()
    os.close(terminal)
    assert program.returncode == 0
    assert counts(output)[2] == 0
    pictures = output.split("\x1b[J")
    assert any(re.search(r"\b5 +1002 [0-9a-f]{12} enabled +shipper\r\n", each) for each in pictures)
    assert not SECRET.search(output)


def read(terminal: int) -> str:
    try:
        return os.read(terminal, 65536).decode()
    except OSError:  # the program has ended
        return ""


def test_ctrl_c_ends_it_cleanly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No thread goes on, and no traceback is shown."""

    def interrupt(_: stcloud.TokenManager) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stcloud.TokenManager, "finish_rotations", interrupt)
    monkeypatch.setattr(sys, "argv", [EXAMPLE.name, *SMALL])
    before = threading.active_count()
    assert runpy.run_path(str(EXAMPLE))["main"]() == 130
    assert threading.active_count() == before
    output, errors = capsys.readouterr()
    assert (output.splitlines()[-1], errors) == ("Stopped.", "")


def test_ctrl_c_may_come_again() -> None:
    """As from a terminal and from a parent: another one does not cut off the clean-up."""
    command = [*COMMAND, "--rotations", "1000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        assert program.stdout is not None
        while b"publish" not in program.stdout.readline():
            pass
        for _ in range(100):  # while it cleans up, too
            program.send_signal(signal.SIGINT)
            time.sleep(0.001)
        try:
            output, errors = program.communicate(timeout=30)
        finally:
            program.kill()
    assert (program.returncode, errors) == (130, b"")
    assert output.endswith(b"Stopped.\n")


def test_ctrl_c_stays_ignored() -> None:
    """As by a shell that runs it in the background."""
    ignoring = "trap '' INT; exec \"$@\""
    command = ["sh", "-c", ignoring, "sh", *COMMAND, "--rotations", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        assert program.stdout is not None
        while b"publish" not in program.stdout.readline():
            pass
        program.send_signal(signal.SIGINT)
        program.communicate(timeout=30)
    assert program.returncode == 0


@pytest.mark.parametrize(("unbuffered", "rotations"), [("", "0"), ("", "2"), ("1", "2")])
def test_nobody_reads_on(unbuffered: str, rotations: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with `| head`: it ends without a traceback, wherever it meets that."""
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    command = [*COMMAND, "--rotations", rotations]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdout.readline()
        program.stdout.close()
        assert program.stderr.read() == b""
    assert program.returncode == 1


@pytest.mark.parametrize(
    "argument", ["--agents=0", "--rotations=-1", "--overlap=-1", "--overlap=nan", "--reload=inf"]
)
def test_senseless_arguments_are_refused(argument: str) -> None:
    result = run(argument)
    assert result.returncode == 2
    assert f"error: {argument.partition('=')[0]}" in result.stderr or " and --" in result.stderr
