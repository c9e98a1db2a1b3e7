"""Store, app and server put together."""

from __future__ import annotations

import os
import ssl
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

from stcloud.sandbox.app import App, ReceivedRequest
from stcloud.sandbox.faults import Fault
from stcloud.sandbox.server import Server
from stcloud.sandbox.store import MAX_ID, Store


class Sandbox:
    """A local Sematext-Cloud-like service for app tokens, with one app to begin with.

    Use it in a ``with`` statement, or call ``start()`` and ``close()``.

    What the public contract leaves open is chosen here: a token without a name has the name null,
    ``readable`` and ``writeable`` are true by default, a new token is enabled, and a null in an
    update changes nothing. Deleting returns 200. The first token of a new database has the id 1001.
    It differs from the app's id, so that arguments in the wrong order are noticed.

    Args:
        api_key: The key that requests must carry; a random one by default.
        app_id: The app that exists from the start.
        database: A file that keeps the tokens; by default they live in memory until ``close()``.
        host: The address to listen on.
        port: The port to listen on; 0 takes a free one.
        ssl_context: Serve HTTPS with this context, which holds the certificate.
        clock: Returns the time at which tokens are created, with a time zone; by default now.

    Attributes:
        api_key: The key that requests must carry.
        app_id: The app that exists from the start.
    """

    def __init__(  # noqa: PLR0913  # what can be chosen, by keyword
        self,
        *,
        api_key: str | None = None,
        app_id: int = 789,
        database: str | os.PathLike[str] = ":memory:",
        host: str = "127.0.0.1",
        port: int = 0,
        ssl_context: ssl.SSLContext | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self.api_key: str = api_key or str(uuid.uuid4())
        self.app_id: int = _checked(app_id)
        self._database = database
        self._host = host
        self._port = port
        self._ssl_context = ssl_context
        self.clock = self._first_clock = clock or _now
        self._parts: tuple[Store, Server, App] | None = None

    def start(self) -> None:
        """Open the database and listen.

        Raises:
            sqlite3.Error: The database cannot be used.
            OSError: The address cannot be listened on.
            RuntimeError: The sandbox is running already.
        """
        if self._parts:
            raise RuntimeError("the sandbox is running already")
        store = Store(self._database, lambda: self.clock())  # noqa: PLW0108  # the one that is set then
        try:
            store.add_app(self.app_id)
            app = App(store, self.api_key)
            self._parts = store, Server(app, self._host, self._port, self._ssl_context), app
        except BaseException:
            store.close()
            raise

    def close(self) -> None:
        """Close connections and database and end all threads; it is idempotent."""
        if self._parts:
            store, server, _ = self._parts
            self._parts = None
            server.stop()
            store.close()

    def __enter__(self) -> Sandbox:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def clock(self) -> Callable[[], datetime]:
        """What returns the time; another one moves that of the tokens created from then on."""
        return self._clock

    @clock.setter
    def clock(self, clock: Callable[[], datetime]) -> None:
        if not callable(clock):
            raise TypeError(f"clock must be a function, not {type(clock).__name__}: lambda: moment")
        if getattr(clock(), "tzinfo", None) is None:
            raise ValueError("clock must return a datetime with a time zone: datetime.now(UTC)")
        self._clock = clock

    @property
    def url(self) -> str:
        """The address to reach it at, without a slash at the end."""
        return self._running[1].url

    def add_app(self, app_id: int) -> None:
        """Add an app, which has tokens of its own."""
        self._running[0].add_app(_checked(app_id))

    def reset(self) -> None:
        """Return to the state after the start: one app, no tokens, no faults, the first clock.

        The next token has the id 1001.

        Requests in flight are ended first, so that none of them changes what comes afterwards.
        """
        self.clock = self._first_clock
        self.clear_faults()
        self._running[1].drop_connections()
        self._running[0].reset()
        self._running[2].requests.clear()
        self._running[0].add_app(self.app_id)

    def fail_next(self, operation: str | None, fault: Fault, times: int = 1) -> None:
        """Apply a fault to the next requests; faults happen in the order in which they were set.

        Only requests that would be carried out count: with the right key, for an app that exists
        and with a proper body.

        Args:
            operation: The client's name of the operation, such as ``"create_app_token"``; None for
                any of them.
            fault: What goes wrong.
            times: To how many requests it applies.

        Raises:
            ValueError: There is no such operation, or ``times`` is less than 1.
            TypeError: ``fault`` is no Fault.
        """
        if not isinstance(fault, Fault):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"fault must be one such as Fault.status(503), not {fault!r:.40}")
        self._running[2].faults.add(operation, fault, times)

    @property
    def pending_faults(self) -> int:
        """How many faults are not yet applied."""
        return len(self._running[2].faults)

    def clear_faults(self) -> None:
        """Remove the faults that are not yet applied."""
        self._running[2].faults.clear()

    @property
    def requests(self) -> list[ReceivedRequest]:
        """The last 10,000 readable requests since the start or ``reset()``, the oldest first."""
        return list(self._running[2].requests)

    def tokens(self, app_id: int | None = None) -> list[dict[str, Any]]:
        """Return an app's tokens as the API lists them, without a request: no fault applies.

        Args:
            app_id: The app; by default the one that exists from the start.
        """
        return self._running[0].tokens(self.app_id if app_id is None else app_id)

    def refusing(self) -> AbstractContextManager[None]:
        """Close all connections, and refuse new ones until the ``with`` statement ends."""
        return self._running[1].refusing()

    @property
    def _running(self) -> tuple[Store, Server, App]:
        if not self._parts:
            raise RuntimeError(
                "the sandbox is not running: start() it, or use it in a with statement"
            )
        return self._parts


def _now() -> datetime:
    return datetime.now(UTC)  # looked up at each call: freezegun replaces it


def _checked(app_id: int) -> int:
    if type(app_id) is not int:
        raise TypeError(f"app_id must be an int, not {type(app_id).__name__}")
    if not 0 < app_id <= MAX_ID:
        raise ValueError(f"app_id must be a positive 64-bit integer, not {app_id}")
    return app_id
