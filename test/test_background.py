"""Calls in the background: the result, its threads, and what a client is without them."""

import asyncio
import copy
import inspect
import multiprocessing
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NoReturn
from unittest.mock import create_autospec

import pytest

import stcloud
from stcloud.sandbox import Fault, Sandbox

Connect = Callable[..., stcloud.TokensApiControllerApi]


def test_result_is_that_of_the_call(api: stcloud.TokensApiControllerApi) -> None:
    """With the methods that scripts use, and those of a future."""
    result = api.get_app_tokens1(789, async_req=True)
    result.wait(20)
    assert (result.ready(), result.successful()) == (True, True)
    assert result.get(1) is result.result(1)
    assert result.get().success is True


def test_result_raises_what_the_call_raises(
    sandbox: Sandbox, api: stcloud.TokensApiControllerApi
) -> None:
    """Each time that it is asked for."""
    sandbox.fail_next(None, Fault.status(404))
    result = api.get_app_tokens1(789, async_req=True)
    for _ in range(2):
        with pytest.raises(stcloud.NotFoundException):
            result.get(20)
    assert (result.ready(), result.successful()) == (True, False)


def test_result_that_is_not_there_yet(sandbox: Sandbox, connect: Connect) -> None:
    """The wait ends with multiprocessing's TimeoutError; the call goes on."""
    sandbox.fail_next(None, Fault.hang(30))
    result = connect(retries=0).get_app_tokens1(789, async_req=True, _request_timeout=0.5)
    assert result.ready() is False
    with pytest.raises(ValueError, match="has not ended"):
        result.successful()
    with pytest.raises(multiprocessing.TimeoutError):
        result.get(0.01)
    with pytest.raises(stcloud.TimeoutException):
        result.get(20)


def test_result_can_be_awaited(api: stcloud.TokensApiControllerApi) -> None:
    """A coroutine takes it as any future."""

    async def call() -> stcloud.TokensResponse:
        return await asyncio.wrap_future(api.get_app_tokens1(789, async_req=True))

    assert asyncio.run(call()).success is True


def test_looking_at_a_client_starts_nothing(api: stcloud.TokensApiControllerApi) -> None:
    """Debuggers and mocks read every attribute."""
    threads = set(threading.enumerate())
    inspect.getmembers(api.api_client)
    create_autospec(api.api_client)
    assert set(threading.enumerate()) <= threads


def test_threads_start_when_they_are_needed(
    sandbox: Sandbox, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as calls are in flight at once, and no more than there are connections."""
    before = threading.active_count()
    started: list[str] = []
    start = threading.Thread.start

    def noted(thread: threading.Thread) -> None:
        started.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", noted)
    api = connect(connection_pool_maxsize=3)
    api.get_app_tokens1(sandbox.app_id, async_req=True).get(20)
    assert sum(name.startswith("stcloud") for name in started) == 1
    results = [api.get_app_tokens1(sandbox.app_id, async_req=True) for _ in range(20)]
    assert all(result.get(20).success for result in results)
    assert sum(name.startswith("stcloud") for name in started) <= 3
    assert threading.active_count() >= before


def test_lack_of_threads_is_named(
    connect: Connect, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python's error passes as it is: nothing is ending."""

    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    api = connect()
    monkeypatch.setattr(threading.Thread, "start", refused)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        api.get_app_tokens1(sandbox.app_id, async_req=True)


@pytest.mark.parametrize("take", [copy.copy, copy.deepcopy, pickle.dumps])
def test_client_cannot_be_copied(
    take: Callable[[object], object], api: stcloud.TokensApiControllerApi
) -> None:
    """The error says what to do instead."""
    with pytest.raises(TypeError, match="make another one of its configuration"):
        take(api.api_client)


WITHOUT_SEMAPHORES = """
import sys
import _multiprocessing
class SemLock:
    def __init__(self, *_):
        raise OSError("no semaphores here")
_multiprocessing.SemLock = SemLock
import stcloud
api = stcloud.TokensApiControllerApi(
    stcloud.ApiClient(stcloud.Configuration(host=sys.argv[1], api_key=sys.argv[2]))
)
print(api.get_app_tokens1(789, async_req=True).get(20).success)
"""


def test_no_semaphores_are_needed(sandbox: Sandbox) -> None:
    """There are none where there is no /dev/shm, as in some serverless systems."""
    command = [sys.executable, "-c", WITHOUT_SEMAPHORES, sandbox.url, sandbox.api_key]
    assert subprocess.check_output(command, text=True, timeout=50) == "True\n"


@pytest.mark.parametrize("is_taken", [False, True])
def test_call_is_not_made_behind_an_error(
    api: stcloud.TokensApiControllerApi, sandbox: Sandbox, is_taken: bool
) -> None:
    """An executor queues a call before it starts a thread: another one may take it."""
    queued: list[Callable[[], object]] = []

    class Executor(ThreadPoolExecutor):
        def submit(self, function: Any, /, *arguments: Any, **named: Any) -> NoReturn:
            queued.append(partial(function, *arguments, **named))
            if is_taken:
                queued[0]()
            raise RuntimeError("can't start new thread")

    api.api_client._executor = Executor(1)
    if is_taken:
        assert api.create_app_token({}, 789, async_req=True).get().token.id == 1001
    else:
        with pytest.raises(RuntimeError, match="can't start new thread"):
            api.create_app_token({}, 789, async_req=True)
        queued[0]()  # the other thread is late
        assert sandbox.tokens() == []
