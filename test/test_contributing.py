"""CONTRIBUTING.md and the workflows: they have the checks that tox.ini has."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
BY_HAND = {"fuzz"}


def found(pattern: str, file: str) -> set[str]:
    return set(re.findall(pattern, (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE))


def words(pattern: str, file: str) -> set[str]:
    return set(re.findall(r"\w+", " ".join(found(pattern, file))))


def test_contributing_lists_the_checks() -> None:
    """The table of checks has every tox environment, and no other."""
    environments = {"tests"} | found(r"^\[testenv:(\w+)\]", "tox.ini")
    assert found(r"^\| `(\w+)` \|", "CONTRIBUTING.md") == environments


def test_ci_runs_the_checks() -> None:
    """CI, there and here, runs each tox environment that is not for use by hand."""
    environments = found(r"^\[testenv:(\w+)\]", "tox.ini") - BY_HAND
    assert words(r"^ +environment: \[(.+)\]$", ".github/workflows/ci.yml") == environments
    assert words(r"^for environment in (.+); do$", ".ci/run") == environments


def test_ci_tests_the_oldest_python() -> None:
    """The Pythons of CI begin with the oldest that the package installs on."""
    (oldest,) = found(r'python_requires=">=(.+)"', "setup.py")
    (tested,) = found(r'^ +python: \["([\d.]+)", ', ".github/workflows/ci.yml")
    assert tested == oldest
