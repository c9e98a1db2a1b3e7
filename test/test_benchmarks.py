"""The benchmarks: they run, small and with what is here, and the page shows their results."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
Run = tuple[str, dict[str, Any]]


def load(name: str) -> Any:
    specification = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def compare() -> Any:
    return load("compare")


@pytest.fixture(scope="module")
def performance() -> Any:
    return load("performance")


@pytest.fixture(scope="module")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """What ``compare.py --small`` prints and writes, with the peers that are here anyway."""
    results = tmp_path_factory.mktemp("benchmarks") / "results.json"
    command = [sys.executable, str(BENCHMARKS / "compare.py")]
    options = ["--small", "--peers", "here", "--json", str(results)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(results.read_text(encoding="utf-8"))


def test_every_case_has_its_rows(compare: Any, small_run: Run) -> None:
    """The table has each case, with a row for each peer."""
    text, _ = small_run
    for case in map(compare.made_small, compare.CASES):
        rows = text.partition(f"{case.text} (2 rounds)\n")[2].partition("\n\n")[0].splitlines()[1:]
        titles = [row.split("  ")[0].strip() or row.strip().split("  ")[0] for row in rows]
        assert titles == [compare.PEERS[name].title for name in compare.HERE_PEERS]


def test_results_are_complete(compare: Any, small_run: Run) -> None:
    """The JSON says where, when and with what was measured, and has each case of each peer."""
    _, results = small_run
    assert results["small"] is True
    assert all(results["machine"].values())
    assert set(results["peers"]) == set(results["versions"]) == set(compare.HERE_PEERS)
    assert "urllib3" in results["versions"]["stcloud"]
    assert len(results["goals"]) == len(compare.GOALS)
    assert [case["name"] for case in results["cases"]] == [case.name for case in compare.CASES]
    for case in results["cases"]:
        for result in case["results"].values():
            assert result["wall"]["low"] <= result["wall"]["median"] <= result["wall"]["high"]
            assert set(result["against"]) == set(compare.BASELINES)


def test_small_run_judges_no_time(small_run: Run) -> None:
    """A few calls say nothing of the goals."""
    assert "goal" not in small_run[0]


def test_ratio_is_taken_within_a_round(compare: Any) -> None:
    """A machine that is slow in one round is slow for all: the ratio stays."""
    own = [{"wall": 3.0}, {"wall": 30.0}, {"wall": 6.0}]
    base = [{"wall": 1.0}, {"wall": 10.0}, {"wall": 2.0}]
    assert compare.ratios(own, base, "wall") == {"median": 3, "low": 3, "high": 3}


def test_goals_are_judged_by_their_ratios(compare: Any) -> None:
    """A goal is met by its very ratio, and missed by a greater one; what was not done has none."""

    def case(ratio: float) -> dict[str, Any]:
        against = {base: {"wall": {"median": ratio}} for base in compare.BASELINES}
        return {"results": {"stcloud": {"against": against}}}

    judged = compare.goals({"call": case(1.0), "list": case(1.25), "size-100000": case(1.5)})
    assert [goal["met"] for goal in judged] == [False, True, True, False]
    assert judged[-1]["reached"] == 1.2


def test_peer_that_drops_tokens_is_refused(compare: Any) -> None:
    """Every piece of work begins with a call whose response is checked."""
    worker = load("worker")
    peer = worker.Peer(lambda app: [None] * (app - 1), lambda response: response)
    with pytest.raises(ValueError, match="2 tokens instead of 3"):
        worker.check(peer, 3)
    assert set(worker.PEERS) == set(compare.PEERS)


def test_page_shows_the_results(performance: Any) -> None:
    """The page's tables and its plots are made of the results beside them."""
    document = performance.load_results()
    page = performance.PAGE.read_text(encoding="utf-8")
    assert performance.put_into(page, performance.tables(document)) == page
    plots = {performance.PEERS_PLOT: performance.peers_plot(document)}
    plots[performance.SIZES_PLOT] = performance.sizes_plot(document)
    assert {path: path.read_text(encoding="utf-8") for path in plots} == plots


def test_page_is_of_a_whole_run(compare: Any, performance: Any) -> None:
    """The results on the page are of all cases, all goals and all peers."""
    document = performance.load_results()
    assert document["small"] is False
    assert set(document["peers"]) | set(document["skipped"]) == set(compare.PEERS)
    assert [case["name"] for case in document["cases"]] == [case.name for case in compare.CASES]
    stated = [goal._asdict() for goal in compare.GOALS]
    keys = stated[0].keys()
    assert [{key: goal[key] for key in keys} for goal in document["goals"]] == stated
