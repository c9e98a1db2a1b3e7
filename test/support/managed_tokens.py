"""What the token manager's tests share: watched tokens, a clock, actors and faults."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine

import stcloud
from stcloud import TokenManager
from stcloud.sandbox import Fault, Sandbox
from stcloud.sandbox.store import Store
from stcloud.token_manager.names import parse_name

NAME = "shipper"
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
Connect = Callable[..., stcloud.TokensApiControllerApi]


class Clock:
    """The time of day of managers and service, which can be put forward; it runs on."""

    def __init__(self, traveller: time_machine.Traveller) -> None:
        self._traveller = traveller
        self._ahead = timedelta(0)

    @property
    def ahead(self) -> timedelta:
        """How far it is ahead of the machine's."""
        return self._ahead

    @ahead.setter
    def ahead(self, value: timedelta) -> None:
        self._traveller.shift(value - self._ahead)
        self._ahead = value


def travel() -> AbstractContextManager[time_machine.Traveller]:
    """Start where the machine is; its monotonic clock, by which the client waits, is untouched."""
    return time_machine.travel(datetime.now(UTC))


class Service:
    """An app's tokens as they are in the database, and which of their values were published."""

    def __init__(self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
        self.sandbox = sandbox
        self.file = file  # other processes publish, too
        self.file.touch()
        self.broken: list[Any] = []
        for write in ("create", "update", "regenerate", "delete"):
            monkeypatch.setattr(Store, write, self._watched(getattr(Store, write)))

    def _watched(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any) -> Any:
            result = write(*arguments)
            self.check()
            return result

        return watched

    @property
    def published(self) -> set[str]:
        return set(self.file.read_text(encoding="utf-8").split())

    @property
    def tokens(self) -> list[dict[str, Any]]:
        return self.sandbox.tokens()

    @property
    def kinds(self) -> list[tuple[str, bool]]:
        """What each token is, and whether it is enabled."""
        kinds = [(parse_name(token["name"])[1], token["enabled"]) for token in self.tokens]
        return sorted(kinds)

    def check(self) -> None:
        """Note a moment at which no published token is enabled."""
        enabled = {token["token"] for token in self.tokens if token["enabled"]}
        published = self.published
        if published and not published & enabled:
            self.broken.append(self.tokens)

    def publish(self, token: stcloud.TokenDto) -> None:
        with self.file.open("a", encoding="utf-8") as file:
            file.write(f"{token.token}\n")

    def reset_to(self, token: stcloud.TokenDto) -> None:
        """Forget what was published before."""
        self.file.write_text(f"{token.token}\n", encoding="utf-8")

    def reset(self) -> None:
        self.file.write_text("", encoding="utf-8")
        self.sandbox.reset()


def create(api: stcloud.TokensApiControllerApi, sandbox: Sandbox, name: str) -> None:
    api.create_app_token({"name": name}, sandbox.app_id)


def nothing(*_: object) -> None:
    """Do nothing."""


class Meddled:
    """The API, with something done before and after each request."""

    def __init__(
        self,
        api: stcloud.TokensApiControllerApi,
        before: Callable[[int, str], object] = nothing,
        after: Callable[[int, str], object] = nothing,
    ) -> None:
        self._api = api
        self._before = before
        self._after = after
        self.requests = 0

    def __getattr__(self, method: str) -> Any:
        def call(*arguments: Any) -> Any:
            number, self.requests = self.requests, self.requests + 1
            self._before(number, method.removesuffix("_with_http_info"))
            try:
                return getattr(self._api, method)(*arguments)
            finally:
                self._after(number, method.removesuffix("_with_http_info"))

        return call


def raise_it(_: stcloud.TokenDto) -> None:
    raise ZeroDivisionError


FAULTS = {
    "lost before the write": Fault.reset(),
    "lost after the write": Fault.lost_response(),
    "429": Fault.status(429),
    "500 after the write": Fault.status(500, committed=True),
    "time-out before the write": Fault.hang(9),
    "time-out after the write": Fault.hang(9, committed=True),
    "not what the API describes": Fault.body(b"[]"),
    "not done": Fault.body(b'{"success": false}', committed=False),
}


def assert_settles(manager: TokenManager, service: Service, clock: Clock) -> None:
    """Whatever was cut off, another rotation and some time later only its token is left."""
    service.publish(manager.ensure(NAME))
    manager.rotate(NAME, service.publish)
    for _ in range(2):
        clock.ahead += 2 * DAY
        manager.finish_rotations()
    assert service.kinds == [("named", True)]


class Killed(BaseException):
    """Stands for the end of the process: nothing that a manager does catches it."""


class Actor:
    """A manager on a thread of its own that waits before each request until it may go on."""

    def __init__(self, api: stcloud.TokensApiControllerApi, app_id: int) -> None:
        paced: Any = Meddled(api, before=self._wait)
        self.manager = TokenManager(paced, app_id)
        self.work: str | None = None
        self.errors: list[BaseException] = []
        self.failure: BaseException | None = None
        self._is_killed = False
        self._may_go_on = threading.Semaphore(0)
        self._has_stopped = threading.Semaphore(0)

    def begin(self, work: str, call: Callable[[TokenManager], object]) -> None:
        """Go to the first request."""
        self.work, self._is_killed = work, False
        threading.Thread(target=self._do, args=[call], daemon=True).start()
        assert self._has_stopped.acquire(timeout=30)

    def go_on(self, *, killed: bool = False) -> None:
        """Make a request, and go to the next one or to the end; or die instead."""
        self._is_killed = killed
        self._may_go_on.release()
        assert self._has_stopped.acquire(timeout=30)

    def _wait(self, *_: object) -> None:
        if not self._is_killed:
            self._has_stopped.release()
            self._may_go_on.acquire()
        if self._is_killed:
            raise Killed

    def _do(self, call: Callable[[TokenManager], object]) -> None:
        try:
            call(self.manager)
        except (
            stcloud.ApiException,
            stcloud.TokenManagerException,
            ZeroDivisionError,
            Killed,
        ) as error:
            self.errors.append(error)
        except BaseException as failure:  # noqa: BLE001  # the machine looks at it
            self.failure = failure
        self.work = None
        self._has_stopped.release()
