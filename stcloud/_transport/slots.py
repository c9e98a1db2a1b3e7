"""The queue of a pool's connections: the longest waiter gets the next one."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from queue import Empty
from typing import Protocol


class Connection(Protocol):
    """What a queue keeps: a connection that knows since when it is idle."""

    idle_since: float

    def close(self) -> None:
        """Close the socket."""


class _Waiter:
    """A thread that waits for a slot."""

    def __init__(self) -> None:
        self._is_claimed = threading.Lock()
        self._is_served = threading.Lock()
        self._is_served.acquire()
        self.connection: Connection | None = None

    def claim(self) -> bool:
        """Decide between serving it and giving up; return True to the first who asks."""
        return self._is_claimed.acquire(blocking=False)

    def serve(self, connection: Connection | None) -> None:
        """Hand it a slot, and end its wait."""
        self.connection = connection
        self._is_served.release()

    def wait(self, seconds: float) -> bool:
        """Return whether a slot came in time."""
        return self._is_served.acquire(timeout=seconds)


class ConnectionQueue:
    """The slots of a pool, each with an idle connection or None; urllib3 gets and puts them.

    The standard library's queues hold a lock while they work. A signal handler or a finalizer
    that makes a call on the same thread waits for that lock without end, and a fork copies it
    locked. This one has no lock: deques change in one step. Waiting threads have a lock each.
    Idle connections come back last in, first out, so that few of them stay open.
    """

    def __init__(self, maxsize: int) -> None:
        self._maxsize = maxsize
        self._idle: deque[Connection | None] = deque([None] * maxsize)
        self._waiters: deque[_Waiter] = deque()
        # At exit urllib3's _close_pool_connections empties only the queue that a pool made
        # itself. This one stays as it is until then, so that atexit functions can make calls.
        weakref.finalize(self, _close_idle, self._idle)

    def get(self, block: bool = True, timeout: float | None = None) -> Connection | None:
        """Return a slot; wait for it in the order of arrival.

        Raises:
            queue.Empty: there was none in time.
        """
        if not self._waiters:  # else a slot on its way to one of them would be taken
            try:
                return self._idle.pop()
            except IndexError:
                pass
        if not block:
            raise Empty
        waiter = _Waiter()
        self._waiters.append(waiter)
        try:
            self._serve_waiters()
            if waiter.wait(threading.TIMEOUT_MAX if timeout is None else timeout):
                return waiter.connection
        except BaseException:  # of a signal handler, for example
            self._give_up(waiter)
            raise
        if waiter.claim():
            raise Empty
        waiter.wait(threading.TIMEOUT_MAX)  # it is being served
        return waiter.connection

    def put(self, connection: Connection | None, block: bool = True) -> None:  # noqa: ARG002  # as a queue's
        """Give a slot back, unless all are here.

        When a signal handler raises while a slot is taken or given back, urllib3 gives one back
        that it did not take, or gives it back twice.
        """
        if len(self._idle) >= self._maxsize:
            if connection is not None:
                connection.close()
            return
        self._idle.append(connection)
        self._serve_waiters()

    def qsize(self) -> int:
        """Return how many slots are here; urllib3 logs it when it discards a connection."""
        return len(self._idle)

    def close_idle(self, *, before: float | None = None) -> None:
        """Close all connections, or those that nobody has used since then; their slots stay."""
        _close_idle(self._idle, before)
        self._serve_waiters()

    def _serve_waiters(self) -> None:
        """Hand idle slots to waiters, the longest waiter first.

        A slot is put back, and a waiter is queued, before this is called. So whichever comes
        second finds the other, and no wait is forgotten.
        """
        while self._idle and self._waiters:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread was quicker
                continue
            try:
                waiter = self._waiters.popleft()
                while not waiter.claim():
                    waiter = self._waiters.popleft()
            except IndexError:
                self._idle.append(connection)
            else:
                waiter.serve(connection)

    def _give_up(self, waiter: _Waiter) -> None:
        if not waiter.claim():
            waiter.wait(threading.TIMEOUT_MAX)
            self.put(waiter.connection)


def _close_idle(idle: deque[Connection | None], before: float | None = None) -> None:
    slots: list[Connection | None] = []
    while idle:
        try:
            slots.append(idle.popleft())  # so that nobody takes what is closed here
        except IndexError:
            break
    for connection in slots:
        if connection is not None and (before is None or connection.idle_since <= before):
            connection.close()
    idle.extend(slots)
