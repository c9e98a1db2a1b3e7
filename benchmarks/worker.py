"""Does one peer's work and reports how long it took: a process for each peer, in its environment.

It reads commands from standard input and writes results to standard output, one JSON object in a
line each, and ends when its standard input does. compare.py starts it. Peers are imported by name,
since each environment has only its own.
"""

from __future__ import annotations

import gc
import json
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Sequence
from importlib import import_module, metadata
from typing import Any, NamedTuple

KEY = "0123abcd-made-up-key"
HEADERS = {"Accept": "application/json", "Authorization": f"apiKey {KEY}"}
THREADS = 16
PATH = "/users-web/api/v3/apps/{}/tokens"
DISTRIBUTIONS = (
    "certifi",
    "httpx",
    "openapi-client",
    "pydantic",
    "python-dateutil",
    "requests",
    "sematext-api-client-python",
    "stcloud",
    "urllib3",
)


class Peer(NamedTuple):
    """How a peer's user gets the tokens of an app."""

    fetch: Callable[[int], Any]
    """Return the response for an app; its client serves up to 16 threads."""
    tokens: Callable[[Any], Sequence[Any]]
    """Return the tokens of a response."""


def _listed(document: Any) -> Sequence[Any]:
    return document["data"]["tokens"]  # type: ignore[no-any-return]


def _typed(response: Any) -> Sequence[Any]:
    return response.data.tokens  # type: ignore[no-any-return]


def _manager(host: str) -> Peer:
    pool = import_module("urllib3").PoolManager(maxsize=THREADS, block=True)

    def fetch(app: int) -> Any:
        return json.loads(pool.request("GET", host + PATH.format(app), headers=HEADERS).data)

    return Peer(fetch, _listed)


def _floor(host: str) -> Peer:
    pool = import_module("urllib3").connectionpool.connection_from_url(
        host, maxsize=THREADS, block=True
    )

    def fetch(app: int) -> Any:
        return json.loads(pool.urlopen("GET", PATH.format(app), headers=HEADERS).data)

    return Peer(fetch, _listed)


def _requests(host: str) -> Peer:
    requests = import_module("requests")
    session = requests.Session()
    session.headers.update(HEADERS)
    session.mount(host, requests.adapters.HTTPAdapter(pool_maxsize=THREADS, pool_block=True))
    return Peer(lambda app: session.get(host + PATH.format(app)).json(), _listed)


def _httpx(host: str) -> Peer:
    httpx = import_module("httpx")
    limits = httpx.Limits(max_connections=THREADS, max_keepalive_connections=THREADS)
    client = httpx.Client(base_url=host, headers=HEADERS, limits=limits)
    return Peer(lambda app: client.get(PATH.format(app)).json(), _listed)


def _stcloud(host: str) -> Peer:  # both have the name: the SDK, and the client that it replaces
    stcloud = import_module("stcloud")
    configuration = stcloud.Configuration()
    configuration.host = host
    configuration.api_key["Authorization"] = KEY
    configuration.api_key_prefix["Authorization"] = "apiKey"
    configuration.connection_pool_maxsize = THREADS
    api = stcloud.TokensApiControllerApi(stcloud.ApiClient(configuration))
    return Peer(api.get_app_tokens1, _typed)


def _generated(host: str) -> Peer:
    client = import_module("openapi_client")
    configuration = client.Configuration(host=host, api_key={"apiKey": KEY})
    configuration.api_key_prefix["apiKey"] = "apiKey"
    configuration.connection_pool_maxsize = THREADS
    api = client.TokensApiControllerApi(client.ApiClient(configuration))
    return Peer(api.get_app_tokens1, _typed)


PEERS: dict[str, Callable[[str], Peer]] = {
    "urllib3": _manager,
    "floor": _floor,
    "stcloud": _stcloud,
    "requests": _requests,
    "httpx": _httpx,
    "sematext": _stcloud,
    "generated": _generated,
}


def _times(work: Callable[[], None]) -> dict[str, float]:
    gc.collect()  # what the work before has left is not this one's
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def calls(peer: Peer, size: int, count: int) -> dict[str, float]:
    """Make calls, one after the other, and return the time that all took."""

    def work() -> None:
        fetch = peer.fetch
        for _ in range(count):
            fetch(size)

    return _times(work)


def threads(peer: Peer, size: int, count: int) -> dict[str, float]:
    """Make calls on 16 threads that share a client, and return the time that all took."""
    each = count // THREADS
    failed: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(each):
                peer.fetch(size)
        except BaseException as error:
            failed.append(error)
            raise

    def work_all() -> None:
        started = [threading.Thread(target=work) for _ in range(THREADS)]
        for thread in started:
            thread.start()
        for thread in started:
            thread.join()

    times = _times(work_all)
    if failed:
        raise failed[0]
    return times


def memory(peer: Peer, size: int, count: int) -> dict[str, float]:
    """Return the bytes that responses hold, according to tracemalloc."""
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    held = [peer.fetch(size) for _ in range(count)]
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del held
    return {"wall": after - before}


KINDS = {"calls": calls, "threads": threads, "memory": memory}


def check(peer: Peer, size: int) -> None:
    """Make a call whose response is checked: who drops tokens is no peer."""
    found = len(peer.tokens(peer.fetch(size)))
    if found != size:
        raise ValueError(f"{found} tokens instead of {size}")


def versions() -> dict[str, str]:
    """Return the versions of what is installed here and takes part."""
    here = {one.metadata["Name"].lower().replace("_", "-"): one for one in metadata.distributions()}
    return {name: here[name].version for name in DISTRIBUTIONS if name in here}


def main() -> None:
    """Obey commands such as ``{"kind": "calls", "size": 3, "count": 100}``."""
    _, name, host = sys.argv
    peer = PEERS[name](host)
    _say({"versions": versions()})
    for line in sys.stdin:
        command = json.loads(line)
        check(peer, command["size"])
        _say(KINDS[command.pop("kind")](peer, **command))


def _say(result: object) -> None:
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
