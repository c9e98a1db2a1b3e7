"""The types that a user's type checker sees, in strict mode."""

import importlib
import inspect
import json
import os
import pkgutil
import re
import subprocess
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from operations import OPERATIONS

import stcloud

ROOT = Path(__file__).parents[1]
USER_CODE = Path(__file__).with_name("typing")
OLDEST = "3.11"  # the Python whose types are checked
Found = set[tuple[str, int]]
"""File names and line numbers of errors."""


def mypy(cache: Path) -> Found:
    options = ["--strict", "--config-file=", f"--cache-dir={cache}", "--output=json"]
    lines = checked("mypy", *options, f"--python-version={OLDEST}").splitlines()
    found = [json.loads(line) for line in lines]
    return {(Path(e["file"]).name, e["line"]) for e in found if e["severity"] == "error"}


def pyright(_: Path) -> Found:
    # Pyright counts lines from 0. The files themselves ask for strict mode.
    options = ["--outputjson", f"--pythonpath={sys.executable}", f"--pythonversion={OLDEST}"]
    found = json.loads(checked("pyright", *options))["generalDiagnostics"]
    return {(Path(e["file"]).name, e["range"]["start"]["line"] + 1) for e in found}


def checked(checker: str, *options: str) -> str:
    # In a folder of their own, so that the checker meets the installed package, as a user's does.
    command = [sys.executable, "-m", checker, *options, "accepted.py", "refused.py"]
    result = subprocess.run(command, cwd=USER_CODE, capture_output=True, text=True, check=False)
    assert result.returncode == 1, result.stdout + result.stderr
    return result.stdout


@pytest.mark.parametrize(
    "function",
    ["every_operation", "in_the_background", "with_status_and_headers", "as_raw_responses"],
)
def test_every_operation_is_here(function: str) -> None:
    """A function of the user's code that is to call each operation does."""
    source = (USER_CODE / "accepted.py").read_text(encoding="utf-8")
    body = source.partition(f"def {function}(")[2].partition("\ndef ")[0]
    called = {name.removesuffix("_with_http_info") for name in re.findall(r"api\.(\w+)\(", body)}
    assert called == set(OPERATIONS)


@pytest.mark.skipif("STCLOUD_TEST_TYPES" not in os.environ, reason="set by tox -e types")
@pytest.mark.timeout(180)  # a first run, without caches, on a slow machine
@pytest.mark.parametrize("checker", [mypy, pyright])
def test_checkers_refuse_the_marked_lines_and_no_other(
    checker: Callable[[Path], Found], tmp_path: Path
) -> None:
    """Strict checkers accept a user's sound code and find every planted mistake."""
    lines = (USER_CODE / "refused.py").read_text(encoding="utf-8").splitlines()
    marked = {("refused.py", n) for n, line in enumerate(lines, 1) if "# expect-error" in line}
    assert checker(tmp_path) == marked


@pytest.mark.skipif("STCLOUD_TEST_TYPES" not in os.environ, reason="set by tox -e types")
@pytest.mark.timeout(180)
def test_documented_programs_pass_strict_mypy(tmp_path: Path) -> None:
    """Every program and test of a page, but not what is quoted of the client in use before."""
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    for page in pages:
        for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
            if token.info.startswith("python") and page.stem != "migrating":
                assert token.map is not None
                (tmp_path / f"{page.stem}_{token.map[0] + 2}.py").write_text(token.content)
    files = sorted(path.name for path in tmp_path.glob("*.py"))
    assert len(files) > 10
    options = ["--strict", "--config-file=", "--ignore-missing-imports"]
    # Celery's decorator and all of kubernetes have no types.
    options += ["--allow-untyped-decorators", "--untyped-calls-exclude=kubernetes"]
    command = [sys.executable, "-m", "mypy", *options, f"--python-version={OLDEST}", *files]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def public_functions() -> Iterator[Any]:
    """Yield the classes, functions and methods of the modules that users import."""
    for found in pkgutil.walk_packages(stcloud.__path__, "stcloud."):
        if "._" in found.name:
            continue
        module = importlib.import_module(found.name)
        members = [value for name, value in vars(module).items() if not name.startswith("_")]
        for value in members:
            if getattr(value, "__module__", None) != found.name:
                continue
            if inspect.isclass(value) or inspect.isfunction(value):
                yield value
            if inspect.isclass(value):
                yield from (
                    method
                    for name, method in vars(value).items()
                    if inspect.isfunction(method) and not re.match("_(?!_init__)", name)
                )


def test_hints_are_resolved_at_run_time() -> None:
    """What reads hints, such as FastAPI and IPython, gets them of everything public."""
    functions = list(public_functions())
    assert stcloud.TokenManager.__init__ in functions
    for function in functions:
        typing.get_type_hints(function)
