"""How fast is the SDK beside hand-written code, and beside other clients?

Makes an environment for each peer, starts a server and a worker process for each peer, and lets
them work in turn, round by round, so that whatever else the machine does meets all of them alike. A
ratio is taken within each round; the median of these counts. docs/performance.md has the rest.

It needs nothing but Python, Java for the generated client, and a package index for the peers.
"""

from __future__ import annotations

import argparse
import getpass
import hashlib
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
WORKER, SERVER = HERE / "worker.py", HERE / "server.py"
DESCRIPTION = ROOT / "docs" / "openapi.yaml"
SHIPPED = (
    "setup.py",
    "pyproject.toml",
    "requirements.txt",
    "test-requirements.txt",
    "LICENSE",
    "zensical.toml",
)
PATIENCE = 120.0  # seconds for one round of one peer
ENOUGH = 5  # rounds, after which a case may end because its time is up


class Peer(NamedTuple):
    """Someone to compare with."""

    title: str
    environment: str
    """The environment that it runs in; the baselines share the SDK's, and so its urllib3."""
    start: str
    """What a script does before its first call."""


PEERS = {
    "urllib3": Peer(
        "urllib3, PoolManager + json.loads",
        "stcloud",
        "import urllib3, certifi; urllib3.PoolManager()",
    ),
    "floor": Peer(
        "urllib3, HTTPConnectionPool + json.loads",
        "stcloud",
        "import urllib3, certifi; urllib3.HTTPConnectionPool('localhost')",
    ),
    "stcloud": Peer(
        "stcloud", "stcloud", "import stcloud; stcloud.ApiClient(stcloud.Configuration())"
    ),
    "requests": Peer("requests + json", "requests", "import requests; requests.Session()"),
    "httpx": Peer("httpx + json", "httpx", "import httpx; httpx.Client()"),
    "sematext": Peer(
        "sematext-api-client-python 0.5.0",
        "sematext",
        "import stcloud; stcloud.ApiClient(stcloud.Configuration())",
    ),
    "generated": Peer(
        "openapi-generator's client",
        "generated",
        "import openapi_client as c; c.ApiClient(c.Configuration())",
    ),
}
BASELINES = ("urllib3", "floor")
HERE_PEERS = (*BASELINES, "stcloud")


class Case(NamedTuple):
    """Work that all peers do."""

    name: str
    title: str
    kind: str
    """What the worker is to do, or "start"."""
    size: int = 0
    """Tokens in the list."""
    calls: int = 1
    """Calls in a round."""
    rounds: int = 1
    seconds: float = 1
    """Time for all rounds of all peers; five rounds are made in any case."""
    slow_too: bool = True
    """Whether peers take part that have no goal."""

    @property
    def text(self) -> str:
        """The title, with the numbers of this case."""
        return self.title.format(size=self.size, calls=self.calls)


CASES = (
    Case("call", "one keep-alive call, a list of {size} tokens", "calls", 3, 100, 60, 40),
    Case("list", "a list of {size:,} tokens", "calls", 10_000, 2, 25, 50),
    Case("size-10", "a list of {size} tokens", "calls", 10, 60, 10, 10),
    Case("size-100", "a list of {size} tokens", "calls", 100, 30, 10, 10),
    Case("size-1000", "a list of {size:,} tokens", "calls", 1_000, 5, 10, 15),
    Case("size-100000", "a list of {size:,} tokens", "calls", 100_000, 1, 9, 20, slow_too=False),
    Case("memory", "memory held for {size:,} tokens", "memory", 10_000, rounds=2),
    Case("start", "import, and a client made", "start", rounds=30, seconds=50),
    Case("threads", "{calls} calls on 16 threads, one client", "threads", 3, 800, 15, 40),
)


class Goal(NamedTuple):
    """What the SDK is to reach."""

    work: str
    case: str
    against: str
    ratio: float


GROWTH = "growth"
GROWN = ("list", "size-100000")
GOALS = (
    Goal("one keep-alive call, a list of 3 tokens, typed result", "call", "urllib3", 0.95),
    Goal("the same, against the floor", "call", "floor", 1.15),
    Goal("a list of 10,000 tokens, typed, checked, dates parsed", "list", "urllib3", 1.25),
    # Ten times the tokens cost hand-written code more than ten times the time: caches, collector.
    Goal("linear: that ratio for 100,000 tokens, divided by it", GROWTH, "urllib3", 1.15),
    Goal("memory held for 10,000 tokens", "memory", "urllib3", 0.75),
    Goal("`import stcloud`, client made", "start", "urllib3", 1.10),
    Goal("800 calls on 16 threads, one client", "threads", "urllib3", 1.00),
)

Sample = dict[str, float]  # "wall", and "cpu" where it is known; of one round
Samples = dict[str, list[Sample]]  # by peer


class Skipped(Exception):
    """A peer cannot take part here."""


# Environments: one for each peer, since two of them have the same import name.


def settings_for(python: Path) -> dict[str, str]:
    """Return the environment's variables without those that would change what is measured."""
    unwanted = ("_proxy", "pythondontwritebytecode", "pythonwarnings", "pythondevmode")
    settings = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith((*unwanted, "pythonpath")) and not name.startswith("SEMATEXT_")
    }
    if python == Path(sys.executable):  # where this interpreter finds it, else the checkout
        found = find_spec("stcloud")
        folder = Path(found.origin).parents[1] if found and found.origin else ROOT
        settings["PYTHONPATH"] = str(folder)
    return settings


def run(command: Sequence[str | Path], **options: Any) -> str:
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
        raise RuntimeError(f"{Path(command[0]).name} failed:\n{done.stdout}")
    return str(done.stdout)


def fingerprint(*paths: Path) -> str:
    """Return a digest of files and of the Python files in folders."""
    digest = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(f"{file.name}\n".encode() + file.read_bytes())
    return digest.hexdigest()


def install_sdk(python: Path, pip: Sequence[str | Path]) -> None:
    """Build this checkout's wheel from a copy, so that nothing is left in it, and install it."""
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary, "source")
        shutil.copytree(ROOT / "stcloud", source / "stcloud")
        for name in (*SHIPPED, "README.md"):
            shutil.copy(ROOT / name, source)
        run([python, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", temporary, source])
        run([*pip, *Path(temporary).glob("*.whl")])


def install_generated(python: Path, pip: Sequence[str | Path]) -> None:
    """Generate a client from the API's description, and install it."""
    if shutil.which("java") is None:
        raise Skipped("openapi-generator needs Java, which is not here")
    run([*pip, "openapi-generator-cli"])
    target = python.parents[1] / "source"
    generator = python.with_name("openapi-generator-cli")
    try:
        run([generator, "generate", "-i", DESCRIPTION, "-g", "python", "-o", target])
    except RuntimeError as error:
        raise Skipped(f"openapi-generator failed: {str(error).splitlines()[-1]}") from error
    run([*pip, target])


class Environment(NamedTuple):
    """What an environment holds."""

    requirements: tuple[str, ...]
    sources: tuple[Path, ...] = ()
    """Files that decide what is installed, besides the requirements."""
    install: Callable[[Path, Sequence[str | Path]], None] | None = None


ENVIRONMENTS = {
    "stcloud": Environment(
        (), (ROOT / "stcloud", ROOT / "requirements.txt", ROOT / "setup.py"), install_sdk
    ),
    "requests": Environment(("requests",)),
    "httpx": Environment(("httpx",)),
    "sematext": Environment(("sematext-api-client-python==0.5.0",)),
    "generated": Environment((), (DESCRIPTION,), install_generated),
}


def python_of(folder: Path, name: str) -> Path:
    """Return the Python of an environment, recreated if what it should hold has changed."""
    wanted = ENVIRONMENTS[name]
    stated = json.dumps([sys.version, wanted.requirements, fingerprint(*wanted.sources)])
    target, stamp = folder / name, folder / name / "made-for.json"
    python = target / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != stated:
        venv.EnvBuilder(clear=True, with_pip=True, symlinks=os.name != "nt").create(target)
        pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        if wanted.requirements:
            run([*pip, *wanted.requirements])
        if wanted.install is not None:
            wanted.install(python, pip)
        stamp.write_text(stated, encoding="utf-8")
    return python


def own_folder() -> Path:
    """Return this user's folder for environments; nobody else may have prepared it."""
    folder = Path(tempfile.gettempdir(), f"stcloud-benchmarks-{getpass.getuser()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    if os.name != "nt" and (folder.is_symlink() or folder.stat().st_uid != os.getuid()):
        raise SystemExit(f"{folder} belongs to someone else; give --environments")
    return folder


# Processes: the server, and a worker for each peer.


@contextmanager
def started(*command: str | Path) -> Iterator[subprocess.Popen[str]]:
    """Run a program that is spoken with over its standard input and output; end it at the end."""
    process = subprocess.Popen(  # noqa: S603  # no input from outside
        [str(part) for part in command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=settings_for(Path(command[0])),
        cwd=tempfile.gettempdir(),  # the checkout would hide what is installed
    )
    with process:
        try:
            yield process
        finally:
            process.kill()  # it has nothing to lose, and threads may keep it


def next_line(process: subprocess.Popen[str]) -> str:
    """Return the next line that a process prints; kill one that takes too long."""
    watch = threading.Timer(PATIENCE, process.kill)
    watch.start()
    try:
        line = process.stdout.readline() if process.stdout else ""
    finally:
        watch.cancel()
    if not line:
        raise RuntimeError(f"{process.args!r} has ended")
    return line


class Worker:
    """One peer's process."""

    def __init__(self, process: subprocess.Popen[str], python: Path, name: str) -> None:
        self._process = process
        self._python = python
        self._name = name
        self.versions: dict[str, str] = json.loads(next_line(process))["versions"]

    def do(self, case: Case) -> Sample:
        """Do the work of one round."""
        if case.kind == "start":
            return self._start()
        command = {"kind": case.kind, "size": case.size, "count": case.calls}
        assert self._process.stdin is not None  # noqa: S101  # started() says so
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        sample: Sample = json.loads(next_line(self._process))
        return {name: value / case.calls for name, value in sample.items()}

    def _start(self) -> Sample:
        """Import and make a client in a fresh process.

        The wall time is that of these alone, the CPU time that of the process since its start.
        """
        program = (
            "from time import perf_counter, process_time; begin = perf_counter()\n"
            f"{PEERS[self._name].start}\n"
            "print(perf_counter() - begin, process_time())"
        )
        where = tempfile.gettempdir()
        settings = settings_for(self._python)
        printed = run([self._python, "-c", program], env=settings, cwd=where, timeout=PATIENCE)
        wall, cpu = printed.split()
        return {"wall": float(wall), "cpu": float(cpu)}


# Measuring, and what follows from it.


class Progress:
    """One line that shows the progress."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._interactive = sys.stderr.isatty()

    def report(self, text: str, *, passing: bool = True) -> None:
        """Show a line in place of the one before; of what passes, a log gets nothing."""
        line = f"[{time.monotonic() - self._begin:4.0f} s] {text}"
        if self._interactive:
            sys.stderr.write(f"\r{line:78.78}")
        elif not passing:
            sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    def end(self) -> None:
        """Leave the line."""
        if self._interactive:
            sys.stderr.write("\n")


def measure(case: Case, workers: Mapping[str, Worker], progress: Progress) -> Samples:
    """Let the peers work in turn; each round begins with another of them."""
    progress.report(f"{case.text} ({case.rounds} rounds)", passing=False)
    names = [name for name in workers if case.slow_too or name in HERE_PEERS]
    samples: Samples = {name: [] for name in names}
    for name in names:
        workers[name].do(case._replace(calls=1) if case.kind == "calls" else case)  # warms up
    end = time.monotonic() + case.seconds
    for number in range(case.rounds):
        if number >= ENOUGH and time.monotonic() > end:
            break
        first = number % len(names)
        for name in names[first:] + names[:first]:
            progress.report(f"{case.text}: round {number + 1} of {case.rounds}, {name}")
            samples[name].append(workers[name].do(case))
    return samples


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median and quartiles."""
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": median, "low": low, "high": high}


def ratios(samples: Sequence[Sample], base: Sequence[Sample], clock: str) -> dict[str, float]:
    """Return median and quartiles of the ratios within each round."""
    return spread(
        [one[clock] / (two[clock] or 1e-9) for one, two in zip(samples, base, strict=True)]
    )


def summary(case: Case, samples: Samples) -> dict[str, Any]:
    """Return what is kept of a case's samples."""
    results = {}
    for name, own in samples.items():
        clocks = [clock for clock in ("wall", "cpu") if clock in own[0]]
        results[name] = {clock: spread([one[clock] for one in own]) for clock in clocks} | {
            "against": {
                base: {clock: ratios(own, samples[base], clock) for clock in clocks}
                for base in BASELINES
            }
        }
    return {
        "name": case.name,
        "title": case.text,
        "kind": case.kind,
        "size": case.size,
        "rounds": len(samples[BASELINES[0]]),
        "results": results,
    }


def ratio(cases: Mapping[str, Any], name: str, against: str) -> float:
    """Return the SDK's ratio in a case."""
    return float(cases[name]["results"]["stcloud"]["against"][against]["wall"]["median"])


def reached(goal: Goal, cases: Mapping[str, Any]) -> float:
    """Return the ratio that the goal is about."""
    if goal.case == GROWTH:
        few, many = (ratio(cases, name, goal.against) for name in GROWN)
        return many / few
    return ratio(cases, goal.case, goal.against)


def goals(cases: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the goals whose work was done, with what was reached."""
    done = [
        goal
        for goal in GOALS
        if (set(GROWN) if goal.case == GROWTH else {goal.case}) <= cases.keys()
    ]
    found = [(goal, round(reached(goal, cases), 3)) for goal in done]
    return [{**goal._asdict(), "reached": one, "met": one <= goal.ratio} for goal, one in found]


def processor() -> str:
    """Return the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def machine() -> dict[str, Any]:
    """Return where it was measured."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


# What a person sees.


def amount(case: Mapping[str, Any], value: float) -> str:
    """Return a time or a size with its unit."""
    if case["kind"] == "memory":
        return f"{value / 2**20:.2f} MiB"
    return f"{value * 1e3:.2f} ms" if value >= 1e-3 else f"{value * 1e6:.0f} us"


def table(case: Mapping[str, Any]) -> str:
    """Return a case's results as text."""
    head = ("", "median", "quartiles", "to urllib3", "quartiles", "to floor", "CPU to urllib3")
    rows = [head]
    for name, result in case["results"].items():
        wall, base, floor = result["wall"], *(result["against"][one] for one in BASELINES)
        own = base["wall"]
        rows.append(
            (
                PEERS[name].title,
                amount(case, wall["median"]),
                f"{amount(case, wall['low'])} .. {amount(case, wall['high'])}",
                f"{own['median']:.3f}",
                f"{own['low']:.3f} .. {own['high']:.3f}",
                f"{floor['wall']['median']:.3f}",
                f"{base['cpu']['median']:.3f}" if "cpu" in base else "",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    return "\n".join([f"{case['title']} ({case['rounds']} rounds)", *lines, ""])


def report(document: Mapping[str, Any]) -> str:
    """Return all results as text."""
    parts = [table(case) for case in document["cases"]]
    parts += [f"{name}: skipped, {reason}" for name, reason in document["skipped"].items()]
    if not document["small"]:  # else they mean nothing
        parts += [
            f"{'met   ' if goal['met'] else 'MISSED'} {goal['reached']:6.3f} "
            f"(goal {goal['ratio']:.2f} of {goal['against']}) {goal['work']}"
            for goal in document["goals"]
        ]
    return "\n".join(parts)


def made_small(case: Case) -> Case:
    """Return the same work in a few calls of few tokens."""
    calls = 16 if case.kind == "threads" else min(case.calls, 2)
    size = min(case.size, 50 if case.slow_too else 100)
    return case._replace(size=size, calls=calls, rounds=2)


def compare(
    cases: Sequence[Case], pythons: Mapping[str, Path], progress: Progress
) -> tuple[list[dict[str, Any]], dict[str, dict[str, str]]]:
    """Return the cases' results, and the versions that each peer uses."""
    with ExitStack() as stack:
        server = stack.enter_context(started(sys.executable, SERVER))
        host = f"http://127.0.0.1:{int(next_line(server))}"
        workers = {}
        for name, python in pythons.items():
            process = stack.enter_context(started(python, WORKER, name, host))
            workers[name] = Worker(process, python, name)
        results = [summary(case, measure(case, workers, progress)) for case in cases]
        return results, {name: worker.versions for name, worker in workers.items()}


def environments(
    names: Sequence[str], folder: Path | None, progress: Progress
) -> tuple[dict[str, Path], dict[str, str]]:
    """Return each peer's Python, and why some have none."""
    folder = own_folder() if folder is None else folder.resolve()
    pythons: dict[str, Path] = {}
    skipped: dict[str, str] = {}
    for name in names:
        progress.report(f"environment of {name}", passing=False)
        try:
            pythons[name] = python_of(folder, PEERS[name].environment)
        except Skipped as reason:
            skipped[name] = str(reason)
    return pythons, skipped


def chosen(passed: str | None, all_names: Sequence[str], always: Sequence[str] = ()) -> list[str]:
    """Return the names of a list with commas, in their usual order; all without one."""
    wanted = set(all_names if passed is None else passed.split(","))
    if unknown := wanted - set(all_names):
        raise SystemExit(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(all_names)}")
    return [name for name in all_names if name in wanted or name in always]


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    say = parser.add_argument
    say("--peers", help=f"some of {','.join(PEERS)}; 'here': without installing anything")
    say("--cases", help=f"some of {','.join(case.name for case in CASES)}")
    say("--small", action="store_true", help="a few calls of each case; judges no times")
    say("--json", type=Path, help="write the results to this file")
    say("--environments", type=Path, help="where the peers are installed (default: a temp folder)")
    return parser.parse_args()


def main() -> None:
    """Compare, and print or write what was found."""
    options, progress = arguments(), Progress()
    if options.peers == "here":
        pythons, skipped = dict.fromkeys(HERE_PEERS, Path(sys.executable)), dict[str, str]()
    else:
        names = chosen(options.peers, tuple(PEERS), always=BASELINES)
        pythons, skipped = environments(names, options.environments, progress)
    names = chosen(options.cases, [case.name for case in CASES])
    cases = [case for case in CASES if case.name in names]
    cases = [made_small(case) for case in cases] if options.small else cases
    results, versions = compare(cases, pythons, progress)
    progress.end()
    document = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "small": options.small,
        "machine": machine(),
        "peers": {name: PEERS[name].title for name in versions},
        "versions": versions,
        "skipped": skipped,
        "goals": goals({case["name"]: case for case in results}) if "stcloud" in versions else [],
        "cases": results,
    }
    sys.stdout.write(report(document) + "\n")
    if options.json is not None:
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
