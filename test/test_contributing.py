"""CONTRIBUTING.md, `.ci/run` and the workflow have each check of tox.ini, on each Python."""

import re
from configparser import RawConfigParser
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
BY_HAND = {"fuzz"}


def environments() -> set[str]:
    """Return the environments of tox.ini that are not for use by hand."""
    tox = RawConfigParser()
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    names = {name.partition(":")[2] for name in tox.sections() if name.startswith("testenv:")}
    listed = {name.strip() for name in tox["tox"]["env_list"].split(",")}
    return (names | listed) - BY_HAND


def jobs() -> dict[str, Any]:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    return {name: job["strategy"]["matrix"] for name, job in workflow["jobs"].items()}


def test_contributing_names_each_check() -> None:
    """Who contributes finds every environment."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    ranges = {f"py3{minor}" for minor in range(11, 16)}  # the table has the first and the last
    assert {name for name in environments() | BY_HAND if f"`{name}`" not in text} <= ranges


def test_ci_runs_each_check() -> None:
    """Here, a Python that the machine lacks is skipped; there, each has a job."""
    (here,) = re.findall(r"tox run -e (\S+)", (ROOT / ".ci/run").read_text(encoding="utf-8"))
    # The command of the README has run the tests on the oldest Python.
    assert set(here.split(",")) == environments() - {"py311"}
    pythons = {name for name in environments() if re.fullmatch(r"py\d+", name)}
    assert set(jobs()["checks"]["environment"]) == environments() - pythons - {"pypy311"}


def test_ci_has_each_supported_python() -> None:
    """The package states the same versions as the workflow, and installs on no older one."""
    stated = metadata("stcloud")
    kind = "Programming Language :: Python :: "
    classifiers = [value.removeprefix(kind) for value in stated.get_all("Classifier") or ()]
    versions = [value for value in classifiers if re.fullmatch(r"3\.\d+", value)]
    assert jobs()["tests"]["python"] == versions
    assert stated["Requires-Python"] == f">={versions[0]}"
    assert {f"py{version.replace('.', '')}" for version in versions} <= environments()
    assert {row["os"] for row in jobs()["tests"]["include"]} > {"windows-latest", "macos-latest"}
