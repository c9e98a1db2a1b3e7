"""A service loses 90% of its capacity for a minute: what do clients that retry add to that?

Each simulated client has its own budget and makes its calls with the very classes that stcloud
uses, from :mod:`stcloud.retry`. Beside them stand no retry, the same policy without a budget, and
``Retry(3)`` of urllib3, whose own objects decide. SimPy keeps the time, which is in seconds.

Calls come at random (Poisson), for all of a client's threads together: a call does not wait for the
one before it, so that slow responses do not lessen the load. All calls are reads, which may always
be retried. docs/reliability.md describes the rest of the model, and shows what this writes.
"""

from __future__ import annotations

import argparse
import math
import random
from collections import Counter
from collections.abc import Generator, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import results
from simpy import Environment, Event, Store
from urllib3 import HTTPConnectionPool, HTTPResponse
from urllib3.exceptions import MaxRetryError, ReadTimeoutError
from urllib3.util import Retry

from stcloud.retry import Outcome, RetryBudget, RetryPolicy, RetryState

BEFORE, BROWNOUT, AFTER = 10, 60, 180
HEADROOM = 1.3  # healthy capacity, as a multiple of the normal load
READ, DEADLINE = 30.0, 60.0  # the client's default timeouts
STEADY = 10  # at the end, in which all must be well, to count as recovered
Steps = Generator[Event, Any]
"""What happens in a process of SimPy's, which waits for each event."""


class ClientTrack(RetryState):
    """The client's own decisions about one call's attempts, on a read."""

    def after(self, *, timed_out: bool, remaining: float) -> float | None:
        """Return the seconds to wait before the next attempt, None if none is to follow.

        Asks as ``ApiClient`` does, after a timeout or a 503 without Retry-After.
        """
        outcome = Outcome.UNKNOWN if timed_out else Outcome.UNAVAILABLE
        return self.next_delay(outcome, timed_out=timed_out, retry_after=None, remaining=remaining)


class Urllib3Track:
    """urllib3's own decisions for ``Retry(3)``, with 503 among what may be retried."""

    _pool = HTTPConnectionPool("service")
    _timeout = ReadTimeoutError(_pool, "/", "timed out")
    _response = HTTPResponse(status=503)

    def __init__(self) -> None:
        self._retry = Retry(3)  # without back-off, as Retry has it

    def after(self, *, timed_out: bool, remaining: float) -> float | None:  # noqa: ARG002  # no deadline
        """Ask as ``HTTPConnectionPool.urlopen`` does after a timeout, or a status to retry."""
        error, response = (self._timeout, None) if timed_out else (None, self._response)
        try:
            self._retry = self._retry.increment("GET", "/", response, error, self._pool)
        except MaxRetryError:
            return None
        return self._retry.get_backoff_time()

    def record_success(self) -> None:
        """Nothing is counted beyond the call."""


SERVICES = {"rejects": (0.1, True), "queues": (20, False), "queues all": (60, False)}
"""Seconds of a healthy service's work that may wait; whether more gets 503, or no response."""
CLIENTS: dict[str, RetryPolicy | None] = {
    "no retry": RetryPolicy(attempts=1),
    "stcloud": RetryPolicy(),
    "stcloud, no budget": RetryPolicy(budget=math.inf),
    "urllib3 `Retry(3)`": None,
}


class Scenario(NamedTuple):
    """What is simulated.

    ``client`` is a name for tables, ``rate`` the calls of each client in a second, ``lost`` the
    share of the capacity that is lost for a minute, and ``flaw`` that of the requests that are
    refused with 503 for no reason, all the time. No policy means urllib3's way.
    """

    service: str
    client: str
    policy: RetryPolicy | None
    clients: int
    rate: float = 1
    lost: float = 0.9
    flaw: float = 0


class Simulation:
    """Clients and the service; ``counts`` has what happened in each second."""

    def __init__(self, scenario: Scenario) -> None:
        random.seed("waits")  # the client draws its waits from there
        self._calls = random.Random("calls")  # the same, however they are retried
        self._scenario = scenario
        self.load = scenario.rate * scenario.clients  # calls in a second
        self._capacity = self.load * HEADROOM
        budget = scenario.policy.budget if scenario.policy else 0
        self._budgets = [RetryBudget(budget) for _ in range(scenario.clients)]
        self._time = Environment()
        self._queue = Store(self._time)  # of events, each the response to a request
        self.counts = [Counter[str]() for _ in range(BEFORE + BROWNOUT + AFTER)]
        self._time.process(self._make_calls())
        self._time.process(self._serve())
        self._time.run(until=len(self.counts))

    def _count(self, what: str) -> None:
        self.counts[int(self._time.now)][what] += 1

    def _make_calls(self) -> Steps:
        while True:
            yield self._time.timeout(self._calls.expovariate(self.load))
            self._time.process(self._call(self._calls.randrange(self._scenario.clients)))

    def _serve(self) -> Steps:
        """Serve one request after the other, also those that nobody waits for any more."""
        while True:
            response = yield self._queue.get()
            is_dark = BEFORE <= self._time.now < BEFORE + BROWNOUT
            share = 1 - self._scenario.lost if is_dark else 1
            yield self._time.timeout(1 / (self._capacity * share))
            response.succeed()

    def _call(self, client: int) -> Steps:
        policy = self._scenario.policy
        track = ClientTrack(policy, self._budgets[client], "GET") if policy else Urllib3Track()
        deadline = self._time.now + DEADLINE
        self._count("begun")
        wait: float | None = 0
        while wait is not None:
            yield self._time.timeout(wait)
            self._count("sent")
            response = self._send()
            if response is not None:
                limit = min(READ, deadline - self._time.now) if policy else READ
                yield response | self._time.timeout(limit)
                if response.triggered:
                    track.record_success()
                    self._count("succeeded")
                    return
            remaining = deadline - self._time.now
            wait = track.after(timed_out=response is not None, remaining=remaining)
        self._count("failed")

    def _send(self) -> Event | None:
        """Send a request, and return its response to wait for; None if it was refused."""
        seconds, rejects = SERVICES[self._scenario.service]
        is_full = len(self._queue.items) >= self._capacity * seconds
        if (is_full and rejects) or random.random() < self._scenario.flaw:
            return None
        response = self._time.event()
        if not is_full:  # else it gets lost
            self._queue.put(response)
        return response


def simulate(scenario: Scenario) -> results.Row:
    """Run a scenario; the same one always has the same result.

    ``amplification`` is requests for each call of the brown-out. ``load``, and its ``peak`` in the
    brown-out, are requests in a second, as a multiple of the normal load. ``recovery`` is the
    seconds from the return of the capacity until 99% of calls succeed from then on. ``success`` is
    the share that succeeded of the calls that ended in each second.
    """
    simulation = Simulation(scenario)
    counts, back = simulation.counts, BEFORE + BROWNOUT
    dark = counts[BEFORE:back]
    load = [each["sent"] / simulation.load for each in counts]
    ended = [each["succeeded"] + each["failed"] for each in counts]
    success = [each["succeeded"] / max(1, of) for each, of in zip(counts, ended, strict=True)]
    wanted = 0.99 * sum(success[1:BEFORE]) / (BEFORE - 1)
    bad = [second for second in range(back, len(counts)) if success[second] < wanted]
    recovery = bad[-1] + 1 - back if bad else 0
    failed = sum(each["failed"] for each in counts)
    return {
        "amplification": sum(each["sent"] for each in dark) / sum(each["begun"] for each in dark),
        "peak": max(load[BEFORE:back]),
        "recovery": recovery if recovery <= AFTER - STEADY else None,
        "failed": failed,
        "failed_share": failed / sum(ended),
        "load": load,
        "success": success,
    }


# What the page shows: rates of calls, numbers of the budget, and what is lost or fails by chance.
RATES = {10.0: "10 a second", 0.1: "1 in 10 seconds", 1 / 60: "1 a minute"}
POLICIES = (
    RetryPolicy(budget=100, success_credit=1),
    RetryPolicy(budget=50),
    RetryPolicy(success_credit=1),
    RetryPolicy(),
    RetryPolicy(success_credit=0.25),
    RetryPolicy(retry_cost=10),
    RetryPolicy(budget=math.inf),
    RetryPolicy(attempts=1),
)
LOSSES, FLAWS = (0.9, 0.5, 0.3), (0.01, 0.1, 0.2)


def numbers_of(policy: RetryPolicy) -> str:
    """Name a policy by the numbers of its budget."""
    if policy.attempts == 1:
        return "one attempt"
    if policy.budget == math.inf:
        return "endless budget"
    numbers = policy.budget, policy.retry_cost, policy.timeout_retry_cost, policy.success_credit
    return " / ".join(f"{number:g}" for number in numbers)


def scenarios(load: int) -> Iterator[Scenario]:
    """Yield all that the page shows, with so many calls in a second."""
    for rate in (1.0, *RATES):
        for service in SERVICES:
            for client, policy in CLIENTS.items():
                yield Scenario(service, client, policy, round(load / rate), rate)
    for policy in POLICIES:
        base = Scenario("rejects", numbers_of(policy), policy, load)
        yield from (base._replace(lost=lost) for lost in LOSSES)
        yield from (base._replace(lost=0, flaw=flaw) for flaw in FLAWS)


def record(scenario: Scenario) -> results.Row:
    """Simulate, and return what the page needs; of the seconds, every other one of the plots."""
    row = scenario._asdict() | simulate(scenario)
    del row["policy"], row["clients"]
    is_plotted = scenario.rate == 1 and scenario.client in CLIENTS
    for key in ("load", "success"):
        row[key] = [round(value, 2) for value in row[key][::2]] if is_plotted else []
    return {key: round(one, 5) if isinstance(one, float) else one for key, one in row.items()}


def main() -> None:
    """Simulate all that the page shows, and report the progress."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--load", type=int, default=1000, help="calls in a second (default: 1000)")
    parser.add_argument("--json", type=Path, help="write the results to this file, for pages.py")
    options = parser.parse_args()
    todo, rows = list(scenarios(options.load)), list[results.Row]()
    with ProcessPoolExecutor() as pool:
        for row in pool.map(record, todo):
            rows.append(row)
            shown = {key: value for key, value in row.items() if not isinstance(value, list)}
            print(f"{len(rows)}/{len(todo)} {shown}", flush=True)
    if options.json is not None:
        results.write(options.json, {"policy": RetryPolicy()._asdict()}, rows)


if __name__ == "__main__":
    main()
