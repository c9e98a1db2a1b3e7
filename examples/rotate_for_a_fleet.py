"""A fleet ships lines while its token is replaced, and the service fails at random.

The agents read their token from one of two files, again every so often, and a rotation writes both.
At random a publication fails between the first file and the second: one half of the fleet has the
new token, and the other the old one, until the next call publishes the same token again.
The receiver of their lines takes one only if its token is enabled at that moment. A replaced token
stays enabled for the overlap, which is longer than the agents take to reload: no line is refused,
as long as the machine keeps up. With --overlap 0 some are. The exit code is 0 if lines were
shipped, and none was refused.

All of this runs on a local sandbox.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import urllib3

import stcloud
from stcloud.token_manager import Event

try:
    from stcloud.sandbox import Fault, Sandbox
except ModuleNotFoundError as error:
    sys.exit(str(error))  # it says what to install

NAME = "shipper"
PAUSE = 0.1  # seconds between an agent's lines, and between the scheduler's calls
FAULTS_PER_ROTATION = 5
FAILING_PUBLICATIONS = 0.5  # the share of publications that fail half-way
STATUSES = [Fault.status(429), Fault.status(503), Fault.status(500, committed=True)]
FAULTS = [*STATUSES, Fault.reset(), Fault.lost_response(), Fault.hang_up(), Fault.cut_body()]
OPERATIONS = ["get_app_tokens1", "create_app_token", "update_app_token", "delete_app_token1"]

Tokens = Callable[[], list[stcloud.TokenDto]]
Result = TypeVar("Result")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = partial(parser.add_argument, metavar="N", help="%(default)s by default")
    add("--agents", type=int, default=20)
    add("--rotations", type=int, default=3)
    add("--overlap", type=float, default=1, help="seconds; %(default)s by default")
    add("--reload", type=float, default=0.4, help="seconds at most; %(default)s by default")
    add("--seed", type=int, default=time.time_ns() % 10_000, help="of the faults; by chance")
    options = parser.parse_args()
    if options.agents < 1 or options.rotations < 0:
        parser.error("--agents must be at least 1, and --rotations not negative")
    if not (0 <= options.overlap <= 60 and 0 <= options.reload <= 600):
        parser.error("--overlap must be from 0 to 60, and --reload from 0 to 600")
    try:
        try:
            status = run(options)
        except KeyboardInterrupt:
            print("\nStopped.")  # below what the terminal shows of Ctrl-C
            status = 130
        sys.stdout.flush()
    except BrokenPipeError:  # nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def run(options: argparse.Namespace) -> int:
    """Let the fleet ship during the rotations, and return the exit code."""
    print(f"Faults are chosen with --seed {options.seed}", flush=True)
    chance = random.Random(options.seed)  # noqa: S311  # chooses faults, guards no secret
    overlap = timedelta(seconds=options.overlap)
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder, "database")
        files = [Path(folder, "token-0"), Path(folder, "token-1")]
        with (
            # Two servers have the same tokens: only the manager's has faults.
            Sandbox(database=database) as service,
            Sandbox(database=database) as undisturbed,
            connected(service, retries=stcloud.RetryPolicy(backoff=0.05)) as api,
            connected(undisturbed, connection_pool_maxsize=options.agents + 1) as reader,
        ):
            tokens = partial(listed, reader, undisturbed.app_id)
            agents = [
                Agent(files[number % 2], options.reload * (1 - number / options.agents / 2))
                for number in range(options.agents)
            ]
            view = View(agents, tokens)
            # A real one would keep a disabled token for a day or more.
            manager = stcloud.TokenManager(
                api, service.app_id, keep_disabled=timedelta(0), observer=view.observe
            )
            write(manager.ensure(NAME), files)
            publish = partial(write, files=files, chance=chance)
            with receiving(tokens) as url, shipping(agents, url):
                for _ in range(options.rotations):
                    for _ in range(FAULTS_PER_ROTATION):
                        service.fail_next(chance.choice(OPERATIONS), chance.choice(FAULTS))
                    rotate(manager, publish, overlap, view)
            view.refresh()  # with the lines that the fleet shipped last
            met = FAULTS_PER_ROTATION * options.rotations - service.pending_faults
    shipped, refused = view.counts
    print(f"{met} faults met, {shipped} lines shipped, {refused} refused")
    return 0 if shipped and not refused else 1


def rotate(
    manager: stcloud.TokenManager,
    publish: Callable[[stcloud.TokenDto], None],
    overlap: timedelta,
    view: View,
) -> None:
    """Replace the token, and go on until its predecessor is deleted."""
    again(view, partial(manager.rotate, NAME, publish, overlap=overlap))
    while again(view, manager.finish_rotations):
        view.wait()


def again(view: View, call: Callable[[], Result]) -> Result:
    """Call until it succeeds, as a scheduler does: the manager goes on where it was cut off."""
    while True:
        try:
            return call()
        except (stcloud.ApiException, PartlyPublishedError) as error:
            view.report(f"{type(error).__name__}, so the call is made again")
            view.wait()


class PartlyPublishedError(Exception):
    """Some of the files have the new token, and some do not."""


def write(token: stcloud.TokenDto, files: list[Path], chance: random.Random | None = None) -> None:
    """Publish a token: a reader of a file gets the old or the new one, complete."""
    for number, path in enumerate(files):
        if number and chance and chance.random() < FAILING_PUBLICATIONS:
            raise PartlyPublishedError
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:  # mode 0600
            file.write(token.token or "")
        Path(file.name).replace(path)


def listed(api: stcloud.TokensApiControllerApi, app_id: int) -> list[stcloud.TokenDto]:
    return api.get_app_tokens1(app_id).tokens


@contextmanager
def connected(
    sandbox: Sandbox, **settings: Any
) -> Generator[stcloud.TokensApiControllerApi, None, None]:
    configuration = stcloud.Configuration(  # whatever proxy the environment names
        host=sandbox.url, api_key=sandbox.api_key, trust_env=False, **settings
    )
    with stcloud.ApiClient(configuration) as client:
        yield stcloud.TokensApiControllerApi(client)


class Agent:
    """Ships lines with the token that it has read last."""

    def __init__(self, token_file: Path, reload: float) -> None:
        self.token_file = token_file
        self.reload = reload
        self.token = ""
        self.reload_at = 0.0
        self.shipped = 0
        self.refused = 0

    def load(self) -> None:
        self.token = self.token_file.read_text(encoding="utf-8")
        self.reload_at = time.monotonic() + self.reload

    def run(self, http: urllib3.PoolManager, url: str, stop: threading.Event) -> None:
        """Ship until it is to stop, and then once more, as an agent does that is shut down."""
        stopping = False
        while not stopping:
            stopping = stop.wait(PAUSE)
            if time.monotonic() >= self.reload_at:
                self.load()
            headers = {"Authorization": f"Bearer {self.token}"}
            response = http.request("POST", url, body="a line", headers=headers, retries=False)
            self.shipped += response.status == 200
            self.refused += response.status != 200


@contextmanager
def shipping(agents: list[Agent], url: str) -> Generator[None, None, None]:
    """Let each agent run in a thread; afterwards raise what one of them has raised."""
    stop = threading.Event()
    for agent in agents:
        agent.load()
    with urllib3.PoolManager(maxsize=len(agents)) as http:
        with ThreadPoolExecutor(len(agents)) as threads:
            running = [threads.submit(agent.run, http, url, stop) for agent in agents]
            try:
                yield
            finally:
                stop.set()
        for each in running:
            each.result()


class Receiver(BaseHTTPRequestHandler):
    """Asks for each line whether its token may write now."""

    protocol_version = "HTTP/1.1"

    def __init__(self, tokens: Tokens, *arguments: Any) -> None:
        self.tokens = tokens
        super().__init__(*arguments)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        value = self.headers["Authorization"].removeprefix("Bearer ")
        writing = [each.token for each in self.tokens() if each.enabled and each.writeable]
        self.send_response_only(200 if value in writing else 403)
        self.send_header("Content-Length", "0")
        self.end_headers()


class Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing it waits for them
    request_queue_size = 128


@contextmanager
def receiving(tokens: Tokens) -> Generator[str, None, None]:
    """Run the receiver, and yield its address."""
    with Server(("127.0.0.1", 0), partial(Receiver, tokens)) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.05])
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class View:
    """What a person sees: on a terminal a picture that is redrawn, else a line per step."""

    def __init__(self, agents: list[Agent], tokens: Tokens) -> None:
        self.agents = agents
        self.tokens = tokens
        self.start = time.monotonic()
        self.last: deque[str] = deque(maxlen=6)
        self.height = 0

    @property
    def counts(self) -> tuple[int, int]:
        return sum(each.shipped for each in self.agents), sum(each.refused for each in self.agents)

    def observe(self, event: Event) -> None:
        """Show a step of the manager's."""
        sent = f" at attempt {event.attempts}" if event.attempts > 1 else ""
        token = f"token {event.token_id} {event.fingerprint}" if event.token_id else "a token"
        self.report(f"{event.operation}: {event.step} {token}: {event.outcome}{sent}")

    def report(self, step: str) -> None:
        self.last.append(f"{time.monotonic() - self.start:5.1f} s  {step}")
        if not sys.stdout.isatty():
            print(self.last[-1], flush=True)
        self.refresh()

    def wait(self) -> None:
        self.refresh()
        time.sleep(PAUSE)

    def refresh(self) -> None:
        if sys.stdout.isatty():
            self.draw()

    def draw(self) -> None:
        shipped, refused = self.counts
        users = Counter(agent.token for agent in self.agents)
        lines = [f"{shipped} lines shipped, {refused} refused", "", "Agents  Token"]
        for token in self.tokens():
            value = token.token or ""
            state = "enabled " if token.enabled else "disabled"
            mark = sha256(value.encode()).hexdigest()[:12]
            lines.append(f"{users.pop(value, 0):6}  {token.id} {mark} {state} {token.name}")
        lines += [f"{users.total():6}  none, or one that is gone", "", *self.last]
        width = shutil.get_terminal_size().columns - 1  # a longer line would take two
        erase = f"\x1b[{self.height}F\x1b[J" if self.height else ""
        print(erase + "\n".join(line[:width] for line in lines), flush=True)
        self.height = len(lines)


def interrupt(*_: object) -> None:
    """End by the first Ctrl-C; another one would cut off the clean-up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # it may be ignored
        signal.signal(signal.SIGINT, interrupt)
    sys.exit(main())
