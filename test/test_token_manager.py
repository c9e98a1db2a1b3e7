"""Tokens by name: what is found, made and replaced, whatever fails and wherever it is cut off."""

import hashlib
import json
import logging
import os
import pickle
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import unicodedata
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, suppress
from copy import copy
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import stcloud
from stcloud import TokenManager, token_manager, token_names
from stcloud.sandbox import Fault, Sandbox
from stcloud.sandbox.app import App
from stcloud.sandbox.store import Store
from stcloud.token_manager import Event

NAME = "shipper"
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
Connect = Callable[..., stcloud.TokensApiControllerApi]


class Clock:
    """The clock of managers and service, which can be put forward."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = timedelta(0)
        monkeypatch.setattr(token_manager, "_now", self.now)
        monkeypatch.setattr("stcloud.sandbox.store.datetime", self)

    def now(self, _: timezone = UTC) -> datetime:
        return datetime.now(UTC) + self.ahead


class Service:
    """An app's tokens as they are in the database, and which of their values were published."""

    def __init__(self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
        self.sandbox = sandbox
        self.file = file  # other processes publish, too
        self.file.touch()
        self.broken: list[Any] = []
        self._store: Store = sandbox._running[0]  # pyright: ignore[reportPrivateUsage]
        self._app: App = sandbox._running[2]  # pyright: ignore[reportPrivateUsage]
        run = Store._one  # pyright: ignore[reportPrivateUsage]

        def watched(store: Store, *arguments: Any) -> Any:
            result = run(store, *arguments)
            self.check()
            return result

        monkeypatch.setattr(Store, "_one", watched)

    @property
    def published(self) -> set[str]:
        return set(self.file.read_text(encoding="utf-8").split())

    @property
    def tokens(self) -> list[dict[str, Any]]:
        return self._store.tokens(self.sandbox.app_id)

    @property
    def kinds(self) -> list[tuple[str, bool]]:
        """What each token is, and whether it is enabled."""
        kinds = [(token_names.parsed(token["name"])[1], token["enabled"]) for token in self.tokens]
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

    def forget_faults(self) -> None:
        self._app.faults.clear()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The managers' clock."""
    return Clock(monkeypatch)


@pytest.fixture
def service(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Service]:
    """The sandbox, watched: at every moment a published token is enabled."""
    service = Service(sandbox, monkeypatch, tmp_path / "published")
    yield service
    assert not service.broken


@pytest.fixture
def manager(api: stcloud.TokensApiControllerApi, sandbox: Sandbox) -> TokenManager:
    """A manager of the sandbox's app."""
    return TokenManager(api, sandbox.app_id)


def create(api: stcloud.TokensApiControllerApi, sandbox: Sandbox, name: str) -> None:
    api.create_app_token({"name": name}, sandbox.app_id)


# Finding and ensuring.


def test_find_finds_what_has_the_name(
    manager: TokenManager, api: stcloud.TokensApiControllerApi, sandbox: Sandbox
) -> None:
    """A token is found by its whole name."""
    assert manager.find(NAME) is None
    create(api, sandbox, f"{NAME} 2")
    create(api, sandbox, f"{NAME} [new]")
    assert manager.find(NAME) is None
    create(api, sandbox, NAME)
    found = manager.find(NAME)
    assert found is not None
    assert found.id == 791


def test_several_of_a_name_are_refused(
    manager: TokenManager, api: stcloud.TokensApiControllerApi, sandbox: Sandbox
) -> None:
    """The service does not promise unique names; the error tells which tokens have it."""
    create(api, sandbox, NAME)
    create(api, sandbox, NAME)
    api.update_app_token({"enabled": False}, sandbox.app_id, 790)
    calls: list[Callable[[], object]] = [
        lambda: manager.find(NAME),
        lambda: manager.ensure(NAME),
        lambda: manager.rotate(NAME, print),
    ]
    for call in calls:
        with pytest.raises(stcloud.AmbiguousTokenException) as raised:
            call()
        assert "'shipper': 789 (enabled), 790 (disabled); rename" in str(raised.value)


def test_ensure_makes_one_and_finds_it_again(manager: TokenManager, service: Service) -> None:
    """It has the rights that were asked for."""
    made = manager.ensure(NAME, readable=False)
    assert (made.name, made.readable, made.writeable, made.enabled) == (NAME, False, True, True)
    assert manager.ensure(NAME, readable=False) == made
    assert [token["name"] for token in service.tokens] == [NAME]


def test_drift_is_told_and_left(manager: TokenManager) -> None:
    """Both sides are shown; nothing is changed."""
    made = manager.ensure(NAME, writeable=False)
    with pytest.raises(
        stcloud.TokenDriftException, match=r"789.*'writeable': False.*True"
    ) as drift:
        manager.ensure(NAME, readable=True, writeable=True)
    assert (drift.value.wanted, drift.value.found) == ({"writeable": True}, {"writeable": False})
    assert str(made.token) not in str(drift.value)
    assert manager.find(NAME) == made


def test_disabled_token_is_enabled_on_demand_only(
    manager: TokenManager, api: stcloud.TokensApiControllerApi, sandbox: Sandbox
) -> None:
    """Someone has disabled it for a reason."""
    made = manager.ensure(NAME)
    api.update_app_token({"enabled": False}, sandbox.app_id, made.id or 0)
    with pytest.raises(stcloud.TokenDriftException, match="'enabled'"):
        manager.ensure(NAME)
    with pytest.raises(stcloud.TokenDriftException, match="'enabled'"):
        manager.rotate(NAME, print)
    assert manager.ensure(NAME, enable=True).enabled
    found = manager.find(NAME)
    assert found is not None
    assert found.enabled


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("", ValueError),
        ("x" * 81, ValueError),
        (" x", ValueError),
        ("x\n", ValueError),
        ("x [new]", ValueError),
        ("x [off, delete after 2026-01-01T00:00:00Z]", ValueError),
        (7, TypeError),
        (None, TypeError),
    ],
)
def test_bad_name_is_refused(manager: TokenManager, name: Any, error: type[Exception]) -> None:
    """Before anything is sent."""
    for call in (manager.find, manager.ensure, lambda name: manager.rotate(name, print)):
        with pytest.raises(error, match="name must"):
            call(name)


@pytest.mark.parametrize(
    "name",
    [
        "x",
        "x" * 80,
        "x [y]",
        "x [old, disable after 2026-01-01T00:00:00Z]",
        "x [old, next is 0, disable after 2026-01-01T00:00:00Z]",
        "x [old, next is 1, delete after 2026-01-01T00:00:00Z]",
        "x [off, delete after noon]",
        "x [off, delete after 2026-1-1T0:0:0Z]",
        "x [off, delete after 2026-01-01t00:00:00z]",
        "x [off, delete after 2026-13-01T00:00:00Z]",
        "x [off, delete after ٢٠٢٦-01-01T00:00:00Z]",
    ],
)
def test_other_name_is_not_taken_for_a_mark(manager: TokenManager, name: str) -> None:
    """What a person writes in brackets is a part of the name."""
    assert manager.ensure(name).name == name
    assert manager.rotate(name, lambda _: None).due[0].step == "delete"


def test_bad_durations_are_refused(manager: TokenManager) -> None:
    """Before anything is sent."""
    for value, error in ((-HOUR, ValueError), (DAY * 40_000, ValueError), (60, TypeError)):
        wrong: Any = value
        with pytest.raises(error, match="overlap must"):
            manager.rotate(NAME, print, overlap=wrong)
        with pytest.raises(error, match="keep_disabled must"):
            TokenManager(manager._api, 789, keep_disabled=wrong)  # pyright: ignore[reportPrivateUsage]


# Rotating.


def test_rotation_without_overlap(manager: TokenManager, service: Service) -> None:
    """The successor has the rights and the name; the predecessor is disabled, not deleted."""
    before = copy(manager.ensure(NAME, readable=False))
    service.publish(before)
    handed: list[stcloud.TokenDto] = []

    def publish(token: stcloud.TokenDto) -> None:
        assert manager.find(NAME) == before, "the predecessor is untouched while this runs"
        handed.append(token)
        service.publish(token)

    rotation = manager.rotate(NAME, publish)
    assert handed == [rotation.token] == [manager.find(NAME)]
    after = handed[0]
    assert (after.name, after.readable, after.writeable, after.enabled) == (NAME, False, True, True)
    assert after.token != before.token
    assert service.kinds == [("named", True), ("off", False)]
    steps = [(step.step, step.token_id) for step in rotation.done]
    assert steps == [
        ("create", 790),
        ("mark", 790),
        ("publish", 790),
        ("retire", 789),
        ("promote", 790),
        ("disable", 789),
    ]
    (due,) = rotation.due
    assert (due.step, due.token_id) == ("delete", 789)
    assert DAY - HOUR < due.at - datetime.now(UTC) <= DAY + timedelta(seconds=1)


def test_rotation_with_overlap(manager: TokenManager, service: Service, clock: Clock) -> None:
    """Each date is kept: enabled, then disabled, then deleted, each in a call of its own."""
    service.publish(manager.ensure(NAME))
    rotation = manager.rotate(NAME, service.publish, overlap=HOUR)
    assert [step.step for step in rotation.due] == ["disable"]
    assert rotation.due[0].at >= clock.now() + HOUR - timedelta(seconds=5)
    assert service.kinds == [("named", True), ("old", True)]

    (waiting,) = manager.finish_rotations()
    assert (waiting.done, waiting.due, waiting.token) == ((), rotation.due, rotation.token)

    clock.ahead = HOUR + timedelta(seconds=2)
    (disabled,) = manager.finish_rotations()
    assert [step.step for step in disabled.done] == ["disable"]
    assert service.kinds == [("named", True), ("off", False)]
    assert manager.finish_rotations()[0].due == disabled.due

    clock.ahead += DAY + timedelta(seconds=2)
    (deleted,) = manager.finish_rotations()
    assert [step.step for step in deleted.done] == ["delete"]
    assert service.kinds == [("named", True)]
    assert manager.finish_rotations() == []


def test_publish_that_raises_undoes_all(manager: TokenManager, service: Service) -> None:
    """The predecessor is as it was."""
    service.publish(manager.ensure(NAME))
    before = service.tokens

    def publish(_: stcloud.TokenDto) -> None:
        raise OSError("no disk")

    with pytest.raises(OSError, match="no disk"):
        manager.rotate(NAME, publish)
    assert service.tokens == before


@pytest.mark.parametrize(("last", "due"), [("promote", [789, 790]), ("disable", [790])])
def test_rotation_that_succeeds_tells_what_it_has_left(
    last: str, due: list[int], connect: Connect, service: Service, clock: Clock
) -> None:
    """Of its own predecessor and of an older one, what is not disabled yet."""

    def observe(event: Event) -> None:
        if (event.operation, event.step) == ("rotate", last):
            service.sandbox.fail_next("update_app_token", Fault.status(500), 9)

    api = connect()
    service.publish(TokenManager(api, service.sandbox.app_id).ensure(NAME))
    TokenManager(api, service.sandbox.app_id).rotate(NAME, service.publish, overlap=HOUR)
    clock.ahead = 2 * HOUR
    manager = TokenManager(api, service.sandbox.app_id, observer=observe)
    rotation = manager.rotate(NAME, service.publish)
    assert [(step.step, step.token_id) for step in rotation.due] == [
        ("disable", id_) for id_ in due
    ]


def test_entries_without_an_id_are_no_tokens(
    api: stcloud.TokensApiControllerApi, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing could be done with them."""
    tokens = Store.tokens
    odd = {"name": NAME, "enabled": True}
    monkeypatch.setattr(Store, "tokens", lambda store, app_id: [*tokens(store, app_id), None, odd])
    assert TokenManager(api, service.sandbox.app_id).find(NAME) is None


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_publish_that_is_stopped_is_as_if_killed(
    end: type[BaseException], manager: TokenManager, service: Service
) -> None:
    """Whoever has got the new token by then can use it; the next rotation hands it out again."""
    service.publish(manager.ensure(NAME))

    def publish(token: stcloud.TokenDto) -> None:
        service.reset_to(token)
        raise end

    with pytest.raises(end):
        manager.rotate(NAME, publish)
    assert service.kinds == [("named", True), ("next", True)]
    manager.rotate(NAME, service.publish)
    assert service.kinds == [("named", True), ("off", False)]


def test_publish_may_return_any_object(manager: TokenManager, service: Service) -> None:
    """Also one that answers every question with an error."""

    class Unbound:
        def __getattr__(self, name: str) -> object:
            raise RuntimeError(name)

    service.publish(manager.ensure(NAME))
    manager.rotate(NAME, lambda token: service.publish(token) or Unbound())  # type: ignore[func-returns-value]
    assert service.kinds == [("named", True), ("off", False)]


def test_old_token_that_another_deletes_is_no_failure(
    api: stcloud.TokensApiControllerApi, service: Service
) -> None:
    """What a rotation withdraws, finish_rotations may be about to disable."""
    ended: list[bool] = []
    finishing = Actor(api, service.sandbox.app_id)

    def observe(event: Event) -> None:
        if event.step == "withdraw":  # an old one, due now
            finishing.begin("finish", lambda one: ended.append(bool(one.finish_rotations())))
            finishing.go_on()  # it has read the list

    manager = TokenManager(api, service.sandbox.app_id, observer=observe)
    service.publish(manager.ensure(NAME))
    with pytest.raises(ZeroDivisionError):
        manager.rotate(NAME, lambda _: 1 / 0)
    while finishing.work:
        finishing.go_on()
    assert (finishing.failure, finishing.errors, ended) == (None, [], [False])


def test_finish_rotations_reads_the_list_once_if_nothing_is_due(
    connect: Connect, service: Service
) -> None:
    """However many names there are; after it has done something, anew."""
    lists: list[str] = []
    manager = TokenManager(
        Meddled(connect(), before=lambda _, method: lists.append(method)),  # type: ignore[arg-type]
        service.sandbox.app_id,
    )
    for number in range(3):
        manager.ensure(f"{NAME} {number}")
        manager.rotate(f"{NAME} {number}", service.publish, overlap=HOUR)
    lists.clear()
    assert len(manager.finish_rotations()) == 3
    assert lists == ["get_app_tokens1"]


@pytest.mark.parametrize("name", ["y" * 81, " shipper", "shipper ", "shipper [new]"])
def test_names_that_are_not_managed_are_left_alone(
    name: str, manager: TokenManager, api: stcloud.TokensApiControllerApi, service: Service
) -> None:
    """With a mark, too, a token of such a name is a person's."""
    for each in (name, f"{name} [old, next is 789, disable after 2026-01-01T00:00:00Z]"):
        create(api, service.sandbox, each)
    manager.ensure(NAME)
    before = service.tokens
    manager.finish_rotations()
    assert service.tokens == before


@pytest.mark.parametrize("right", ["readable", "writeable"])
def test_rights_are_true_or_false(right: str, manager: TokenManager, service: Service) -> None:
    """Anything else is refused before anything is sent."""
    with pytest.raises(TypeError, match=f"{right} must be bool"):
        manager.ensure(NAME, **{right: None})  # type: ignore[arg-type]
    assert service.tokens == []


def test_publish_that_raises_while_the_service_is_down(
    connect: Connect, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """What publish raised is raised; the next rotation uses the token that is left."""
    manager = TokenManager(connect(), service.sandbox.app_id)
    service.publish(manager.ensure(NAME))

    def publish(_: stcloud.TokenDto) -> None:
        service.sandbox.fail_next("update_app_token", Fault.status(500), 9)
        raise OSError("no disk")

    with caplog.at_level(logging.WARNING, "stcloud"), pytest.raises(OSError, match="no disk"):
        manager.rotate(NAME, publish)
    assert "token 790 could not be deleted" in caplog.text
    service.forget_faults()
    assert service.kinds == [("named", True), ("next", True)]
    (waiting,) = manager.finish_rotations()
    assert [step.step for step in waiting.due] == ["publish"]
    rotation = manager.rotate(NAME, service.publish)
    assert rotation.token is not None
    assert rotation.token.id == 790
    assert service.kinds == [("named", True), ("off", False)]


def test_nothing_to_rotate(manager: TokenManager) -> None:
    """The error says what to do."""
    with pytest.raises(stcloud.MissingTokenException, match="ensure"):
        manager.rotate(NAME, print)


def test_successor_that_was_removed_meanwhile(
    manager: TokenManager, service: Service, api: stcloud.TokensApiControllerApi
) -> None:
    """The predecessor is not touched."""
    service.publish(manager.ensure(NAME))

    def publish(token: stcloud.TokenDto) -> None:
        api.delete_app_token1(service.sandbox.app_id, token.id or 0)

    with pytest.raises(stcloud.MissingTokenException, match="790"):
        manager.rotate(NAME, publish)
    assert service.kinds == [("named", True)]


def test_person_takes_a_token_back(
    manager: TokenManager, service: Service, api: stcloud.TokensApiControllerApi, clock: Clock
) -> None:
    """Enabled again, it is never deleted, whatever its name says."""
    service.publish(manager.ensure(NAME))
    manager.rotate(NAME, service.publish)
    api.update_app_token({"enabled": True}, service.sandbox.app_id, 789)
    clock.ahead = DAY * 2
    assert manager.finish_rotations() == []
    assert service.kinds == [("named", True), ("off", True)]


def test_last_enabled_token_is_left_alone(
    manager: TokenManager, service: Service, api: stcloud.TokensApiControllerApi, clock: Clock
) -> None:
    """If someone disables or deletes the current token, its predecessors stay."""
    service.publish(manager.ensure(NAME))
    current = manager.rotate(NAME, service.publish, overlap=HOUR).token
    assert current is not None
    clock.ahead = DAY
    api.update_app_token({"enabled": False}, service.sandbox.app_id, current.id or 0)
    assert manager.finish_rotations() == []
    api.delete_app_token1(service.sandbox.app_id, current.id or 0)
    assert manager.finish_rotations() == []
    assert service.kinds == [("old", True)]


def test_abandoned_token_is_removed(
    manager: TokenManager, service: Service, api: stcloud.TokensApiControllerApi, clock: Clock
) -> None:
    """One that was made and never used: disabled after an hour, and deleted later."""
    service.publish(manager.ensure(NAME))
    create(api, service.sandbox, token_names.new(NAME))
    for ahead, due, kind in (
        (timedelta(0), "disable", ("new", True)),
        (HOUR * 1.001, "delete", ("off", False)),
    ):
        clock.ahead = ahead
        (waiting,) = manager.finish_rotations()
        assert [(step.step, step.token_id) for step in waiting.due] == [(due, 790)]
        assert service.kinds == [("named", True), kind]
    clock.ahead += DAY + timedelta(seconds=2)
    manager.finish_rotations()
    assert service.kinds == [("named", True)]


def test_token_of_unknown_age_is_not_abandoned(
    manager: TokenManager, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service need not tell when a token was made; the next call takes it."""
    tokens = Store.tokens
    monkeypatch.setattr(
        Store, "tokens", lambda *ids: [{**token, "createdAt": None} for token in tokens(*ids)]
    )
    service.publish(manager.ensure(NAME))
    service.sandbox.fail_next("update_app_token", Fault.status(400))
    with pytest.raises(stcloud.BadRequestException):
        manager.rotate(NAME, service.publish)
    assert manager.finish_rotations() == []
    assert service.kinds == [("named", True), ("new", True)]
    current = manager.rotate(NAME, service.publish).token
    assert current is not None
    assert current.id == 790


def test_token_that_may_soon_be_removed_is_not_taken(
    manager: TokenManager, service: Service, api: stcloud.TokensApiControllerApi, clock: Clock
) -> None:
    """Else finish_rotations might delete it as abandoned when it is current."""
    service.publish(manager.ensure(NAME))
    create(api, service.sandbox, token_names.new(NAME))
    clock.ahead = HOUR / 2 + timedelta(seconds=2)
    current = manager.rotate(NAME, service.publish).token
    assert current is not None
    assert current.id == 791


def test_machine_that_sleeps_uses_no_token_that_it_has_made_long_ago(
    api: stcloud.TokensApiControllerApi, service: Service, clock: Clock
) -> None:
    """Another may be about to delete it."""

    def sleep(_: int, operation: str) -> None:
        if operation == "create_app_token":
            clock.ahead = HOUR

    asleep: Any = Meddled(api, after=sleep)
    with pytest.raises(stcloud.MissingTokenException, match="call again"):
        TokenManager(asleep, service.sandbox.app_id).ensure(NAME)
    assert service.kinds == [("new", True)]


def test_token_that_another_manager_deleted_is_no_failure(
    manager: TokenManager, service: Service, api: stcloud.TokensApiControllerApi, clock: Clock
) -> None:
    """It is gone, as it should be."""
    service.publish(manager.ensure(NAME))
    manager.rotate(NAME, service.publish)
    clock.ahead = DAY * 2
    other = Actor(api, service.sandbox.app_id)
    other.begin("finish", lambda manager: manager.finish_rotations())
    other.go_on()  # it has the list
    assert [step.step for step in manager.finish_rotations()[0].done] == ["delete"]
    other.go_on()
    assert (other.work, other.failure) == (None, None)
    assert not other.errors


@pytest.mark.parametrize("is_deleted", [False, True])
def test_each_name_is_looked_at_anew(
    manager: TokenManager,
    service: Service,
    api: stcloud.TokensApiControllerApi,
    clock: Clock,
    is_deleted: bool,
) -> None:
    """A person renames an old token while another name is seen to."""
    for name in ("first", NAME):
        service.publish(manager.ensure(name))
        manager.rotate(name, service.publish, overlap=HOUR)
    clock.ahead = 2 * HOUR
    slow = Actor(api, service.sandbox.app_id)
    slow.begin("finish", lambda manager: manager.finish_rotations())
    slow.go_on()  # it has the list of all names
    if is_deleted:
        api.delete_app_token1(service.sandbox.app_id, 789)
    slow.go_on()  # and has disabled the first one's old token, if it is still there
    api.update_app_token({"name": "mine"}, service.sandbox.app_id, 791)
    while slow.work:
        slow.go_on()
    kinds = [("named", True)] * 3 + [("off", False)] * (not is_deleted)
    assert service.kinds == kinds


def test_unmanaged_tokens_are_left_alone(
    manager: TokenManager,
    service: Service,
    api: stcloud.TokensApiControllerApi,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Also where two have the same name, or none has one; of them, there is nothing to tell."""
    for name in ("other", "other", None):
        api.create_app_token({"name": name}, service.sandbox.app_id)
    before = service.tokens
    clock.ahead = DAY * 9
    assert manager.finish_rotations() == []
    assert service.tokens == before
    assert not caplog.records


def test_ambiguous_name_holds_up_no_other(
    manager: TokenManager,
    service: Service,
    api: stcloud.TokensApiControllerApi,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is left as it is, and told; the others are finished."""
    for name in (NAME, NAME, "other"):
        create(api, service.sandbox, name)
    long_ago = datetime(2026, 1, 1, tzinfo=UTC)
    create(api, service.sandbox, token_names.old(NAME, 1, long_ago))
    create(api, service.sandbox, token_names.old("other", 1, long_ago))
    (rotation,) = manager.finish_rotations()
    assert [(step.step, step.token_id) for step in rotation.done] == [("disable", 793)]
    assert "several tokens are named 'shipper': 789 (enabled), 790 (enabled)" in caplog.text


def test_cut_off_rotation_is_finished_by_whoever_comes(
    manager: TokenManager, service: Service, api: stcloud.TokensApiControllerApi
) -> None:
    """Publish has returned, for there is an old token: the next one gets the name."""
    for call in (manager.ensure, lambda _: manager.finish_rotations()[0].token):
        service.reset()
        create(api, service.sandbox, token_names.old(NAME, 790, datetime.now(UTC) + HOUR))
        create(api, service.sandbox, token_names.next_(NAME))
        found = manager.find(NAME)
        assert found is not None
        assert found.id == 790
        token = call(NAME)
        assert token is not None
        assert (token.id, token.name) == (790, NAME)
        assert service.kinds == [("named", True), ("old", True)]


def test_published_one_of_two_is_current(
    manager: TokenManager, service: Service, api: stcloud.TokensApiControllerApi
) -> None:
    """An older one, of which nobody knows whether anyone has it, stays what it is."""
    create(api, service.sandbox, token_names.old(NAME, 791, datetime.now(UTC) + HOUR))
    create(api, service.sandbox, token_names.next_(NAME))
    create(api, service.sandbox, token_names.next_(NAME))
    found = manager.find(NAME)
    assert found is not None
    assert found.id == 791
    (rotation,) = manager.finish_rotations()
    assert [(step.step, step.token_id) for step in rotation.done] == [("promote", 791)]
    assert {(step.step, step.token_id) for step in rotation.due} == {
        ("disable", 789),
        ("publish", 790),
    }


def test_old_token_tells_its_own_successor_only(
    manager: TokenManager, api: stcloud.TokensApiControllerApi, service: Service, clock: Clock
) -> None:
    """A person deletes the current one; the next one, never published, does not take its place."""
    service.publish(manager.ensure(NAME))
    manager.rotate(NAME, service.publish, overlap=HOUR)
    create(api, service.sandbox, token_names.next_(NAME))
    api.delete_app_token1(service.sandbox.app_id, 790)
    assert manager.find(NAME) is None
    clock.ahead = 2 * HOUR
    assert manager.finish_rotations() == []
    assert service.kinds == [("next", True), ("old", True)]


def test_unpublished_successor_is_not_current(
    manager: TokenManager, api: stcloud.TokensApiControllerApi, sandbox: Sandbox
) -> None:
    """Nobody knows whether anyone has it."""
    create(api, sandbox, token_names.next_(NAME))
    assert manager.find(NAME) is None
    assert manager.ensure(NAME).id == 790


def test_unused_token_with_other_rights_is_not_taken(
    manager: TokenManager, api: stcloud.TokensApiControllerApi, sandbox: Sandbox
) -> None:
    """It was made by a call that wanted another."""
    api.create_app_token({"name": token_names.new(NAME), "writeable": False}, sandbox.app_id)
    assert manager.ensure(NAME).id == 790


def test_failed_publish_leaves_the_last_token(
    manager: TokenManager, service: Service, api: stcloud.TokensApiControllerApi
) -> None:
    """If someone disabled the predecessor meanwhile, the successor stays."""
    manager.ensure(NAME)

    def publish(_: stcloud.TokenDto) -> None:
        api.update_app_token({"enabled": False}, service.sandbox.app_id, 789)
        raise OSError("no disk")

    with pytest.raises(OSError, match="no disk"):
        manager.rotate(NAME, publish)
    assert service.kinds == [("named", False), ("next", True)]


@pytest.mark.parametrize("fault", ["lost after the write", "500 after the write", "cut off"])
def test_lost_answer_is_no_failure(manager: TokenManager, service: Service, fault: str) -> None:
    """What was made all the same is found, so that nothing is made twice, and nothing raised."""
    service.sandbox.fail_next("create_app_token", FAULTS[fault])
    service.publish(manager.ensure(NAME))
    assert service.kinds == [("named", True)]
    service.sandbox.fail_next("create_app_token", FAULTS[fault])
    manager.rotate(NAME, service.publish)
    assert service.kinds == [("named", True), ("off", False)]


def test_overlap_is_not_cut_short(manager: TokenManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names have whole seconds; the date is rounded up."""
    now = datetime(2026, 3, 1, 8, 0, 0, 500_000, UTC)
    monkeypatch.setattr(token_manager, "_now", lambda: now)
    manager.ensure(NAME)
    (due,) = manager.rotate(NAME, lambda _: None, overlap=timedelta(seconds=10)).due
    assert due.at == datetime(2026, 3, 1, 8, 0, 11, 0, UTC)


def test_service_that_changes_names_is_told(
    manager: TokenManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each call would make one more."""
    run = Store.update

    def update(store: Store, app_id: int, token_id: int, fields: dict[str, Any]) -> Any:
        return run(store, app_id, token_id, {**fields, "name": str(fields["name"])[:3]})

    monkeypatch.setattr(Store, "update", update)
    with pytest.raises(stcloud.TokenManagerException, match="789 'shi', and not 'shipper'"):
        manager.ensure(NAME)


def test_service_that_changes_names_is_told_when_it_makes_a_token(
    manager: TokenManager, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the text shows the difference, if it is in how characters are written."""
    run = Store.create

    def create_decomposed(store: Store, app_id: int, fields: dict[str, Any]) -> Any:
        return run(store, app_id, {**fields, "name": unicodedata.normalize("NFD", fields["name"])})

    monkeypatch.setattr(Store, "create", create_decomposed)
    with pytest.raises(stcloud.TokenManagerException, match=r"cafe\\u0301.* and not 'caf\\xe9"):
        manager.ensure("caf\xe9")
    assert len(service.tokens) == 1


def test_token_without_an_id_is_none(
    manager: TokenManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be changed, so it cannot be managed."""
    monkeypatch.setattr("stcloud.sandbox.store._token", lambda _: {"name": token_names.new(NAME)})
    with pytest.raises(stcloud.MissingTokenException, match="is not listed"):
        manager.ensure(NAME)


def test_answers_without_content(manager: TokenManager, service: Service) -> None:
    """A 201 may come without a body: the list tells what was made."""
    sandbox = service.sandbox
    sandbox.fail_next("create_app_token", Fault.body(b'{"success": true}'))
    sandbox.fail_next("update_app_token", Fault.body(b'{"success": true}'))
    made = manager.ensure(NAME)
    assert (made.id, made.name) == (789, NAME)
    sandbox.fail_next("create_app_token", Fault.body(b'{"success": true}', committed=False))
    with pytest.raises(stcloud.MissingTokenException, match="is not listed"):
        manager.rotate(NAME, service.publish)


def test_successor_that_an_earlier_call_handed_out_is_not_deleted(
    manager: TokenManager, service: Service
) -> None:
    """Everyone may have it: a later publish that fails does not take it from them."""
    service.publish(manager.ensure(NAME))
    service.sandbox.fail_next("update_app_token", Fault.status(400))  # spent on marking
    with pytest.raises(stcloud.BadRequestException):
        manager.rotate(NAME, service.publish)

    def publish(token: stcloud.TokenDto) -> None:
        service.publish(token)
        service.sandbox.fail_next("update_app_token", Fault.status(400))  # so it is not recorded

    with pytest.raises(stcloud.BadRequestException):
        manager.rotate(NAME, publish)

    def publish_in_vain(_: stcloud.TokenDto) -> None:
        raise OSError("no disk")

    with pytest.raises(OSError, match="no disk"):
        manager.rotate(NAME, publish_in_vain)
    assert service.kinds == [("named", True), ("next", True)]


def test_late_delete_meets_no_token_in_use(
    connect: Connect, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that the service does long after it was asked; the next rotation is done by then."""
    delete, late = Store.delete, threading.Event()
    first = iter([True])

    def slowly(store: Store, *ids: int) -> None:
        assert not next(first, False) or late.wait(30)
        delete(store, *ids)

    monkeypatch.setattr(Store, "delete", slowly)
    api = connect(retries=0)
    manager = TokenManager(api, service.sandbox.app_id)
    service.publish(manager.ensure(NAME))

    def publish_in_vain(_: stcloud.TokenDto) -> None:
        api.api_client.configuration.read_timeout = 2
        raise OSError("no disk")

    with pytest.raises(OSError, match="no disk"):
        manager.rotate(NAME, publish_in_vain)
    manager.rotate(NAME, service.publish)
    late.set()
    monkeypatch.setattr(Store, "delete", delete)
    manager.finish_rotations()
    assert [kind for kind in service.kinds if kind[1]] == [("named", True)]


def test_ensure_beside_a_rotation_takes_nothing_from_it(
    manager: TokenManager, api: stcloud.TokensApiControllerApi, service: Service
) -> None:
    """What one made in vain, another may have published."""
    slow = Actor(api, service.sandbox.app_id)
    slow.begin("ensure", lambda manager: manager.ensure(NAME))
    slow.go_on()  # it has seen that there is none
    service.publish(manager.ensure(NAME))
    slow.go_on()  # it has made one
    manager.rotate(NAME, service.publish)
    while slow.work:
        slow.go_on()
    assert service.kinds == [("named", True), ("off", False)]


def test_ensure_that_is_overtaken_returns_no_dead_token(
    manager: TokenManager, api: stcloud.TokensApiControllerApi, service: Service
) -> None:
    """It gives the name to a token that was replaced meanwhile; a person has to look."""
    slow = Actor(api, service.sandbox.app_id)
    slow.begin("ensure", lambda manager: manager.ensure(NAME))
    for _ in range(3):
        slow.go_on()  # it has made one, and is about to give it the name
    service.publish(manager.ensure(NAME))
    manager.rotate(NAME, service.publish)
    while slow.work:
        slow.go_on()
    assert [type(error) for error in slow.errors] == [stcloud.AmbiguousTokenException]


def test_ensure_whose_token_is_removed_meanwhile(
    api: stcloud.TokensApiControllerApi, service: Service
) -> None:
    """It does not return what is gone."""
    slow = Actor(api, service.sandbox.app_id)
    slow.begin("ensure", lambda manager: manager.ensure(NAME))
    for _ in range(4):
        slow.go_on()  # it has given the name, and is about to look
    api.delete_app_token1(service.sandbox.app_id, 789)
    slow.go_on()
    assert [type(error) for error in slow.errors] == [stcloud.MissingTokenException]


@pytest.mark.parametrize(
    "leftover", [{"enabled": False}, {"writeable": False}], ids=["disabled", "other rights"]
)
@pytest.mark.parametrize("mark", [token_names.new, token_names.next_])
def test_unfit_leftover_is_not_published(
    manager: TokenManager,
    api: stcloud.TokensApiControllerApi,
    service: Service,
    mark: Callable[[str], str],
    leftover: dict[str, bool],
) -> None:
    """A person disabled it, or it was made for something else."""
    service.publish(manager.ensure(NAME))
    rights = {name: value for name, value in leftover.items() if name != "enabled"}
    api.create_app_token({"name": mark(NAME), **rights}, service.sandbox.app_id)
    if "enabled" in leftover:
        api.update_app_token(leftover, service.sandbox.app_id, 790)
    current = manager.rotate(NAME, service.publish).token
    assert current is not None
    assert (current.id, current.enabled, current.writeable) == (791, True, True)
    assert "next" not in dict(service.kinds)  # whoever had it has got the current one


def test_successor_that_is_disabled_while_it_is_published(
    manager: TokenManager, api: stcloud.TokensApiControllerApi, service: Service
) -> None:
    """The predecessor is left as it was."""
    service.publish(manager.ensure(NAME))

    def publish(token: stcloud.TokenDto) -> None:
        api.update_app_token({"enabled": False}, service.sandbox.app_id, token.id or 0)

    with pytest.raises(stcloud.TokenDriftException, match="790"):
        manager.rotate(NAME, publish)
    assert service.kinds == [("named", True), ("next", False)]


@pytest.mark.parametrize("field", ["readable", "writeable", "token", "tokens"])
def test_what_the_service_does_not_tell_is_not_guessed(
    manager: TokenManager, service: Service, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    """Neither rights, nor a value to publish, nor that there are no tokens."""
    manager.ensure(NAME)
    if field == "tokens":
        service.sandbox.fail_next("get_app_tokens1", Fault.body(b'{"success": true}'))
    else:
        tokens = Store.tokens
        monkeypatch.setattr(
            Store, "tokens", lambda *ids: [{**token, field: None} for token in tokens(*ids)]
        )
    with pytest.raises(stcloud.TokenManagerException, match="the service"):
        manager.rotate(NAME, print)
    assert ("named", True) in service.kinds
    assert ("old", True) not in service.kinds


def test_token_with_other_rights_than_asked_for_is_not_published(
    manager: TokenManager, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service has its own mind."""
    service.publish(manager.ensure(NAME))
    create = Store.create
    monkeypatch.setattr(
        Store,
        "create",
        lambda store, app_id, fields: create(store, app_id, {**fields, "writeable": False}),
    )
    with pytest.raises(stcloud.TokenDriftException, match="'writeable': False"):
        manager.rotate(NAME, service.publish)
    assert len(service.published) == 1


def test_ensure_takes_no_disabled_leftover(
    manager: TokenManager, api: stcloud.TokensApiControllerApi, service: Service
) -> None:
    """A person has disabled it."""
    create(api, service.sandbox, token_names.new(NAME))
    api.update_app_token({"enabled": False}, service.sandbox.app_id, 789)
    assert manager.ensure(NAME, enable=True).id == 790


async def coroutine(_: stcloud.TokenDto) -> None: ...


async def asynchronous_generator(_: stcloud.TokenDto) -> AsyncIterator[None]:
    yield None


def generator(_: stcloud.TokenDto) -> Iterator[None]:
    yield


@pytest.mark.parametrize("publish", [coroutine, asynchronous_generator, generator])
def test_what_has_not_run_has_not_published(
    manager: TokenManager, service: Service, publish: Callable[[stcloud.TokenDto], object]
) -> None:
    """A coroutine or a generator would never run."""
    manager.ensure(NAME)
    with pytest.raises(TypeError, match="plain function"):
        manager.rotate(NAME, publish)
    assert service.kinds == [("named", True)]


def test_lost_answer_of_a_change_is_no_failure(connect: Connect, service: Service) -> None:
    """The list tells that it was made."""
    manager = TokenManager(connect(retries=0), service.sandbox.app_id)
    service.sandbox.fail_next("update_app_token", Fault.lost_answer())
    assert manager.ensure(NAME).name == NAME
    service.sandbox.fail_next("update_app_token", Fault.lost_answer(), 4)
    rotation = manager.rotate(NAME, service.publish)
    assert service.kinds == [("named", True), ("off", False)]
    assert [step.step for step in rotation.done] == ["create", "publish"]


def test_one_name_holds_up_no_other(
    manager: TokenManager, service: Service, api: stcloud.TokensApiControllerApi
) -> None:
    """Its failure is raised when the others are done."""
    long_ago = datetime(2026, 1, 1, tzinfo=UTC)
    for name in ("one", "two"):
        create(api, service.sandbox, name)
        create(api, service.sandbox, token_names.old(name, 1, long_ago))
    service.sandbox.fail_next("update_app_token", Fault.status(403))
    with pytest.raises(stcloud.ForbiddenException):
        manager.finish_rotations()
    assert service.kinds == [("named", True), ("named", True), ("off", False), ("old", True)]


def test_dates_are_utc(manager: TokenManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the manager runs."""
    monkeypatch.setenv("TZ", "XXX-9")
    time.tzset()
    try:
        manager.ensure(NAME)
        (due,) = manager.rotate(NAME, lambda _: None, overlap=HOUR).due
        assert HOUR - timedelta(minutes=1) < due.at - datetime.now(UTC) < HOUR * 1.1
        assert manager.finish_rotations()[0].due == (due,)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_exceptions_can_be_pickled(manager: TokenManager) -> None:
    """As those of calls can."""
    manager.ensure(NAME)
    with pytest.raises(stcloud.TokenDriftException) as raised:
        manager.ensure(NAME, readable=False)
    copied = pickle.loads(pickle.dumps(raised.value))  # our own
    assert str(copied) == str(raised.value)
    assert (copied.wanted, copied.found) == (raised.value.wanted, raised.value.found)


def test_failures_hold_no_value(manager: TokenManager, service: Service) -> None:
    """Not even in the answer's body, which other calls keep."""
    value = manager.ensure(NAME).token
    body = json.dumps({"data": {"tokens": 5, "token": value}, "success": True}).encode()
    for operation in ("get_app_tokens1", "create_app_token"):
        service.sandbox.fail_next(operation, Fault.body(body, committed=False))
        with pytest.raises(stcloud.UnexpectedResponseException) as raised:
            manager.rotate(NAME, print)
        assert str(value) not in repr(vars(raised.value))


def test_unreadable_answers_are_forgotten(manager: TokenManager, service: Service) -> None:
    """The parser's error holds all that it was given, so it is not kept either."""
    manager.ensure(NAME)
    service.sandbox.fail_next("get_app_tokens1", Fault.body(b'{"token": "secret value'))
    with pytest.raises(stcloud.UnexpectedResponseException) as raised:
        manager.find(NAME)
    assert (raised.value.__cause__, raised.value.__context__) == (None, None)


# What is told.


def test_steps_are_told_without_secrets(
    api: stcloud.TokensApiControllerApi, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """To the observer and to the logger, in the same words."""
    events: list[Event] = []
    manager = TokenManager(api, service.sandbox.app_id, observer=events.append)
    with caplog.at_level(logging.DEBUG, "stcloud"):
        manager.ensure(NAME)
        service.sandbox.fail_next("update_app_token", Fault.status(400))
        with pytest.raises(stcloud.BadRequestException):
            manager.rotate(NAME, service.publish)
        manager.rotate(NAME, service.publish)
    values = {token["token"] for token in service.tokens}
    records = [vars(record) for record in caplog.records]
    names = [f"stcloud_manager_{name}" for name in Event._fields]
    told = [tuple(map(record.get, names)) for record in records if names[0] in record]
    assert told == events
    assert [(*event[:2], event.token_id, event.outcome) for event in events[:4]] == [
        ("ensure", "create", 789, "done"),
        ("ensure", "promote", 789, "done"),
        ("rotate", "create", 790, "done"),
        ("rotate", "mark", 790, "BadRequestException"),
    ]
    digests = {hashlib.sha256(value.encode()).hexdigest()[:12] for value in values}
    assert {event.fingerprint for event in events} == digests
    everything = repr(events) + repr([vars(record) for record in caplog.records])
    assert not any(value in everything for value in values)


def test_attempts_are_told(connect: Connect, service: Service) -> None:
    """Those of the requests, whether they succeed at last or not."""
    events: list[Event] = []
    manager = TokenManager(connect(), service.sandbox.app_id, observer=events.append)
    service.sandbox.fail_next("update_app_token", Fault.status(503), 2)
    manager.ensure(NAME)
    service.sandbox.fail_next("update_app_token", Fault.status(503), 9)
    with pytest.raises(stcloud.ServiceException):
        manager.rotate(NAME, print)
    attempts = [(event.step, event.attempts) for event in events]
    assert attempts == [("create", 1), ("promote", 3), ("create", 1), ("mark", 3)]


def test_observer_that_raises_stops_nothing(
    api: stcloud.TokensApiControllerApi, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged."""

    def observer(_: Event) -> None:
        raise ZeroDivisionError

    manager = TokenManager(api, service.sandbox.app_id, observer=observer)
    assert manager.ensure(NAME).name == NAME
    assert "the observer failed" in caplog.text


def test_failed_observer_is_told_without_what_publish_raised(
    api: stcloud.TokensApiControllerApi, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """It may hold the value."""

    def observer(_: Event) -> None:
        raise OSError("no network")

    def publish(token: stcloud.TokenDto) -> None:
        raise ValueError(f"cannot write {token.token}")

    manager = TokenManager(api, service.sandbox.app_id, observer=observer)
    manager.ensure(NAME)
    with pytest.raises(ValueError, match="cannot write"):
        manager.rotate(NAME, publish)
    assert "no network" in caplog.text
    assert "cannot write" not in caplog.text


@pytest.mark.parametrize("step", ["look", "disable"])
def test_rotation_that_has_succeeded_is_no_failure(
    api: stcloud.TokensApiControllerApi,
    service: Service,
    caplog: pytest.LogCaptureFixture,
    step: str,
) -> None:
    """Once the name is passed on, what cannot be done stays due."""

    def fail(number: int, method: str) -> None:
        if number >= (7 if step == "look" else 8):  # after the promotion
            service.sandbox.fail_next(method, Fault.status(503), 3)

    manager = TokenManager(api, service.sandbox.app_id)
    service.publish(manager.ensure(NAME))
    meddled: Any = Meddled(api, before=fail)
    rotation = TokenManager(meddled, service.sandbox.app_id).rotate(NAME, service.publish)
    assert rotation.token is not None
    assert (rotation.token.id, rotation.token.name) == (790, NAME)
    assert [(step.step, step.token_id) for step in rotation.due] == [("disable", 789)]
    assert "what is due is not done" in caplog.text
    service.forget_faults()
    manager.finish_rotations()
    assert service.kinds == [("named", True), ("off", False)]


# Every fault at every step.


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
            result = getattr(self._api, method)(*arguments)
            self._after(number, method.removesuffix("_with_http_info"))
            return result

        return call


class Operation:
    """What is cut off at each of its steps: how it is prepared, what is done, and how it ends.

    ``leaves`` is what may be left beside that, until it is due.
    """

    def __init__(
        self,
        act: Callable[[TokenManager, Service], object],
        end: list[tuple[str, bool]],
        prepare: Callable[[TokenManager, Service, Clock], object] = nothing,
        leaves: tuple[tuple[str, bool], ...] = (),
    ) -> None:
        self.act = act
        self.end = end
        self.prepare = prepare
        self.leaves = leaves


def prepare_rotation(manager: TokenManager, service: Service, _: Clock) -> None:
    service.publish(manager.ensure(NAME))


def rotate_in_vain(manager: TokenManager, _: Service) -> None:
    with suppress(ZeroDivisionError):
        manager.rotate(NAME, raise_it)


def raise_it(_: stcloud.TokenDto) -> None:
    raise ZeroDivisionError


def prepare_overlap(manager: TokenManager, service: Service, clock: Clock) -> None:
    prepare_rotation(manager, service, clock)
    manager.rotate(NAME, service.publish, overlap=HOUR)
    clock.ahead = HOUR * 2


def prepare_end(manager: TokenManager, service: Service, clock: Clock) -> None:
    prepare_overlap(manager, service, clock)
    manager.finish_rotations()
    clock.ahead = DAY * 2


OPERATIONS = {
    "ensure": Operation(lambda manager, _: manager.ensure(NAME), [("named", True)]),
    "rotate": Operation(
        lambda manager, service: manager.rotate(NAME, service.publish),
        [("named", True), ("off", False)],
        prepare_rotation,
    ),
    "rotate with overlap": Operation(
        lambda manager, service: manager.rotate(NAME, service.publish, overlap=HOUR),
        [("named", True), ("old", True)],
        prepare_rotation,
    ),
    "rotate in vain": Operation(
        rotate_in_vain,
        [("named", True)],
        prepare_rotation,
        (("next", True), ("old", True), ("old", False), ("off", False)),
    ),
    "finish: disable": Operation(
        lambda manager, _: manager.finish_rotations(),
        [("named", True), ("off", False)],
        prepare_overlap,
    ),
    "finish: delete": Operation(
        lambda manager, _: manager.finish_rotations(), [("named", True)], prepare_end
    ),
}
FAULTS = {
    "lost before the write": Fault.reset(),
    "lost after the write": Fault.lost_answer(),
    "cut off": Fault.cut_body(),
    "429": Fault.status(429),
    "503": Fault.status(503),
    "500 after the write": Fault.status(500, committed=True),
    "time-out before the write": Fault.hang(9),
    "time-out after the write": Fault.hang(9, committed=True),
    "not what the API describes": Fault.body(b"[]"),
    "not done": Fault.body(b'{"success": false}', committed=False),
}


def rerun(operation: Operation, manager: TokenManager, service: Service) -> None:
    """Do again what failed, until it succeeds."""
    for _ in range(3):
        try:
            operation.act(manager, service)
        except (stcloud.ApiException, stcloud.TokenManagerException):
            continue
        return
    raise AssertionError("it fails again and again")


def assert_ended(service: Service, operation: Operation, case: object, *leaves: object) -> None:
    """All is as without a failure, but for what may be left, and a published token is current."""
    left = Counter(service.kinds)
    left.subtract(operation.end)
    assert min(left.values()) >= 0, case
    assert {*left.elements()} <= {*operation.leaves, *leaves}, (case, service.tokens)
    current = [token for token in service.tokens if token["name"] == NAME]
    assert len(current) == 1, case
    assert not service.published or current[0]["token"] in service.published, case


def assert_settles(manager: TokenManager, service: Service, clock: Clock) -> None:
    """Whatever was cut off, another rotation and some time later only its token is left."""
    service.publish(manager.ensure(NAME))
    manager.rotate(NAME, service.publish)
    for _ in range(2):
        clock.ahead += 2 * DAY
        manager.finish_rotations()
    assert service.kinds == [("named", True)]


@pytest.mark.parametrize("times", [1, 9], ids=["once", "in all attempts"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", OPERATIONS)
def test_fault_at_each_step(
    connect: Connect, service: Service, clock: Clock, name: str, fault: str, times: int
) -> None:
    """A published token is enabled at every moment, and the next call ends in the same place."""
    operation, sandbox = OPERATIONS[name], service.sandbox
    api = connect()
    settings = api.api_client.configuration
    number = failed = 0
    while True:
        service.reset()
        clock.ahead = timedelta(0)
        manager = TokenManager(api, sandbox.app_id)
        operation.prepare(manager, service, clock)

        def fail(at: int, method: str, number: int = number) -> None:
            if at == number:
                sandbox.fail_next(method, FAULTS[fault], times)
            is_hanging = FAULTS[fault].seconds and sandbox.pending_faults
            settings.read_timeout = 0.15 if is_hanging else 30  # in case the machine is slow

        meddled: Any = Meddled(api, before=fail)
        try:
            operation.act(TokenManager(meddled, sandbox.app_id), service)
            has_failed = False
        except (stcloud.ApiException, stcloud.TokenManagerException):
            has_failed = True
        service.forget_faults()
        settings.read_timeout = 30
        if number >= meddled.requests:
            break  # the whole operation went by without a fault
        assert_steps(service)
        if has_failed:
            failed += 1
            rerun(operation, manager, service)
        manager.finish_rotations()  # as a scheduler does, sooner or later
        assert_ended(service, operation, number)
        assert_settles(manager, service, clock)
        number += 1
    assert number >= 2
    assert failed or times == 1


def assert_steps(service: Service) -> None:
    """At no time has more than one token the name, or a date that was not reached ended."""
    assert [kind for kind, _ in service.kinds].count("named") <= 1


# Killed at every step.

KILLED = textwrap.dedent(
    """
    import json, os, signal, sys
    from datetime import UTC, timedelta
    import stcloud
    from stcloud import token_manager

    def cut_off(host, key, file, operation, ahead, cut):
        client = stcloud.ApiClient(stcloud.Configuration(host=host, api_key=key))
        api = stcloud.TokensApiControllerApi(client)
        now = token_manager._now
        token_manager._now = lambda: now() + timedelta(hours=ahead)
        points = iter(range(999))

        def point():
            if next(points) == cut:
                os.kill(os.getpid(), signal.SIGKILL)

        class Killing:
            def __getattr__(self, method):
                def call(*arguments):
                    point()
                    result = getattr(api, method)(*arguments)
                    point()
                    return result
                return call

        def publish(token):
            point()
            if operation == "rotate in vain":
                raise OSError
            with open(file, "a") as published:
                published.write(f"{token.token}\\n")
            point()

        manager = stcloud.TokenManager(Killing(), 789)
        if operation == "ensure":
            manager.ensure("shipper")
        elif operation.startswith("rotate"):
            hours = 1 if "overlap" in operation else 0
            try:
                manager.rotate("shipper", publish, overlap=timedelta(hours=hours))
            except OSError:
                pass
        else:
            manager.finish_rotations()

    for line in sys.stdin:
        child = os.fork()
        if not child:
            cut_off(**json.loads(line))
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        os.write(1, f"{os.waitstatus_to_exitcode(status)}\\n".encode())
    """
)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kill -9 needs POSIX")
@pytest.mark.parametrize("name", OPERATIONS)
def test_kill_at_each_step(connect: Connect, service: Service, clock: Clock, name: str) -> None:
    """A process is killed before and after each request, and before and after publishing."""
    operation, sandbox = OPERATIONS[name], service.sandbox
    source = str(Path(stcloud.__file__).parents[1])
    program = f"import sys; sys.path.insert(0, {source!r})\n{KILLED}"
    command = [sys.executable, "-c", program]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        killed = 0
        while True:
            service.reset()
            clock.ahead = timedelta(0)
            manager = TokenManager(connect(), sandbox.app_id)
            operation.prepare(manager, service, clock)
            case = {
                "host": sandbox.url,
                "key": sandbox.api_key,
                "file": str(service.file),
                "operation": name,
                "ahead": clock.ahead / HOUR,
                "cut": killed,
            }
            process.stdin.write(json.dumps(case) + "\n")
            code = int(process.stdout.readline())
            if code == 0:
                break
            assert code == -9
            rerun(operation, manager, service)
            twice = operation.end[1:]  # a rotation may have succeeded before
            assert_ended(service, operation, killed, *twice)
            assert_settles(manager, service, clock)
            killed += 1
        process.stdin.close()
    assert killed >= 4


# Two managers at once, request by request.


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
        threading.Thread(target=self._do, args=(call,)).start()
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


@pytest.fixture(params=[1, -1], ids=["oldest first", "newest first"])
def either_order(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service lists tokens in either order."""
    tokens, order = Store.tokens, request.param
    monkeypatch.setattr(Store, "tokens", lambda store, app_id: tokens(store, app_id)[::order])


@pytest.mark.usefixtures("either_order")
@pytest.mark.parametrize("work", ["ensure", "rotate"])
def test_two_that_make_a_token_at_once_take_the_same(
    api: stcloud.TokensApiControllerApi,
    service: Service,
    clock: Clock,
    work: str,
) -> None:
    """Wherever the one is when the other does all, and in whichever order tokens are listed."""
    sandbox, manager = service.sandbox, TokenManager(api, service.sandbox.app_id)
    for steps in range(9):
        service.reset()
        slow = Actor(api, sandbox.app_id)
        handed: list[int | None] = []
        if work == "ensure":
            slow.begin(work, lambda manager: handed.append(manager.ensure(NAME).id))  # noqa: B023
        else:
            manager.ensure(NAME)
            slow.begin(work, lambda one: one.rotate(NAME, lambda token: handed.append(token.id)))  # noqa: B023
        for _ in range(steps):
            if slow.work:
                slow.go_on()
        if work == "ensure":
            handed.append(manager.ensure(NAME).id)
        else:
            manager.rotate(NAME, lambda token: handed.append(token.id))  # noqa: B023
        while slow.work:
            slow.go_on()
        assert slow.failure is None
        current = manager.find(NAME)
        assert current is not None
        assert current.id == max(handed, key=lambda number: number or 0)
        left = [kind for kind, _ in service.kinds if kind in ("named", "next")]
        assert left == ["named"], (steps, service.tokens)
        clock.ahead += HOUR + timedelta(seconds=2)
        manager.finish_rotations()  # what one of both has made in vain
        assert "new" not in dict(service.kinds)
        if work == "ensure":
            assert len(set(handed)) == 1


@pytest.mark.usefixtures("either_order")
@pytest.mark.parametrize("work", ["ensure", "rotate"])
def test_two_that_have_each_made_a_token_take_the_first(
    api: stcloud.TokensApiControllerApi,
    service: Service,
    work: str,
) -> None:
    """The one that made the second one, too, whichever comes to its end first."""
    actors = [Actor(api, service.sandbox.app_id) for _ in range(2)]
    handed: list[int | None] = []
    if work == "rotate":
        TokenManager(api, service.sandbox.app_id).ensure(NAME)
    for actor in actors:
        if work == "ensure":
            actor.begin(work, lambda manager: handed.append(manager.ensure(NAME).id))
        else:
            actor.begin(work, lambda one: one.rotate(NAME, lambda token: handed.append(token.id)))
    for _ in range(2):
        for actor in actors:
            actor.go_on()
    assert service.kinds.count(("new", True)) == 2
    for actor in reversed(actors):
        while actor.work:
            actor.go_on()
    assert handed == [789, 789] if work == "ensure" else [790, 790]


class TwoManagers(RuleBasedStateMachine):
    """Every operation beside every other; of rotations, one at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        sandbox = self.stack.enter_context(Sandbox())
        patch = self.stack.enter_context(pytest.MonkeyPatch.context())
        folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        self.clock = Clock(patch)
        self.service = Service(sandbox, patch, Path(folder, "published"))
        policy = stcloud.RetryPolicy(backoff=0.001)
        configuration = stcloud.Configuration(
            host=sandbox.url, api_key=sandbox.api_key, retries=policy
        )
        client = self.stack.enter_context(stcloud.ApiClient(configuration))
        self.api = stcloud.TokensApiControllerApi(client)
        self.actors = [Actor(self.api, sandbox.app_id) for _ in range(2)]

    @rule(
        number=st.integers(0, 1),
        work=st.sampled_from(["ensure", "finish", "rotate", "rotate", "rotate badly", "overlap"]),
    )
    def begin(self, number: int, work: str) -> None:
        actor, other = self.actors[number], self.actors[1 - number]
        rotates = ("rotate", "rotate badly", "overlap")
        if actor.work or (work in rotates and other.work in rotates):
            return
        calls: dict[str, Callable[[TokenManager], object]] = {
            "ensure": lambda manager: self.service.publish(manager.ensure(NAME)),
            "finish": lambda manager: manager.finish_rotations(),
            "rotate": lambda manager: manager.rotate(NAME, self.service.publish),
            "rotate badly": lambda manager: manager.rotate(NAME, raise_it),
            "overlap": lambda manager: manager.rotate(NAME, self.service.publish, overlap=HOUR),
        }
        actor.begin(work, calls[work])

    @rule(number=st.integers(0, 1), times=st.integers(1, 9))
    def go_on(self, number: int, times: int) -> None:
        for _ in range(times):
            if self.actors[number].work:
                self.actors[number].go_on()

    @rule(number=st.integers(0, 1))
    def kill(self, number: int) -> None:
        if self.actors[number].work:
            self.actors[number].go_on(killed=True)

    @rule(fault=st.sampled_from([*FAULTS.values()][:6]))
    def fail(self, fault: Fault) -> None:
        self.service.sandbox.fail_next(None, fault)

    @rule(hours=st.sampled_from([1, 2, 30]))
    def wait(self, hours: int) -> None:
        self.clock.ahead += hours * HOUR

    @invariant()
    def holds(self) -> None:
        assert not self.service.broken
        assert not [actor.failure for actor in self.actors if actor.failure]
        assert_steps(self.service)

    def teardown(self) -> None:
        try:
            for actor in self.actors:
                while actor.work:
                    actor.go_on()
            self.holds()
            self.service.forget_faults()
            manager = TokenManager(self.api, self.service.sandbox.app_id)
            assert_settles(manager, self.service, self.clock)
            self.holds()
        finally:
            self.stack.close()


TwoManagers.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
test_two_managers_at_once = TwoManagers.TestCase
