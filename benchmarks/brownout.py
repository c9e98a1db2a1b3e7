"""A service loses 90% of its capacity for a minute: what do clients that retry add to that?

Each simulated client has its own budget and makes its calls with the very classes that the SDK
uses, from :mod:`stcloud.retry`. Beside them stand no retry, the same policy without a budget, and
``Retry(3)`` of urllib3, whose own objects decide.

Time runs in steps of 10 ms. Calls come at random (Poisson), for all of a client's threads together:
a call does not wait for the one before it, so that slow responses do not lessen the load. All calls
are reads, which may always be retried. docs/reliability.md describes the rest of the model.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from urllib3 import HTTPConnectionPool, HTTPResponse
from urllib3.exceptions import MaxRetryError, ReadTimeoutError
from urllib3.util import Retry

from stcloud.retry import Outcome, RetryBudget, RetryPolicy, RetryState

STEPS = 100  # in a second
BEFORE, BROWNOUT, AFTER = 10, 60, 180  # seconds
HEADROOM = 1.3  # healthy capacity, as a multiple of the normal load
SERVICE_STEPS = 5  # 50 ms for each request
READ, DEADLINE = 30.0, 60.0  # the SDK's default limits
STEADY = 10  # seconds at the end in which all must be well, to count as recovered

DOCS = Path(__file__).parents[1] / "docs"
PAGE, RESULTS, PLOT = DOCS / "reliability.md", DOCS / "brownout.json", DOCS / "brownout.svg"


class Track(Protocol):
    """What decides about one call's attempts."""

    def after(self, *, timed_out: bool, remaining: float) -> float | None:
        """Return the seconds to wait before the next attempt, None if there is to be none."""

    def record_success(self) -> None:
        """Take note of the call's success."""


class SdkTrack(RetryState):
    """The SDK's own decisions, on a read."""

    __slots__ = ()

    def after(self, *, timed_out: bool, remaining: float) -> float | None:
        """Ask as ``ApiClient.send`` does, after a time-out or a 503 without Retry-After."""
        outcome = Outcome.UNKNOWN if timed_out else Outcome.UNAVAILABLE
        return self.next_delay(outcome, timed_out=timed_out, retry_after=None, remaining=remaining)


@cache  # a Retry never changes, and its successor depends on nothing else
def _next_retry(retry: Retry, *, timed_out: bool) -> Retry | None:
    pool = HTTPConnectionPool("service")
    try:
        if timed_out:
            error = ReadTimeoutError(pool, "/", "timed out")
            return retry.increment("GET", "/", error=error, _pool=pool)
        if retry.is_retry("GET", 503):
            return retry.increment("GET", "/", response=HTTPResponse(status=503), _pool=pool)
    except MaxRetryError:
        pass
    return None


class Urllib3Track:
    """urllib3's own decisions for ``Retry(3)``, with 503 among what may be retried."""

    __slots__ = ("_retry",)
    START = Retry(3, status_forcelist=[503])  # back-off factor 0, as Retry has it

    def __init__(self) -> None:
        self._retry = self.START

    def after(self, *, timed_out: bool, remaining: float) -> float | None:  # noqa: ARG002  # no deadline
        """Ask as ``HTTPConnectionPool.urlopen`` does."""
        retry = _next_retry(self._retry, timed_out=timed_out)
        if retry is None:
            return None
        self._retry = retry
        return retry.get_backoff_time()

    def record_success(self) -> None:
        """Nothing is counted beyond the call."""


class Service(NamedTuple):
    """What a service does with a request that it cannot serve at once."""

    queue: float
    """It may wait, if the healthy service would serve all who wait in this many seconds."""
    rejects: bool
    """Whether a request too many gets 503 at once; else it gets no response."""


SERVICES = {
    "rejects": Service(0.1, rejects=True),
    "queues": Service(20, rejects=False),
    "queues all": Service(60, rejects=False),
}
CLIENTS: dict[str, RetryPolicy | None] = {
    "no retry": RetryPolicy(attempts=1),
    "stcloud": RetryPolicy(),
    "stcloud, no budget": RetryPolicy(budget=math.inf),
    "urllib3 `Retry(3)`": None,
}


class Scenario(NamedTuple):
    """What is simulated."""

    service: str
    client: str
    """Its name in a table; ``policy`` says what it does."""
    policy: RetryPolicy | None
    """How calls are retried; None for urllib3's way."""
    clients: int
    rate: float = 1
    """Calls of each client in a second."""
    lost: float = 0.9
    """The share of the capacity that is lost for a minute."""
    flaw: float = 0
    """The share of the requests that are refused with 503 for no reason, all the time."""

    @property
    def load(self) -> float:
        """Calls of all clients in a second."""
        return self.rate * self.clients

    @property
    def capacity(self) -> float:
        """Requests that the healthy service serves in a second."""
        return self.load * HEADROOM


class Result(NamedTuple):
    """What came of it."""

    calls: int
    """Calls begun during the brown-out."""
    amplification: float
    """Requests sent for each call begun, both during the brown-out."""
    peak: float
    """The most requests in one second of the brown-out, as a multiple of the normal load."""
    recovery: int | None
    """Seconds from the return of the capacity until 99% of calls succeed from then on, or None."""
    failed: int
    """Calls that failed, in all."""
    failed_share: float
    """The same, as a share of all calls that ended."""
    load: list[float]
    """Requests in each second, as a multiple of the normal load."""
    success: list[float]
    """Of the calls that ended in each second, the share that succeeded."""


class Call:
    """One call, from its first request to its end."""

    __slots__ = ("deadline", "pending", "sent", "track")

    def __init__(self, track: Track, deadline: float) -> None:
        self.track = track
        self.deadline = deadline
        self.sent = 0
        self.pending = 0
        """The number of the request whose response is awaited; 0 for none."""


_Request = tuple[Call, int]  # the call and the request's number in it


class Simulation:
    """Clients, the service and the clock."""

    def __init__(self, scenario: Scenario) -> None:
        random.seed("waits")  # the SDK draws its waits from there
        self.scenario = scenario
        self._service = SERVICES[scenario.service]
        # Two sources, so that the calls come at the same times however they are retried.
        self._chance = random.Random("calls")  # noqa: S311  # guards no secret
        self._luck = random.Random("places")  # noqa: S311  # guards no secret
        self._new_track = _tracks(scenario)
        self._step = 0
        self._next_call = 0.0
        self._credit = 0.0
        self._queue: deque[_Request] = deque()
        self._working: deque[list[_Request]] = deque([] for _ in range(SERVICE_STEPS))
        self._due: defaultdict[int, list[_Request]] = defaultdict(list)
        """Step -> the requests whose time is up then; number 0 is one to be sent."""
        self._second = 0
        self._begun: list[int] = []  # and so on, in each second
        self._sent: list[int] = []
        self._succeeded: list[int] = []
        self._failed: list[int] = []

    def run(self) -> Result:
        """Run through all seconds; failures may come back in waves, so no run ends early."""
        for self._second in range(BEFORE + BROWNOUT + AFTER):
            for counts in (self._begun, self._sent, self._succeeded, self._failed):
                counts.append(0)
            for _ in range(STEPS):
                self._pass_time()
                self._step += 1
        return self._result()

    def _pass_time(self) -> None:
        for call, number in self._working.popleft():
            if call.pending == number:
                self._succeed(call)
        sending = self._new_calls()
        for call, number in self._due.pop(self._step, ()):
            if number == 0:
                sending.append(call)
            elif call.pending == number:
                self._fail(call, timed_out=True)
        self._luck.shuffle(sending)  # new calls and retries have the same luck with free places
        for call in sending:
            self._send(call)
        self._serve()

    def _new_calls(self) -> list[Call]:
        now, chance, calls = self._step / STEPS, self._chance, []
        while self._next_call <= now:
            client = int(chance.random() * self.scenario.clients)
            calls.append(Call(self._new_track(client), now + DEADLINE))
            self._next_call += chance.expovariate(self.scenario.load)
        self._begun[self._second] += len(calls)
        return calls

    def _serve(self) -> None:
        """Take requests from the queue, also those that nobody waits for any more."""
        healthy = not BEFORE <= self._second < BEFORE + BROWNOUT
        share = 1 if healthy else 1 - self.scenario.lost
        self._credit += self.scenario.capacity * share / STEPS
        served = min(int(self._credit), len(self._queue))
        self._working.append([self._queue.popleft() for _ in range(served)])
        self._credit -= served
        if not self._queue:
            self._credit %= 1  # idle time cannot be saved for later

    def _send(self, call: Call) -> None:
        self._sent[self._second] += 1
        call.sent += 1
        full = len(self._queue) >= self.scenario.capacity * self._service.queue
        flawed = self.scenario.flaw and self._luck.random() < self.scenario.flaw
        if flawed or (full and self._service.rejects):
            self._fail(call, timed_out=False)
            return
        call.pending = call.sent
        request = call, call.sent
        if not full:  # else it gets lost
            self._queue.append(request)
        limit = READ
        if self.scenario.policy is not None:
            limit = min(READ, call.deadline - self._step / STEPS)
        self._due[self._step + max(1, round(limit * STEPS))].append(request)

    def _succeed(self, call: Call) -> None:
        call.pending = 0
        call.track.record_success()
        self._succeeded[self._second] += 1

    def _fail(self, call: Call, *, timed_out: bool) -> None:
        call.pending = 0
        remaining = call.deadline - self._step / STEPS
        wait = call.track.after(timed_out=timed_out, remaining=remaining)
        if wait is None:
            self._failed[self._second] += 1
        else:
            self._due[self._step + 1 + int(wait * STEPS)].append((call, 0))

    def _success(self, second: int) -> float:
        ended = self._succeeded[second] + self._failed[second]
        return self._succeeded[second] / ended if ended else 0.0

    def _recovery(self) -> int | None:
        wanted = 0.99 * sum(map(self._success, range(1, BEFORE))) / (BEFORE - 1)
        back, end = BEFORE + BROWNOUT, len(self._sent)
        bad = (second for second in range(end - 1, back - 1, -1) if self._success(second) < wanted)
        recovered = next(bad, back - 1) + 1
        return recovered - back if recovered <= end - STEADY else None

    def _result(self) -> Result:
        dark = slice(BEFORE, BEFORE + BROWNOUT)
        load, failed, calls = self.scenario.load, sum(self._failed), sum(self._begun[dark])
        return Result(
            calls=calls,
            amplification=sum(self._sent[dark]) / calls,
            peak=max(self._sent[dark]) / load,
            recovery=self._recovery(),
            failed=failed,
            failed_share=failed / (failed + sum(self._succeeded)),
            load=[round(sent / load, 2) for sent in self._sent],
            success=[round(self._success(second), 3) for second in range(len(self._sent))],
        )


def _tracks(scenario: Scenario) -> Callable[[int], Track]:
    policy = scenario.policy
    if policy is None:
        return lambda _: Urllib3Track()
    budgets = [RetryBudget(policy.budget) for _ in range(scenario.clients)]
    return lambda client: SdkTrack(policy, budgets[client], "GET")


def simulate(scenario: Scenario) -> Result:
    """Run a scenario; the same one always has the same result."""
    return Simulation(scenario).run()


class Run(NamedTuple):
    """A scenario and its result, as far as tables and plot show them."""

    service: str
    client: str
    rate: float
    lost: float
    flaw: float
    result: Result


RATES = {10.0: "10 a second", 0.1: "1 in 10 seconds", 1 / 60: "1 a minute"}
NUMBERS = (
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


def scenarios(clients: int) -> list[Scenario]:
    """Return all that the page shows."""
    sizes = {1.0: clients, 10.0: max(1, clients // 20), **dict.fromkeys((0.1, 1 / 60), clients)}
    found = [
        Scenario(service, client, policy, size, rate)
        for rate, size in sizes.items()
        for service in SERVICES
        for client, policy in CLIENTS.items()
    ]
    few = max(1, clients // 10)
    for policy in NUMBERS:
        base = Scenario("rejects", numbers_of(policy), policy, few)
        found += [base._replace(lost=lost) for lost in LOSSES]
        found += [base._replace(lost=0, flaw=flaw) for flaw in FLAWS]
    return found


def run(scenario: Scenario) -> Run:
    """Simulate, and keep the seconds only where the plot needs them."""
    result = simulate(scenario)
    if scenario.rate != 1 or scenario.client not in CLIENTS:
        result = result._replace(load=[], success=[])
    _, client, _, _, rate, lost, flaw = scenario
    return Run(scenario.service, client, rate, lost, flaw, result)


def tables(runs: Sequence[Run]) -> str:
    """Return the page's tables as Markdown."""
    found = {(one.service, one.client, one.rate, one.lost, one.flaw): one.result for one in runs}
    return "\n\n".join(
        (
            "Clients that call once a second:",
            _main_table(found),
            "Clients that call more or less often, requests per call and recovery:",
            _rates_table(found),
            "Other numbers (`budget` / `retry_cost` / `timeout_retry_cost` / `success_credit`), "
            "for clients that call once a second. Left, requests per call while 90%, 50% or "
            "30% of the capacity is gone and the service rejects; right, failed calls while "
            "nothing is gone, but 1%, 10% or 20% of all requests are refused with 503 by chance:",
            _numbers_table(found),
        )
    )


_Found = dict[tuple[str, str, float, float, float], Result]


def _main_table(found: _Found) -> str:
    head = ["The service", "Client", "Requests per call", "Peak load", "Recovery", "Failed calls"]
    rows = []
    for service in SERVICES:
        for client in CLIENTS:
            result = found[service, client, 1, 0.9, 0]
            load = f"{result.amplification:.2f}", f"{result.peak:.1f}"
            rows.append([service, client, *load, _recovery(result), f"{result.failed:,}"])
    return _table(head, rows)


def _rates_table(found: _Found) -> str:
    rows = []
    for rate, name in RATES.items():
        for service in SERVICES:
            results = [found[service, client, rate, 0.9, 0] for client in CLIENTS]
            cells = [f"{one.amplification:.2f}, {_recovery(one)}" for one in results]
            rows.append([name, service, *cells])
    return _table(["Calls", "The service", *CLIENTS], rows)


def _numbers_table(found: _Found) -> str:
    head = [
        "Numbers",
        *(f"{lost:.0%} gone" for lost in LOSSES),
        *(f"{one:.0%} fail" for one in FLAWS),
    ]
    rows = []
    for client in map(numbers_of, NUMBERS):
        loads = [found["rejects", client, 1, lost, 0].amplification for lost in LOSSES]
        failed = [found["rejects", client, 1, 0, flaw].failed_share for flaw in FLAWS]
        name = f"**{client}**" if client == numbers_of(RetryPolicy()) else client
        rows.append([name, *(f"{load:.2f}" for load in loads), *(f"{one:.2%}" for one in failed)])
    return _table(head, rows)


def _recovery(result: Result) -> str:
    return f"not in {AFTER} s" if result.recovery is None else f"{result.recovery} s"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


# The plot: a column for each service, load above success.
_WIDTH, _HEIGHT, _GAP, _LEFT, _TOP = 250, 150, 40, 48, 60
_SECONDS = BEFORE + BROWNOUT + AFTER
_MOST = 4.5  # times the normal load
_STROKES = (
    'stroke="#57606a" stroke-width="1.5"',
    'stroke="#0969da" stroke-width="2.5"',
    'stroke="#bc6c00" stroke-width="1.5"',
    'stroke="#cf222e" stroke-width="1.5" stroke-dasharray="5 3"',
)


def plot(runs: Sequence[Run]) -> str:
    """Return the plot as SVG."""
    width = _LEFT + len(SERVICES) * (_WIDTH + _GAP)
    height = _TOP + 2 * (_HEIGHT + _GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'font-family="sans-serif" font-size="12" fill="#1f2328">',
        "<title>Load and success before, during and after the brown-out</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for number, (client, stroke) in enumerate(zip(CLIENTS, _STROKES, strict=True)):
        x = _LEFT + number * 200
        parts.append(
            f'<path d="M{x} 16h24" {stroke}/>' + _text(x + 30, 20, client.replace("`", ""))
        )
    for column, service in enumerate(SERVICES):
        x = _LEFT + column * (_WIDTH + _GAP)
        parts.append(_text(x, _TOP - 8, f"The service {service}"))
        shown = [one for one in runs if (one.service, one.rate) == (service, 1) and one.result.load]
        loads = [one.result.load for one in shown]
        successes = [[100 * share for share in one.result.success] for one in shown]
        parts += _panel(x, _TOP, "load, normal = 1", (0, 1, 2, 3, 4), _MOST, loads)
        below = _TOP + _HEIGHT + _GAP
        parts += _panel(x, below, "calls that succeed, %", (0, 50, 100), 105, successes)
    return "\n".join([*parts, "</svg>\n"])


def _panel(
    x: int, y: int, title: str, ticks: Sequence[int], most: float, lines: Sequence[Sequence[float]]
) -> list[str]:
    wide, high, base = _WIDTH / _SECONDS, _HEIGHT / most, y + _HEIGHT
    dark = f'x="{x + BEFORE * wide:.0f}" y="{y}" width="{BROWNOUT * wide:.0f}" height="{_HEIGHT}"'
    parts = [f'<rect {dark} fill="#eaeef2"/>']
    for tick in ticks:
        level = base - tick * high
        parts.append(f'<path d="M{x} {level:.1f}h{_WIDTH}" stroke="#d0d7de"/>')
        parts.append(_text(x - 6, level + 4, str(tick), anchor="end"))
    parts.append(_text(x + _WIDTH, y - 8, title, anchor="end"))
    for second in range(0, _SECONDS, 60):
        parts.append(_text(x + second * wide, base + 16, f"{second} s", anchor="middle"))
    for line, stroke in zip(lines, _STROKES, strict=True):
        points = (
            f"{x + second * wide:.1f},{base - value * high:.1f}"
            for second, value in enumerate(line)
        )
        parts.append(f'<polyline points="{" ".join(points)}" fill="none" {stroke}/>')
    return parts


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{text}</text>'


BEGIN, END = "<!-- from brownout.json: begin -->\n", "\n<!-- end -->"


def put_into(page: str, content: str) -> str:
    """Return the page with the content between its markers."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{PAGE} has no place for the tables")
    return before + begin + content + end + after


def load_results() -> list[Run]:
    """Return the runs that the page shows."""
    document: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return [Run(**{**run, "result": Result(**run["result"])}) for run in document["runs"]]


def write(clients: int, runs: Sequence[Run]) -> None:
    """Write results, plot and the page's tables."""
    lines = [json.dumps({**run._asdict(), "result": run.result._asdict()}) for run in runs]
    content = ",\n".join(lines)
    RESULTS.write_text(f'{{"clients": {clients}, "runs": [\n{content}\n]}}\n', encoding="utf-8")
    PLOT.write_text(plot(runs), encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(put_into(page, tables(runs)), encoding="utf-8")


def main() -> None:
    """Simulate all that the page shows, and report the progress."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clients", type=int, default=10_000, help="how many (default: 10000)")
    parser.add_argument("--write", action="store_true", help="update docs/reliability.md")
    options = parser.parse_args()
    todo, runs, begin = scenarios(options.clients), list[Run](), time.monotonic()
    with ProcessPoolExecutor() as pool:
        for number, one in enumerate(pool.map(run, todo), 1):
            runs.append(one)
            _say(f"[{number:2}/{len(todo)}, {time.monotonic() - begin:3.0f} s] {_summary(one)}")
    _say("\n" + tables(runs))
    if options.write:
        write(options.clients, runs)


def _summary(one: Run) -> str:
    setting = f"{one.service}, {one.client}, {one.rate:.3g} calls/s, {one.lost:.0%} gone"
    return f"{setting}: {one.result.amplification:.2f} requests per call, {_recovery(one.result)}"


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201  # it talks to a person


if __name__ == "__main__":
    main()
