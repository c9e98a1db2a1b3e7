"""The simulation of a brown-out, made small, and what the documentation says of it."""

import functools
import importlib
import json
import math
from pathlib import Path
from typing import Any

import pytest

from stcloud import retry

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def brownout() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        return importlib.import_module("brownout")


def simulate(brownout: Any, service: str, policy: retry.RetryPolicy | None) -> Any:
    """Simulate 100 clients that call once a second."""
    return brownout.simulate(brownout.Scenario(service, "", policy, 100))


simulated = functools.cache(simulate)  # for all tests that only look at the result


@pytest.mark.parametrize("service", ["rejects", "queues", "queues all"])
def test_budget_bounds_the_load(brownout: Any, service: str) -> None:
    """With the default policy, 100 calls send at most 110 requests; without a budget far more."""
    held = simulated(brownout, service, retry.RetryPolicy())
    endless = simulated(brownout, service, retry.RetryPolicy(budget=math.inf))
    assert 1 < held["amplification"] <= 1.1
    assert endless["amplification"] > 1.35
    assert held["peak"] < endless["peak"]


@pytest.mark.parametrize("service", ["rejects", "queues"])
def test_recovery_is_as_fast_as_without_retry(brownout: Any, service: str) -> None:
    """Retries do not keep the service down."""
    held = simulated(brownout, service, retry.RetryPolicy())
    without = simulated(brownout, service, retry.RetryPolicy(attempts=1))
    assert held["recovery"] <= without["recovery"] + 1


def test_long_queue_recovers_with_a_budget_only(brownout: Any) -> None:
    """The one that works for callers that have gone stays down without a budget."""
    held = simulated(brownout, "queues all", retry.RetryPolicy())
    without = simulated(brownout, "queues all", retry.RetryPolicy(attempts=1))
    assert held["recovery"] <= without["recovery"] + 10  # what the page admits, and some chance
    for policy in (retry.RetryPolicy(budget=math.inf), None):
        assert simulated(brownout, "queues all", policy)["recovery"] is None


@pytest.mark.parametrize("service", ["rejects", "queues", "queues all"])
def test_one_attempt_adds_no_load(brownout: Any, service: str) -> None:
    """A policy of one attempt sends one request per call, exactly."""
    assert simulated(brownout, service, retry.RetryPolicy(attempts=1))["amplification"] == 1


def test_urllib3_tries_four_times(brownout: Any) -> None:
    """``Retry(3)`` is three retries without a wait, after a 503 and after a time-out."""
    for timed_out in (False, True):
        track = brownout.Urllib3Track()
        waits = [track.after(timed_out=timed_out, remaining=0) for _ in range(4)]
        assert waits == [0, 0, 0, None]


def test_decisions_are_the_package_s_own(brownout: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the package's code refuses, the simulated clients do not do."""
    assert issubclass(brownout.ClientTrack, retry.RetryState)
    monkeypatch.setattr(retry.RetryBudget, "acquire", lambda *_: False)
    assert simulate(brownout, "rejects", retry.RetryPolicy())["amplification"] == 1


def test_same_scenario_has_the_same_result(brownout: Any) -> None:
    """Chance is seeded."""
    first, second = (simulate(brownout, "rejects", retry.RetryPolicy()) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(("timed_out", "attempts"), [(False, 4), (True, 3)])
def test_new_client_has_its_attempts(timed_out: bool, attempts: int) -> None:
    """The default budget lets a script's only call use all retries, after timeouts two."""
    policy = retry.RetryPolicy()
    call = retry.RetryState(policy, retry.RetryBudget(policy.budget), "GET")
    for _ in range(policy.attempts):
        call.next_delay(retry.Outcome.UNKNOWN, timed_out=timed_out, retry_after=None, remaining=60)
    assert call.attempts == attempts


def test_results_are_of_the_present_policy(brownout: Any) -> None:
    """Whoever changes the policy's numbers repeats the simulation."""
    document = json.loads((DOCS / "brownout.json").read_text(encoding="utf-8"))
    assert document["policy"] == retry.RetryPolicy()._asdict()
    recorded = document["rows"]
    scenarios = [(one.service, one.client) for one in brownout.scenarios(1000)]
    assert [(row["service"], row["client"]) for row in recorded] == scenarios


def test_page_states_the_policy_s_numbers(brownout: Any) -> None:
    """The numbers in the page's text are the defaults."""
    page = " ".join((DOCS / "reliability.md").read_text(encoding="utf-8").split())
    policy = retry.RetryPolicy()
    assert f"each client has a retry budget of {policy.budget}" in page
    assert (
        f"A retry takes {policy.retry_cost}, one after a timeout {policy.timeout_retry_cost}, "
        f"one after a request that was not sent {policy.not_sent_retry_cost}." in page
    )
    assert (
        f"one that succeeds at once gives {policy.success_credit}, never above {policy.budget}"
        in page
    )
    assert f"**Why {brownout.numbers_of(policy)}.**" in page
