"""Does one peer's work and reports how long it took; compare.py starts one for each peer.

It reads commands such as ``{"kind": "calls", "size": 3, "count": 100}``, a line each, and prints
results so. Peers are imported by name: each environment has only its own.
"""

from __future__ import annotations

import gc
import json
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module, metadata
from typing import Any, NamedTuple

KEY = "0123abcd-made-up-key"
HEADERS = {"Accept": "application/json", "Authorization": f"apiKey {KEY}"}
THREADS = 16
PATH = "/users-web/api/v3/apps/{}/tokens"
DISTRIBUTIONS = {
    "httpx",
    "openapi-client",
    "requests",
    "sematext-api-client-python",
    "stcloud",
    "urllib3",
}


class Peer(NamedTuple):
    """How a peer's user gets the tokens of an app."""

    fetch: Callable[[int], Any]
    """Return the response for an app; its client serves up to 16 threads."""
    tokens: Callable[[Any], Sequence[Any]] = lambda document: document["data"]["tokens"]
    """Return the tokens of a response."""


def _typed(response: Any) -> Sequence[Any]:
    return response.data.tokens  # type: ignore[no-any-return]


def _manager(host: str) -> Peer:
    pool = import_module("urllib3").PoolManager(maxsize=THREADS, block=True)
    return Peer(
        lambda app: json.loads(pool.request("GET", host + PATH.format(app), headers=HEADERS).data)
    )


def _floor(host: str) -> Peer:
    pool = import_module("urllib3").connection_from_url(host, maxsize=THREADS, block=True)
    return Peer(lambda app: json.loads(pool.urlopen("GET", PATH.format(app), headers=HEADERS).data))


def _requests(host: str) -> Peer:
    requests = import_module("requests")
    session = requests.Session()
    session.headers.update(HEADERS)
    session.mount(host, requests.adapters.HTTPAdapter(pool_maxsize=THREADS, pool_block=True))
    return Peer(lambda app: session.get(host + PATH.format(app)).json())


def _httpx(host: str) -> Peer:
    httpx = import_module("httpx")
    limits = httpx.Limits(max_connections=THREADS, max_keepalive_connections=THREADS)
    client = httpx.Client(base_url=host, headers=HEADERS, limits=limits)
    return Peer(lambda app: client.get(PATH.format(app)).json())


def _stcloud(host: str) -> Peer:  # both have the name: this client, and the one in use before
    stcloud = import_module("stcloud")
    configuration = stcloud.Configuration()
    configuration.host = host
    configuration.api_key["Authorization"] = KEY
    configuration.api_key_prefix["Authorization"] = "apiKey"
    configuration.connection_pool_maxsize = THREADS
    api = stcloud.TokensApiControllerApi(stcloud.ApiClient(configuration))
    return Peer(api.get_app_tokens1, _typed)


def _no_head(host: str) -> Peer:
    """The same with http.client's reader of status line and headers, which is less strict."""
    head = import_module("stcloud._transport.head").StrictResponse
    head.begin = head.__base__.begin
    return _stcloud(host)


def _no_columns(host: str) -> Peer:
    """The same with each object of a list read on its own."""
    import_module("stcloud.models.model").Model.from_columns = classmethod(lambda *_: None)
    return _stcloud(host)


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
    "no head": _no_head,
    "no columns": _no_columns,
    "requests": _requests,
    "httpx": _httpx,
    "sematext": _stcloud,
    "generated": _generated,
}


def _times(work: Callable[[], object]) -> dict[str, float]:
    gc.collect()  # what the work before has left is not this one's
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def _repeat(peer: Peer, size: int, count: int) -> None:
    fetch = peer.fetch
    for _ in range(count):
        fetch(size)


def calls(peer: Peer, size: int, count: int) -> dict[str, float]:
    """Make calls, one after the other, and return the time that all took."""
    return _times(lambda: _repeat(peer, size, count))


def threads(peer: Peer, size: int, count: int) -> dict[str, float]:
    """Make calls on 16 threads that share a client, and return the time that all took."""
    with ThreadPoolExecutor(THREADS) as pool:

        def work() -> None:
            jobs = [pool.submit(_repeat, peer, size, count // THREADS) for _ in range(THREADS)]
            for job in jobs:
                job.result()

        return _times(work)


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


def _say(result: object) -> None:
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Report the versions of what takes part, then obey."""
    _, name, host = sys.argv
    peer = PEERS[name](host)
    found = metadata.distributions()
    names = {one.metadata["Name"].replace("_", "-"): one.version for one in found}
    _say({name: version for name, version in names.items() if name in DISTRIBUTIONS})
    for line in sys.stdin:
        command = json.loads(line)
        check(peer, command["size"])
        _say(KINDS[command.pop("kind")](peer, **command))


if __name__ == "__main__":
    main()
