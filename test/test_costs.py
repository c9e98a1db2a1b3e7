"""What a call and an import cost, counted: guards the design where time cannot be judged."""

import gc
import json
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import stcloud
from stcloud.models import TokensResponse
from stcloud.operation import Operation
from stcloud.sandbox import Fault, Sandbox

SOURCE = str(Path(stcloud.__file__).parent)
SANDBOX = str(Path(SOURCE, "sandbox"))

LIST = Operation("get_app_tokens1", "GET", "/users-web/api/v3/apps/{appId}/tokens", TokensResponse)

MOST_CALLS = 150
"""More than the some 120 that are needed: only what multiplies the work exceeds it."""

WANTED_MODULES: set[str] = set()
"""What `import stcloud` may import besides its own modules and what its requirements need."""


def own_calls(work: Callable[[], object]) -> int:
    """Return the number of calls of the client's functions that some work makes on this thread."""
    number = 0

    def note(frame: FrameType, event: str, _: object) -> None:
        nonlocal number
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(SOURCE) and not file.startswith(SANDBOX):
            number += 1

    gc.collect()  # or what other tests left would be finalized amid the work
    gc.disable()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
        gc.enable()
    return number


def test_call_needs_few_functions(api: stcloud.TokensApiControllerApi, sandbox: Any) -> None:
    """A list of 3 tokens, over an open connection, takes not many more steps than it did."""
    for number in range(3):
        api.create_app_token({"name": f"token {number}"}, sandbox.app_id)
    api.get_app_tokens1(sandbox.app_id)
    assert 10 < own_calls(lambda: api.get_app_tokens1(sandbox.app_id)) <= MOST_CALLS


def test_client_starts_no_thread(api: stcloud.TokensApiControllerApi, sandbox: Any) -> None:
    """Threads come with `async_req` and not before."""
    before = threading.active_count()
    with stcloud.ApiClient(api.api_client.configuration) as client:
        stcloud.TokensApiControllerApi(client).get_app_tokens1(sandbox.app_id)
        assert threading.active_count() <= before + 1  # the sandbox has one for each connection


def test_failures_are_forgotten(
    connect: Callable[..., stcloud.TokensApiControllerApi],
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A failed attempt's exception, with its body, ends before the wait, a call's with its use."""
    seen: list[int] = []

    def count(_: object = None) -> None:
        seen.append(sum(issubclass(type(each), stcloud.ApiException) for each in gc.get_objects()))

    client = connect().api_client
    gc.collect()  # or what other tests left would be counted, too
    gc.disable()
    try:
        monkeypatch.setattr("stcloud.api_client.time.sleep", count)
        sandbox.fail_next(None, Fault.status(503), times=20)
        with pytest.raises(stcloud.ServiceException):
            client.call_operation(LIST, {}, app_id=sandbox.app_id)
        count()
    finally:
        gc.enable()
    assert set(seen) == {0}
    assert len(seen) > 2  # after several attempts, and after the call


def response(count: int) -> str:
    """Return a response with so many tokens that have all fields, no two of them alike."""
    tokens = [
        {
            "createdAt": f"2026-03-01T08:{number % 60:02}:12.{number % 1000:03}Z",
            "enabled": True,
            "id": 100_000 + number,
            "name": f"token {number}",
            "readable": number % 2 == 0,
            "token": f"{number:08x}-5f2a-4c11-9d3e-{number:012x}",
            "writeable": False,
        }
        for number in range(count)
    ]
    return json.dumps({"data": {"tokens": tokens}, "success": True})


def held(make: Callable[[str], object], text: str) -> int:
    """Return the bytes that a result holds."""
    make(text)  # what is made once only is not held by the result
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    result = make(text)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert result is not None
    return after - before


def models(text: str) -> TokensResponse:
    return TokensResponse.from_json(json.loads(text))


def test_tokens_hold_less_memory_than_dicts() -> None:
    """10,000 tokens take at most three quarters of the memory of the dicts they are read from."""
    text = response(10_000)
    assert held(models, text) <= 0.75 * held(json.loads, text)


def test_memory_grows_with_the_list_only() -> None:
    """Twice the tokens take twice the memory."""
    assert held(models, response(10_000)) <= 2.2 * held(models, response(5_000))


def test_calls_grow_with_the_list_only() -> None:
    """Ten times the tokens take at most ten times the calls of our functions."""

    def count(size: int) -> int:
        text = response(size)
        return own_calls(lambda: models(text))

    assert count(1_000) <= 10 * count(100)


def imported(code: str) -> set[str]:
    """Return the modules that a fresh interpreter has imported after some code."""
    root = str(Path(SOURCE).parent)
    program = f"import sys; sys.path.insert(0, {root!r}); {code}; print(*sys.modules)"
    command = [sys.executable, "-c", program]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_import_brings_few_modules() -> None:
    """`import stcloud` imports little that its requirements do not."""
    more = imported("import stcloud") - imported("import urllib3, certifi, dataclasses")
    assert {name for name in more if name.split(".")[0] != "stcloud"} <= WANTED_MODULES


def test_import_leaves_what_few_need() -> None:
    """The sandbox, the manager, odd dates, threads and so on come to those who use them."""
    new = imported("import stcloud; stcloud.ApiClient(stcloud.Configuration())")
    new -= imported("import urllib3, certifi")
    rarely_needed = {
        "concurrent.futures",
        "dateutil",
        "multiprocessing",
        "pprint",
        "six",
        "stcloud.sandbox",
        "stcloud.token_manager",
        "urllib.request",
    }
    assert new.isdisjoint(rarely_needed)


def test_late_names_are_there_for_all() -> None:
    """Every public name is found, and listed, however late it is imported; no other name is."""
    assert set(stcloud.__all__) <= set(dir(stcloud))
    assert all(hasattr(stcloud, name) for name in stcloud.__all__)
    with pytest.raises(AttributeError, match="'stcloud' has no attribute 'TokenManger'"):
        _ = getattr(stcloud, "TokenManger")  # noqa: B009  # a slip that type checkers would find


@pytest.mark.parametrize("name", ["TokenManager", "token_manager.Event", "AsyncResult"])
def test_what_is_left_comes_when_it_is_named(name: str) -> None:
    """After nothing but `import stcloud`, as the pages write it."""
    assert imported(f"import stcloud; stcloud.{name}") > imported("import stcloud")
