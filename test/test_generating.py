"""docs/generating.md: the commands generate a client, and its program runs on the sandbox."""

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from stcloud.sandbox import Sandbox

DOCS = Path(__file__).parents[1] / "docs"

pytestmark = [
    pytest.mark.skipif("STCLOUD_TEST_GENERATING" not in os.environ, reason="set by tox"),
    pytest.mark.skipif(not shutil.which("java"), reason="the generator needs Java"),
    pytest.mark.skipif(not shutil.which("npx"), reason="the program needs Node.js"),
    pytest.mark.timeout(240),
]


def blocks(language: str) -> list[str]:
    tokens = MarkdownIt().parse((DOCS / "generating.md").read_text(encoding="utf-8"))
    return [token.content for token in tokens if token.info.split(" ")[0] == language]


def run_shell(command: str, folder: Path, environment: dict[str, str]) -> str:
    """Return what a command of the page prints; no process of its outlives it."""
    with subprocess.Popen(  # noqa: S602  # of our own page
        command,
        shell=True,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as program:
        try:
            output, _ = program.communicate(timeout=200)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
    assert program.returncode == 0, output
    return output


def test_generated_client_runs_on_the_sandbox(tmp_path: Path, sandbox: Sandbox) -> None:
    """As the page says, but for the installation, which tox has done."""
    install, run = blocks("sh")
    generate = install.partition("\n")[2]
    (program,) = blocks("ts")
    shutil.copytree(DOCS, tmp_path / "docs")
    (tmp_path / "operations.ts").write_text(program, encoding="utf-8")
    environment = {
        **os.environ,
        "SEMATEXT_HOST": sandbox.url,
        "SEMATEXT_API_KEY": sandbox.api_key,
        "npm_config_yes": "true",  # nobody is asked whether to install tsx
    }
    for command in (generate, run):
        output = run_shell(command, tmp_path, environment)
    assert output.splitlines()[-1] == "1001 log shipper false"
    assert sandbox.tokens() == []
    methods = [request.method for request in sandbox.requests]
    assert methods == ["POST", "PUT", "POST", "GET", "DELETE"]
