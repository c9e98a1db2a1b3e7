"""The page for users of sematext-api-client-python lists every difference between the clients.

``test/migrating/calls.py`` makes the same calls with each; what the other client did is recorded
in ``other_client.json`` beside it.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import stcloud

MIGRATING = Path(__file__).with_name("migrating")
OTHER = os.environ.get("STCLOUD_OLD_CLIENT")


@pytest.fixture(scope="module")
def differences() -> Any:
    specification = importlib.util.spec_from_file_location("d", MIGRATING / "differences.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def this_client(differences: Any) -> dict[str, Any]:
    """What this client does now."""
    found: dict[str, Any] = differences.run(sys.executable)
    return found


def test_page_lists_every_difference(differences: Any, this_client: dict[str, Any]) -> None:
    """The page's tables are those that are generated from the record and from this client."""
    page = differences.PAGE.read_text(encoding="utf-8")
    tables = differences.tables(differences.load_record(), this_client)
    hint = "to update the page: python test/migrating/differences.py"
    assert page == differences.put_into(page, tables), hint


def test_record_has_every_case(differences: Any, this_client: dict[str, Any]) -> None:
    """No call of this client is without the other one's to compare it with."""
    record = differences.load_record()
    assert [*record] == [*this_client]
    assert {title: [*cases] for title, cases in record["cases"].items()} == {
        title: [*cases] for title, cases in this_client["cases"].items()
    }


@pytest.mark.parametrize(
    ("other", "this", "expected"),
    [
        ({"result": "1"}, {"result": "1"}, {}),
        ({"result": "1"}, {"result": "2"}, {("result", "1", "2"): ["case"]}),
        (
            {"result": "1", "method": "GET", "header `A`": "b"},
            {"result": "1", "method": "GET"},
            {("header `A`", "b", "none"): ["case"]},
        ),
        (
            {"result": "1", "requests": "1", "method": "GET"},
            {"result": "raises ValueError", "requests": "0"},
            {("result", "1", "raises ValueError; nothing is sent"): ["case"]},
        ),
    ],
)
def test_differences(
    differences: Any, other: dict[str, str], this: dict[str, str], expected: dict[Any, list[str]]
) -> None:
    """A fact that only one client has counts, as one that both have and that differs."""
    both = {"requests": "1"} | other, {"requests": "1"} | this
    assert differences.differences({"case": both}) == expected


@pytest.mark.skipif(OTHER is None, reason="as below")
def test_import_warns_of_the_other_client(tmp_path: Path) -> None:
    """Of the files that it has really installed, with ours over them."""
    code = "import stcloud; print(stcloud.__path__[0])"
    there = [str(OTHER), "-c", code]
    theirs = subprocess.run(there, capture_output=True, text=True, check=True).stdout.strip()
    package = tmp_path / "stcloud"
    shutil.copytree(theirs, package)
    shutil.copytree(stcloud.__path__[0], package, dirs_exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    ours = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert "sematext-api-client-python are both installed" in ours.stderr
    assert ours.stdout.strip() == str(package)


@pytest.mark.skipif(
    OTHER is None,
    reason="to check the record: STCLOUD_OLD_CLIENT=PATH/python, which has the other client",
)
@pytest.mark.timeout(120)
def test_record_is_true(differences: Any) -> None:
    """The other client still does what the record says."""
    hint = "to record it again: python test/migrating/differences.py --record PATH/python"
    assert differences.run(OTHER) == differences.load_record(), hint
