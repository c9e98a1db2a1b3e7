"""Calls on threads of a client, with a result to wait for: the option ``async_req``."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Generic, NoReturn, TypeVar

R = TypeVar("R")


class AsyncResult(Future[R], Generic[R]):
    """The result of a call that runs in the background.

    It is a ``concurrent.futures.Future``, so that ``asyncio.wrap_future`` and
    ``concurrent.futures.wait`` take it. The other methods are those of
    ``multiprocessing.pool.AsyncResult``, which generated clients return.
    """

    def get(self, timeout: float | None = None) -> R:
        """Return what the call returns, or raise what it raises.

        Args:
            timeout: seconds to wait; None waits until the call ends.

        Raises:
            multiprocessing.TimeoutError: the call has not ended in time; it goes on.
        """
        self.wait(timeout)
        if not self.done():
            _raise_timeout()
        return self.result()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the call ends, or for so many seconds."""
        with suppress(TimeoutError, CancelledError):
            self.exception(timeout)

    def ready(self) -> bool:
        """Return whether the call has ended."""
        return self.done()

    def successful(self) -> bool:
        """Return whether the call ended without an exception.

        Raises:
            ValueError: the call has not ended.
        """
        if not self.done():
            raise ValueError("the call has not ended: wait() for it, or ask ready()")
        return not self.cancelled() and self.exception() is None


def submit(executor: ThreadPoolExecutor, call: Callable[[], R]) -> AsyncResult[R]:
    """Run a call on a thread of the executor."""
    result: AsyncResult[R] = AsyncResult()
    try:
        executor.submit(_run, result, call)
    except RuntimeError:  # no thread can be started, but another one may take the call
        if result.cancel():
            raise
    return result


def _run(result: AsyncResult[R], call: Callable[[], R]) -> None:
    if not result.set_running_or_notify_cancel():
        return
    try:
        value = call()
    except BaseException as error:  # noqa: BLE001  # raised where the result is asked for
        result.set_exception(error)
        del result  # else this frame, which the exception holds, would hold the exception
    else:
        result.set_result(value)


def _raise_timeout() -> NoReturn:
    from multiprocessing import TimeoutError as GetTimeoutError  # rarely needed, slow to import

    raise GetTimeoutError("the call has not ended yet")
