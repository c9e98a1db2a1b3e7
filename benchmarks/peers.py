"""Whom compare.py compares, and the work that each of them does, in a process of its own.

Peers are imported by name, when their work begins: each process has only its own.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

KEY = "0123abcd-made-up-key"
HEADERS = {"Accept": "application/json", "Authorization": f"apiKey {KEY}"}
THREADS = 16
PATH = "/users-web/api/v3/apps/{}/tokens"
PATIENCE = 120.0  # seconds for one round of one peer
SEMATEXT = Path(sys.prefix, "sematext")
"""A folder of its own: its package is called stcloud, too."""

Fetch = Callable[[int], Any]
"""Returns the response with the tokens of an app; its client serves up to 16 threads."""


class Peer(NamedTuple):
    """Someone to compare with.

    ``module`` is what it imports, ``start`` what precedes a script's first call, and ``connect``
    returns how its user gets the tokens of an app from a host.
    """

    title: str
    module: str
    start: str
    connect: Callable[[str], Fetch]

    @property
    def is_installed(self) -> bool:
        """Whether it can be imported here."""
        return SEMATEXT.exists() if self is PEERS["sematext"] else bool(find_spec(self.module))


def _manager(host: str) -> Fetch:
    pool = import_module("urllib3").PoolManager(maxsize=THREADS, block=True)
    url = host + PATH
    return lambda app: json.loads(pool.request("GET", url.format(app), headers=HEADERS).data)


def _floor(host: str) -> Fetch:
    pool = import_module("urllib3").connection_from_url(host, maxsize=THREADS, block=True)
    return lambda app: json.loads(pool.urlopen("GET", PATH.format(app), headers=HEADERS).data)


def _requests(host: str) -> Fetch:
    requests = import_module("requests")
    session = requests.Session()
    session.headers.update(HEADERS)
    session.mount(host, requests.adapters.HTTPAdapter(pool_maxsize=THREADS, pool_block=True))
    return lambda app: session.get(host + PATH.format(app)).json()


def _httpx(host: str) -> Fetch:
    httpx = import_module("httpx")
    limits = httpx.Limits(max_connections=THREADS, max_keepalive_connections=THREADS)
    client = httpx.Client(base_url=host, headers=HEADERS, limits=limits)
    return lambda app: client.get(PATH.format(app)).json()


def _generated_style(module: str, scheme: str, host: str) -> Fetch:
    client = import_module(module)
    configuration = client.Configuration()
    configuration.host = host
    configuration.api_key[scheme] = KEY
    configuration.api_key_prefix[scheme] = "apiKey"
    configuration.connection_pool_maxsize = THREADS
    fetch: Fetch = client.TokensApiControllerApi(client.ApiClient(configuration)).get_app_tokens1
    return fetch


_stcloud = partial(_generated_style, "stcloud", "Authorization")
_generated = partial(_generated_style, "openapi_client", "apiKey")


def _no_head(host: str) -> Fetch:
    """The same with http.client's reader of status line and headers, which is less strict."""
    head = import_module("stcloud._transport.head").StrictResponse
    head.begin = head.__base__.begin
    return _stcloud(host)


def _no_columns(host: str) -> Fetch:
    """The same with each object of a list read on its own."""
    import_module("stcloud.models.model").Model.from_columns = classmethod(lambda *_: None)
    return _stcloud(host)


def _sematext(host: str) -> Fetch:
    sys.path.insert(0, str(SEMATEXT))
    return _stcloud(host)


_CLIENT = "import {0}; {0}.ApiClient({0}.Configuration())".format
_URLLIB3 = "import urllib3, certifi; urllib3."
_STCLOUD = _CLIENT("stcloud")
_FROM_SEMATEXT = f"import sys; sys.path.insert(0, {str(SEMATEXT)!r}); "
PEERS = {
    "urllib3": Peer("urllib3", "urllib3", f"{_URLLIB3}PoolManager()", _manager),
    "floor": Peer(
        "urllib3, one pool", "urllib3", f"{_URLLIB3}HTTPConnectionPool('localhost')", _floor
    ),
    "stcloud": Peer("stcloud", "stcloud", _STCLOUD, _stcloud),
    "no head": Peer("stcloud, http.client's headers", "stcloud", _STCLOUD, _no_head),
    "no columns": Peer("stcloud, without columns", "stcloud", _STCLOUD, _no_columns),
    "requests": Peer("requests", "requests", "import requests; requests.Session()", _requests),
    "httpx": Peer("httpx", "httpx", "import httpx; httpx.Client()", _httpx),
    "sematext": Peer("sematext-api-client-python", "stcloud", _FROM_SEMATEXT + _STCLOUD, _sematext),
    "generated": Peer("openapi-generator", "openapi_client", _CLIENT("openapi_client"), _generated),
}
VARIANTS = ("no head", "no columns")
"""Of stcloud, in the work that they change."""


@cache
def connected(name: str, host: str) -> Fetch:
    """Return this process's peer."""
    return PEERS[name].connect(host)


def _ready(name: str, host: str, size: int) -> Fetch:
    """Make a call whose response is checked: who drops tokens is no peer."""
    fetch = connected(name, host)
    response = fetch(size)
    tokens = response["data"]["tokens"] if isinstance(response, dict) else response.data.tokens
    if len(tokens) != size:
        raise ValueError(f"{len(tokens)} tokens instead of {size}")
    gc.collect()  # what the work before has left is not this one's
    return fetch


def _repeat(fetch: Fetch, size: int, count: int) -> None:
    for _ in range(count):
        fetch(size)


def calls(name: str, host: str, size: int, count: int) -> float:
    """Make calls, one after the other, and return the seconds that one took."""
    fetch = _ready(name, host, size)
    begin = time.perf_counter()
    _repeat(fetch, size, count)
    return (time.perf_counter() - begin) / count


def threads(name: str, host: str, size: int, count: int) -> float:
    """Make calls on 16 threads that share a client; return the seconds of all, for each call."""
    fetch = _ready(name, host, size)
    with ThreadPoolExecutor(THREADS) as pool:
        begin = time.perf_counter()
        list(pool.map(lambda _: _repeat(fetch, size, count // THREADS), range(THREADS)))
        return (time.perf_counter() - begin) / count


def memory(name: str, host: str, size: int, count: int) -> float:
    """Return the bytes that a response holds, according to tracemalloc."""
    fetch = _ready(name, host, size)
    tracemalloc.start()
    held = [fetch(size) for _ in range(count)]
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del held
    return after / count


def start(name: str, _host: str, _size: int, _count: int) -> float:
    """Return the seconds from the first import to the client, in a Python that has started."""
    begin = "from time import perf_counter; begin = perf_counter()"
    program = f"{begin}\n{PEERS[name].start}\nprint(perf_counter() - begin)"
    command = [sys.executable, "-P", "-c", program]  # -P: the checkout would hide what is installed
    return float(subprocess.check_output(command, timeout=PATIENCE))  # noqa: S603  # no input from outside
