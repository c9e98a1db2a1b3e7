"""A service loses 90% of its capacity for a minute: what do clients that retry add to that?

Each simulated client has its own budget and makes its calls with the very classes that stcloud
uses, from :mod:`stcloud.retry`. Beside them stand no retry, the same policy without a budget, and
``Retry(3)`` of urllib3, whose own objects decide.

Time runs in steps of 10 ms. Calls come at random (Poisson), for all of a client's threads together:
a call does not wait for the one before it, so that slow responses do not lessen the load. All calls
are reads, which may always be retried. docs/reliability.md describes the rest of the model, and
shows what this writes.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import NamedTuple

import results
from urllib3 import HTTPConnectionPool, HTTPResponse
from urllib3.exceptions import MaxRetryError, ReadTimeoutError
from urllib3.util import Retry

from stcloud.retry import Outcome, RetryBudget, RetryPolicy, RetryState

STEPS = 100  # in a second
BEFORE, BROWNOUT, AFTER = 10, 60, 180  # seconds
HEADROOM = 1.3  # healthy capacity, as a multiple of the normal load
SERVICE_STEPS = 5  # 50 ms for each request
READ, DEADLINE = 30.0, 60.0  # the client's default timeouts
STEADY = 10  # seconds at the end in which all must be well, to count as recovered


class ClientTrack(RetryState):
    """The client's own decisions about one call's attempts, on a read."""

    def after(self, *, timed_out: bool, remaining: float) -> float | None:
        """Return the seconds to wait before the next attempt, None if none is to follow.

        Asks as ``ApiClient`` does, after a timeout or a 503 without Retry-After.
        """
        outcome = Outcome.UNKNOWN if timed_out else Outcome.UNAVAILABLE
        return self.next_delay(outcome, timed_out=timed_out, retry_after=None, remaining=remaining)


@cache  # a Retry never changes, and its successor depends on nothing else
def _next_retry(retry: Retry, *, timed_out: bool) -> Retry | None:
    pool = HTTPConnectionPool("service")
    error = ReadTimeoutError(pool, "/", "timed out") if timed_out else None
    response = None if timed_out else HTTPResponse(status=503)
    try:
        return retry.increment("GET", "/", response=response, error=error, _pool=pool)
    except MaxRetryError:
        return None


class Urllib3Track:
    """urllib3's own decisions for ``Retry(3)``, with 503 among what may be retried."""

    _retry: Retry | None = Retry(3)  # without back-off, as Retry has it

    def after(self, *, timed_out: bool, remaining: float) -> float | None:  # noqa: ARG002  # no deadline
        """Ask as ``HTTPConnectionPool.urlopen`` does after a timeout, or a status to retry."""
        retry = self._retry = self._retry and _next_retry(self._retry, timed_out=timed_out)
        return None if retry is None else retry.get_backoff_time()

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


class Result(NamedTuple):
    """What came of it.

    ``amplification`` is requests for each call of the brown-out. ``load``, and its ``peak`` in the
    brown-out, are requests in a second, as a multiple of the normal load. ``recovery`` is the
    seconds from the return of the capacity until 99% of calls succeed from then on. ``success`` is
    the share that succeeded of the calls that ended in each second.
    """

    amplification: float
    peak: float
    recovery: int | None
    failed: int
    failed_share: float
    load: list[float]
    success: list[float]


class Call:
    """One call; ``pending`` is the number of the request whose response is awaited, 0 for none."""

    __slots__ = ("deadline", "pending", "sent", "track")

    def __init__(self, track: ClientTrack | Urllib3Track, deadline: float) -> None:
        self.track = track
        self.deadline = deadline
        self.sent = self.pending = 0


class Simulation:
    """Clients, the service and the clock."""

    def __init__(self, scenario: Scenario) -> None:
        random.seed("waits")  # the client draws its waits from there
        self._scenario = scenario
        self._load = scenario.rate * scenario.clients  # calls in a second
        self._capacity = self._load * HEADROOM
        self._queue_seconds, self._rejects = SERVICES[scenario.service]
        # Two sources, so that the calls come at the same times however they are retried.
        self._chance = random.Random("calls")  # noqa: S311  # guards no secret
        self._luck = random.Random("places")  # noqa: S311  # guards no secret
        self._new_track = _tracks(scenario)
        self._step = 0
        self._next_call = 0.0
        self._credit = 0.0
        self._queue: deque[tuple[Call, int]] = deque()  # a call, and the request's number in it
        self._working = deque[list[tuple[Call, int]]]([] for _ in range(SERVICE_STEPS))
        # Step -> the requests whose time is up then; number 0 is one to be sent.
        self._due: defaultdict[int, list[tuple[Call, int]]] = defaultdict(list)
        self._counts: list[Counter[str]] = []  # of each second

    def run(self) -> Result:
        """Run through all seconds; failures may come back in waves, so no run ends early."""
        for _ in range(BEFORE + BROWNOUT + AFTER):
            self._counts.append(Counter())
            for _ in range(STEPS):
                self._pass_time()
                self._step += 1
        return self._result()

    def _count(self, what: str) -> None:
        self._counts[-1][what] += 1

    def _pass_time(self) -> None:
        for call, number in self._working.popleft():
            if call.pending == number:
                call.pending = 0
                call.track.record_success()
                self._count("succeeded")
        sending = list(self._new_calls())
        for call, number in self._due.pop(self._step, ()):
            if number == 0:
                sending.append(call)
            elif call.pending == number:
                self._fail(call, timed_out=True)
        self._luck.shuffle(sending)  # new calls and retries have the same luck with free slots
        for call in sending:
            self._send(call)
        self._serve()

    def _new_calls(self) -> Iterator[Call]:
        now, chance = self._step / STEPS, self._chance
        while self._next_call <= now:
            client = int(chance.random() * self._scenario.clients)
            self._next_call += chance.expovariate(self._load)
            self._count("begun")
            yield Call(self._new_track(client), now + DEADLINE)

    def _serve(self) -> None:
        """Take requests from the queue, also those that nobody waits for any more."""
        healthy = not BEFORE <= len(self._counts) - 1 < BEFORE + BROWNOUT
        self._credit += self._capacity * (1 if healthy else 1 - self._scenario.lost) / STEPS
        served = min(int(self._credit), len(self._queue))
        self._working.append([self._queue.popleft() for _ in range(served)])
        self._credit -= served
        if not self._queue:
            self._credit %= 1  # idle time cannot be saved for later

    def _send(self, call: Call) -> None:
        self._count("sent")
        call.sent += 1
        full = len(self._queue) >= self._capacity * self._queue_seconds
        flawed = self._scenario.flaw and self._luck.random() < self._scenario.flaw
        if flawed or (full and self._rejects):
            self._fail(call, timed_out=False)
            return
        call.pending = call.sent
        request = call, call.sent
        if not full:  # else it gets lost
            self._queue.append(request)
        has_deadline = self._scenario.policy is not None
        limit = min(READ, call.deadline - self._step / STEPS) if has_deadline else READ
        self._due[self._step + max(1, round(limit * STEPS))].append(request)

    def _fail(self, call: Call, *, timed_out: bool) -> None:
        call.pending = 0
        remaining = call.deadline - self._step / STEPS
        wait = call.track.after(timed_out=timed_out, remaining=remaining)
        if wait is None:
            self._count("failed")
        else:
            self._due[self._step + 1 + int(wait * STEPS)].append((call, 0))

    def _result(self) -> Result:
        success = [each["succeeded"] / max(1, _ended(each)) for each in self._counts]
        wanted = 0.99 * sum(success[1:BEFORE]) / (BEFORE - 1)
        end, back = len(success), BEFORE + BROWNOUT
        bad = (second for second in range(end - 1, back - 1, -1) if success[second] < wanted)
        recovered = next(bad, back - 1) + 1
        dark = self._counts[BEFORE:back]
        failed = sum(each["failed"] for each in self._counts)
        return Result(
            amplification=sum(each["sent"] for each in dark) / sum(each["begun"] for each in dark),
            peak=max(each["sent"] for each in dark) / self._load,
            recovery=recovered - back if recovered <= end - STEADY else None,
            failed=failed,
            failed_share=failed / sum(map(_ended, self._counts)),
            load=[each["sent"] / self._load for each in self._counts],
            success=success,
        )


def _ended(counts: Counter[str]) -> int:
    return counts["succeeded"] + counts["failed"]


def _tracks(scenario: Scenario) -> Callable[[int], ClientTrack | Urllib3Track]:
    policy = scenario.policy
    if policy is None:
        return lambda _: Urllib3Track()
    budgets = [RetryBudget(policy.budget) for _ in range(scenario.clients)]
    return lambda client: ClientTrack(policy, budgets[client], "GET")


def simulate(scenario: Scenario) -> Result:
    """Run a scenario; the same one always has the same result."""
    return Simulation(scenario).run()


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


def scenarios(clients: int) -> Iterator[Scenario]:
    """Yield all that the page shows."""
    for rate in (1.0, *RATES):
        size = max(1, clients // 20) if rate > 1 else clients
        for service in SERVICES:
            for client, policy in CLIENTS.items():
                yield Scenario(service, client, policy, size, rate)
    for policy in POLICIES:
        base = Scenario("rejects", numbers_of(policy), policy, max(1, clients // 10))
        yield from (base._replace(lost=lost) for lost in LOSSES)
        yield from (base._replace(lost=0, flaw=flaw) for flaw in FLAWS)


def record(scenario: Scenario) -> results.Row:
    """Simulate, and return what the page needs; of the seconds, every other one of the plots."""
    row = scenario._asdict() | simulate(scenario)._asdict()
    del row["policy"], row["clients"]
    is_plotted = scenario.rate == 1 and scenario.client in CLIENTS
    for key in ("load", "success"):
        row[key] = [round(value, 2) for value in row[key][::2]] if is_plotted else []
    return {key: round(one, 5) if isinstance(one, float) else one for key, one in row.items()}


def main() -> None:
    """Simulate all that the page shows, and report the progress."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clients", type=int, default=10_000, help="how many (default: 10000)")
    parser.add_argument("--json", type=Path, help="write the results to this file, for pages.py")
    options = parser.parse_args()
    todo, rows = list(scenarios(options.clients)), list[results.Row]()
    with ProcessPoolExecutor() as pool:
        for row in pool.map(record, todo):
            rows.append(row)
            shown = {key: value for key, value in row.items() if not isinstance(value, list)}
            sys.stdout.write(f"{len(rows)}/{len(todo)} {shown}\n")
            sys.stdout.flush()
    if options.json is not None:
        results.write(options.json, {"policy": RetryPolicy()._asdict()}, rows)


if __name__ == "__main__":
    main()
