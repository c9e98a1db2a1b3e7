"""How fast is stcloud beside hand-written code, and beside other clients?

Each peer has a process of its own, and they work in turn, round by round: whatever else the machine
does meets all of them alike. A ratio is taken within each round; the median of these counts.
docs/performance.md describes the work, and shows what this writes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib import metadata
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import peers
import results
import server
from peers import PATIENCE, PEERS, SEMATEXT, VARIANTS

DISTRIBUTIONS = (
    "httpx",
    "openapi-generator-cli",
    "requests",
    "sematext-api-client-python",
    "stcloud",
    "urllib3",
)
Process = Callable[..., Any]
"""Calls a function in another process, and returns its result."""


class Case(NamedTuple):
    """Work that all peers do: so many calls in a round, of lists with so many tokens."""

    name: str
    title: str
    work: Callable[[str, str, int, int], float]
    size: int
    calls: int
    rounds: int

    def small(self) -> Case:
        """Return the same work in a few calls of few tokens."""
        return self._replace(size=min(self.size, 50), calls=min(self.calls, 16), rounds=2)

    def peers(self, names: Sequence[str]) -> list[str]:
        """Return those that do this work."""
        return [name for name in names if self.work is peers.calls or name not in VARIANTS]


CASES = (
    Case("call", "one call, 3 tokens", peers.calls, 3, 100, 60),
    Case("20", "20 tokens", peers.calls, 20, 60, 40),
    Case("100", "100 tokens", peers.calls, 100, 30, 40),
    Case("10000", "10,000 tokens", peers.calls, 10_000, 2, 25),
    Case("memory", "memory of 10,000 tokens", peers.memory, 10_000, 1, 2),
    Case("start", "import and client", peers.start, 0, 1, 30),
    Case("threads", "16 threads and connections", peers.threads, 3, 800, 15),
)
GOALS = (
    ("call", "urllib3", 0.95),
    ("call", "floor", 1.15),
    ("100", "urllib3", 1.20),
    ("10000", "urllib3", 1.70),
    ("memory", "urllib3", 0.75),
    ("start", "urllib3", 1.15),
    ("threads", "urllib3", 1.00),
)
"""Case, base and the ratio to reach."""


@contextmanager
def process() -> Iterator[Process]:
    """Start a process that calls functions; it is killed if one takes too long, or fails."""
    with get_context("spawn").Pool(1) as pool:
        yield lambda function, *arguments: pool.apply_async(function, arguments).get(PATIENCE)
        pool.close()
        pool.join()


def measure(case: Case, host: str, processes: Mapping[str, Process]) -> dict[str, list[float]]:
    """Let the peers work in turn; each round begins with another of them."""
    names = case.peers(list(processes))
    samples: dict[str, list[float]] = {name: [] for name in names}
    for number in range(1 + case.rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            sample = processes[name](case.work, name, host, case.size, case.calls)
            samples[name] += [sample] if number else []  # the first round warms up
    return samples


def ratios(own: Sequence[float], base: Sequence[float]) -> list[float]:
    """Return the quartiles of the ratios within each round, the median in the middle."""
    found = [one / two for one, two in zip(own, base, strict=True)]
    return [round(value, 3) for value in statistics.quantiles(found, n=4, method="inclusive")]


def rows(case: Case, samples: Mapping[str, Sequence[float]]) -> Iterator[results.Row]:
    """Yield what is kept of a case, a row for each peer."""
    for name, own in samples.items():
        low, median, high = ratios(own, samples["urllib3"])
        row = {"case": case.name, "peer": name, "ratio": median, "low": low, "high": high}
        row["floor"] = ratios(own, samples["floor"])[1]
        yield row | {"value": float(f"{statistics.median(own):.4g}")}


def machine() -> str:
    """Return where it is measured."""
    found = re.search("model name.*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    processor = found[1] if found else platform.machine()
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{processor}, {os.cpu_count()} cores, {platform.system()}, {python}"


def versions() -> dict[str, str]:
    """Return the versions of what takes part."""
    found = metadata.distributions(path=[str(SEMATEXT), *sys.path])
    names = {one.metadata["Name"].replace("_", "-"): one.version for one in found}
    return {name: names[name] for name in DISTRIBUTIONS if name in names}


def compare(cases: Sequence[Case], names: Sequence[str]) -> list[results.Row]:
    """Let all peers do all work, and return what is recorded."""
    found: list[results.Row] = []
    with ExitStack() as stack:
        host = stack.enter_context(process())(server.start)
        processes = {name: stack.enter_context(process()) for name in names}
        for case in cases:
            begin = time.monotonic()
            found += rows(case, measure(case, host, processes))
            print(f"{case.title}: {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
    return found


def main() -> None:
    """Compare, and print or write what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    every = [case.name for case in CASES]
    add("--cases", nargs="+", choices=every, default=every, help="default: all of them")
    add("--small", action="store_true", help="a few calls of each case, which judge no time")
    add("--json", type=Path, help="write the results to this file, for pages.py")
    options = parser.parse_args()
    cases = [case for case in CASES if case.name in options.cases]
    if options.small:
        cases = [case.small() for case in cases]
    for name in list(os.environ):  # would change the measured work
        if name.upper().startswith(("SEMATEXT_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")):
            del os.environ[name]
    names = [name for name, peer in PEERS.items() if peer.is_installed]
    if absent := PEERS.keys() - names:
        print("not installed here, but by tox run -e benchmarks:", *absent, file=sys.stderr)
    found = compare(cases, names)
    for row in found:
        print(json.dumps(row))
    if options.json is not None:
        head = {"small": options.small, "date": f"{datetime.now(UTC):%Y-%m-%d}"}
        head |= {"machine": machine(), "versions": versions()}
        results.write(options.json, head, found)


if __name__ == "__main__":
    main()
