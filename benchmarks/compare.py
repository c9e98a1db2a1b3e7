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
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PATIENCE = 120.0  # seconds for one round of one peer


class Peer(NamedTuple):
    """Someone to compare with: where it is installed, and what precedes a script's first call."""

    title: str
    environment: str
    start: str


# The baselines share stcloud's environment, and so its urllib3.
_URLLIB3 = "import urllib3, certifi; urllib3."
_STCLOUD = "import stcloud as c; c.ApiClient(c.Configuration())"
PEERS = {
    "urllib3": Peer("urllib3", "stcloud", f"{_URLLIB3}PoolManager()"),
    "floor": Peer("urllib3, one pool", "stcloud", f"{_URLLIB3}HTTPConnectionPool('localhost')"),
    "stcloud": Peer("stcloud", "stcloud", _STCLOUD),
    "no head": Peer("stcloud, http.client's head", "stcloud", _STCLOUD),
    "no columns": Peer("stcloud, without columns", "stcloud", _STCLOUD),
    "requests": Peer("requests", "requests", "import requests; requests.Session()"),
    "httpx": Peer("httpx", "httpx", "import httpx; httpx.Client()"),
    "sematext": Peer("sematext-api-client-python", "sematext", _STCLOUD),
    "generated": Peer(
        "openapi-generator", "generated", _STCLOUD.replace("stcloud", "openapi_client")
    ),
}
BASES = ("urllib3", "floor")
VARIANTS = ("no head", "no columns")
"""Of stcloud, in the work that they change."""
INSTALLED_HERE = [name for name, peer in PEERS.items() if peer.environment == "stcloud"]


class Case(NamedTuple):
    """Work that all peers do: so many calls in a round, of lists with so many tokens."""

    name: str
    title: str
    kind: str
    size: int
    calls: int
    rounds: int

    def small(self) -> Case:
        """Return the same work in a few calls of few tokens."""
        calls = 16 if self.kind == "threads" else min(self.calls, 2)
        return self._replace(size=min(self.size, 50), calls=calls, rounds=2)


CASES = (
    Case("call", "one call, 3 tokens", "calls", 3, 100, 60),
    Case("20", "20 tokens", "calls", 20, 60, 40),
    Case("100", "100 tokens", "calls", 100, 30, 40),
    Case("10000", "10,000 tokens", "calls", 10_000, 2, 25),
    Case("memory", "memory of 10,000 tokens", "memory", 10_000, 1, 2),
    Case("start", "import and client", "start", 0, 1, 30),
    Case("threads", "16 threads and connections", "threads", 3, 800, 15),
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

Sample = dict[str, float]  # "wall", and "cpu" where it is known; of one round


def say(text: str) -> None:
    """Report the progress."""
    sys.stderr.write(f"{datetime.now():%H:%M:%S} {text}\n")  # noqa: DTZ005  # for a person here
    sys.stderr.flush()


def run(*command: str | Path, **options: Any) -> str:
    """Run a program and return what it prints; show that if it fails."""
    done = subprocess.run(  # noqa: S603  # no input from outside
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **options,
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout}")
    return str(done.stdout)


def install(name: str, python: Path) -> None:
    """Install what an environment is for; stcloud from a copy, so that nothing is left here."""
    pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source")
        if name == "stcloud":
            shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "build", "dist"))
            run(*pip, "--force-reinstall", source)
        elif name == "generated":
            run(*pip, "openapi-generator-cli")
            description = ROOT / "docs" / "openapi.yaml"
            generator = python.with_name("openapi-generator-cli")
            run(generator, "generate", "-g", "python", "-i", description, "-o", source)
            run(*pip, source)
        else:
            run(*pip, {"sematext": "sematext-api-client-python==0.5.0"}.get(name, name))


def python_of(name: str, folder: Path) -> Path:
    """Return the Python of an environment, which is made if need be."""
    python, done = folder / name / "bin" / "python", folder / name / "installed"
    if not done.exists():
        venv.create(folder / name, with_pip=True, symlinks=True, clear=True)
    if not done.exists() or name == "stcloud":
        say(f"installing {name}")
        install(name, python)
        done.touch()
    return python


def plain_environment() -> dict[str, str]:
    """Return the environment without what would change the measured work."""
    unwanted = ("PYTHON", "SEMATEXT_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    return {
        name: value for name, value in os.environ.items() if not name.upper().startswith(unwanted)
    }


class Program:
    """A process that reads commands and prints results, in JSON, a line each."""

    def __init__(self, python: Path, file: str, *arguments: str) -> None:
        self.python = python
        self._process = subprocess.Popen(  # noqa: S603  # no input from outside
            [python, HERE / file, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=plain_environment(),
            cwd=tempfile.gettempdir(),  # the checkout would hide what is installed
        )
        self.greeting: Any = self._next_line()

    def ask(self, command: object) -> Any:
        """Send a command, and return its result."""
        assert self._process.stdin is not None  # noqa: S101  # it is a pipe
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._next_line()

    def _next_line(self) -> Any:
        assert self._process.stdout is not None  # noqa: S101  # it is a pipe
        watch = threading.Timer(PATIENCE, self._process.kill)
        watch.start()
        try:
            return json.loads(self._process.stdout.readline())
        finally:
            watch.cancel()

    def close(self) -> None:
        """End it: it has nothing to lose, and threads may keep it."""
        with self._process:
            self._process.kill()


def work(case: Case, name: str, worker: Program) -> Sample:
    """Let a peer do the work of one round."""
    if case.kind != "start":
        command = {"kind": case.kind, "size": case.size, "count": case.calls}
        return {key: value / case.calls for key, value in worker.ask(command).items()}
    begin = "from time import perf_counter; begin = perf_counter()"  # Python has started by then
    program = f"{begin}\n{PEERS[name].start}\nprint(perf_counter() - begin)"
    options = {"env": plain_environment(), "cwd": tempfile.gettempdir(), "timeout": PATIENCE}
    return {"wall": float(run(worker.python, "-c", program, **options))}


def measure(case: Case, workers: Mapping[str, Program]) -> dict[str, list[Sample]]:
    """Let the peers work in turn; each round begins with another of them."""
    names = [name for name in workers if case.kind == "calls" or name not in VARIANTS]
    samples: dict[str, list[Sample]] = {name: [] for name in names}
    for name in names:  # warms up
        work(case._replace(calls=1) if case.kind == "calls" else case, name, workers[name])
    for number in range(case.rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            samples[name].append(work(case, name, workers[name]))
    return samples


def ratios(own: Sequence[Sample], base: Sequence[Sample], clock: str = "wall") -> list[float]:
    """Return the quartiles of the ratios within each round, the median in the middle."""
    found = [one[clock] / (two[clock] or 1e-9) for one, two in zip(own, base, strict=True)]
    return [round(value, 3) for value in statistics.quantiles(found, n=4, method="inclusive")]


def rows(case: Case, samples: Mapping[str, Sequence[Sample]]) -> Iterator[dict[str, Any]]:
    """Yield what is kept of a case, a row for each peer."""
    for name, own in samples.items():
        low, median, high = ratios(own, samples["urllib3"])
        row = {"case": case.name, "peer": name, "ratio": median, "low": low, "high": high}
        row["floor"] = ratios(own, samples["floor"])[1]
        if "cpu" in own[0]:
            row["cpu"] = ratios(own, samples["urllib3"], "cpu")[1]
        yield row | {"value": float(f"{statistics.median(one['wall'] for one in own):.4g}")}


def machine() -> str:
    """Return where it is measured."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    python = f"{platform.python_implementation()} {platform.python_version()}"
    processor = names[0] if names else platform.machine()
    return f"{processor}, {os.cpu_count()} cores, {platform.system()}, {python}"


def compare(cases: Sequence[Case], pythons: Mapping[str, Path]) -> dict[str, Any]:
    """Let all peers do all work, and return what is recorded."""
    with ExitStack() as stack:
        server = stack.enter_context(closing(Program(Path(sys.executable), "server.py")))
        host = f"http://127.0.0.1:{server.greeting}"
        workers = {
            name: stack.enter_context(closing(Program(python, "worker.py", name, host)))
            for name, python in pythons.items()
        }
        found: list[dict[str, Any]] = []
        for case in cases:
            begin = time.monotonic()
            found += rows(case, measure(case, workers))
            say(f"{case.title}: {time.monotonic() - begin:.0f} s")
    versions = {key: text for worker in workers.values() for key, text in worker.greeting.items()}
    own = workers["stcloud"].greeting  # the baselines' urllib3, not that of requests
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine(),
        "versions": dict(sorted((versions | own).items())),
        "rows": found,
    }


def main() -> None:
    """Compare, and print or write what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--here", action="store_true", help="only what is installed where this runs")
    add("--cases", default=",".join(case.name for case in CASES), help="default: %(default)s")
    add("--small", action="store_true", help="a few calls of each case, which judge no time")
    add("--json", type=Path, help="write the results to this file, for pages.py")
    options = parser.parse_args()
    wanted = options.cases.split(",")
    if unknown := set(wanted) - {case.name for case in CASES}:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    cases = [case.small() if options.small else case for case in CASES if case.name in wanted]
    peers = INSTALLED_HERE if options.here else list(PEERS)
    if shutil.which("java") is None and "generated" in peers:
        say("openapi-generator is left out: it needs Java")
        peers.remove("generated")
    folder = ROOT / ".tox" / "peers"
    environments = dict.fromkeys(PEERS[name].environment for name in peers)
    pythons = {
        name: Path(sys.executable) if options.here else python_of(name, folder)
        for name in environments
    }
    document: dict[str, Any] = {"small": options.small}
    document |= compare(cases, {name: pythons[PEERS[name].environment] for name in peers})
    for row in document["rows"]:
        sys.stdout.write(f"{json.dumps(row)}\n")
    if options.json is not None:
        lines = ",\n  ".join(json.dumps(row) for row in document.pop("rows"))
        head = json.dumps(document)[:-1]
        options.json.write_text(f'{head}, "rows": [\n  {lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
