"""The benchmarks: they run, small and with what is here, and the pages show their results."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the benchmarks import each other, as they do when they are run."""
    monkeypatch.syspath_prepend(BENCHMARKS)


@pytest.fixture
def compare() -> ModuleType:
    import compare

    return compare


@pytest.fixture
def pages() -> ModuleType:
    import pages

    return pages


def test_small_run_has_every_case(compare: Any, tmp_path: Path) -> None:
    """It writes a row for each case and peer, and where, when and with what was measured."""
    results = tmp_path / "results.json"
    command = [sys.executable, str(BENCHMARKS / "compare.py"), "--small", "--json", str(results)]
    environment = os.environ | {"PYTHONSAFEPATH": ""}  # it imports what lies beside it
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    document = json.loads(results.read_text(encoding="utf-8"))
    here = [name for name, peer in compare.PEERS.items() if peer.is_installed]
    assert {"urllib3", "floor", "stcloud", *compare.VARIANTS} <= set(here)
    wanted = [(case.name, peer) for case in compare.CASES for peer in case.peers(here)]
    assert [(row["case"], row["peer"]) for row in document["rows"]] == wanted
    for row in document["rows"]:
        assert 0 < row["low"] <= row["ratio"] <= row["high"]
        assert row["value"] > 0
    assert {"stcloud", "urllib3"} <= document["versions"].keys()
    assert document["machine"]


def test_ratio_is_taken_within_a_round(compare: Any) -> None:
    """A machine that is slow in one round is slow for all: the ratio stays."""
    assert compare.ratios([3.0, 30.0, 6.0], [1.0, 10.0, 2.0]) == [3, 3, 3]


def test_peer_that_drops_tokens_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every piece of work begins with a call whose response is checked."""
    import peers

    monkeypatch.setattr(peers, "connected", lambda *_: lambda _: {"data": {"tokens": [{}, {}]}})
    for work in (peers.calls, peers.threads, peers.memory):
        with pytest.raises(ValueError, match="2 tokens instead of 3"):
            work("stcloud", "", 3, 16)


@pytest.mark.skipif("STCLOUD_TEST_BENCHMARKS" not in os.environ, reason="set by tox -e benchmarks")
def test_every_peer_takes_part(compare: Any) -> None:
    """The environment of the benchmarks has all of them; to generate one takes Java."""
    absent = {name for name, peer in compare.PEERS.items() if not peer.is_installed}
    assert absent <= {"generated"}
    assert shutil.which("java") is None or not absent
    assert set(compare.versions()) == set(compare.DISTRIBUTIONS)


@pytest.mark.parametrize("name", ["performance", "reliability"])
def test_page_shows_the_results(pages: Any, name: str) -> None:
    """The page's tables are made of the results beside it."""
    page = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    assert pages.put_into(page, getattr(pages, name)()) == page, "python benchmarks/pages.py"


def test_results_are_of_all_work(compare: Any, pages: Any) -> None:
    """The page is of a complete run: all cases, all peers, and goals that are judged."""
    rows = {(row["case"], row["peer"]): row for row in pages.load("performance")["rows"]}
    everyone = list(compare.PEERS)
    assert set(rows) == {
        (case.name, peer) for case in compare.CASES for peer in case.peers(everyone)
    }
    lines = "\n".join(pages.performance()).splitlines()
    verdicts = [line for line in lines if "**, " in line]
    assert set(pages.load("performance")["versions"]) == set(compare.DISTRIBUTIONS)
    for (case, base, goal), line in zip(compare.GOALS, verdicts, strict=True):
        row = rows[case, "stcloud"]
        reached = row["ratio"] if base == "urllib3" else row["floor"]
        verdict = "met" if reached <= goal else "missed"
        assert f" {goal:.2f} " in line
        assert f"**{reached:.3f}**, {verdict}" in line


def test_figures_are_those_of_the_results(pages: Any, tmp_path: Path) -> None:
    """Each figure that a page shows can be drawn again, without a background."""
    pytest.importorskip("matplotlib", reason="tox run -e benchmarks has it")
    pages.draw(tmp_path)
    drawn = sorted(path.name for path in tmp_path.iterdir())
    kept = {
        path.name
        for name in ("brownout", "performance")
        for path in (ROOT / "docs").glob(f"{name}*.svg")
    }
    assert set(drawn) == kept
    for name in drawn:
        page = "performance" if name.startswith("performance") else "reliability"
        assert f"({name})" in (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
        kept_texts, texts = (
            re.findall("<text[^>]*>(.+?)</text>", (folder / name).read_text(encoding="utf-8"))
            for folder in (ROOT / "docs", tmp_path)
        )
        assert kept_texts == texts
        assert "fill: #ffffff" not in (tmp_path / name).read_text(encoding="utf-8")


def test_small_run_is_not_shown(pages: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its figures say nothing."""
    document = pages.load("performance")
    monkeypatch.setattr(pages, "load", lambda _: document | {"small": True})
    with pytest.raises(SystemExit, match="small run"):
        pages.performance()


def test_work_that_was_not_done_is_an_empty_cell(
    pages: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its neighbours stay in their columns."""
    document = pages.load("performance")
    rows = [row for row in document["rows"] if (row["case"], row["peer"]) != ("20", "httpx")]
    monkeypatch.setattr(pages, "load", lambda _: document | {"rows": rows})
    lines = "\n".join(pages.performance()).splitlines()
    rows = [line.split("|")[1:-1] for line in lines if line.startswith("| httpx ")]
    filled = [[bool(cell.strip()) for cell in row] for row in rows]
    assert filled == [[True, True, False, True, True], [True, True, True, True]]
