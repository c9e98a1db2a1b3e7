"""How `rotate` replaces a token, and what `publish` may do."""

from copy import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from managed_tokens import (
    DAY,
    HOUR,
    NAME,
    Clock,
    Connect,
    Meddled,
    Service,
    create,
    raise_it,
)

import stcloud
from stcloud import TokenManager
from stcloud.sandbox import Fault
from stcloud.sandbox.store import Store
from stcloud.token_manager import Event


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
        ("create", 1002),
        ("publish", 1002),
        ("retire", 1001),
        ("promote", 1002),
        ("disable", 1001),
    ]
    (due,) = rotation.due
    assert (due.step, due.token_id) == ("delete", 1001)
    assert DAY - HOUR < due.at - datetime.now(UTC) <= DAY + timedelta(seconds=1)


def test_rotation_with_overlap(manager: TokenManager, service: Service, clock: Clock) -> None:
    """Each date is kept: enabled, then disabled, then deleted, each in a call of its own."""
    service.publish(manager.ensure(NAME))
    rotation = manager.rotate(NAME, service.publish, overlap=HOUR)
    assert [step.step for step in rotation.due] == ["disable"]
    assert rotation.due[0].at >= datetime.now(UTC) + HOUR - timedelta(seconds=5)
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


@pytest.mark.parametrize("end", [OSError, KeyboardInterrupt, SystemExit])
def test_publish_that_raises_changes_nothing(
    end: type[BaseException], connect: Connect, service: Service
) -> None:
    """Readers that have the new token can use it; the next rotation hands out the same one."""
    requests: list[str] = []
    api: Any = Meddled(connect(), before=lambda _, method: requests.append(method))
    manager = TokenManager(api, service.sandbox.app_id)
    service.publish(manager.ensure(NAME))

    def publish(token: stcloud.TokenDto) -> None:
        service.reset_to(token)
        requests.clear()
        raise end("no disk")

    for _ in range(3):
        with pytest.raises(end, match="no disk"):
            manager.rotate(NAME, publish)
        assert not requests
        assert service.kinds == [("named", True), ("next", True)]
    (waiting,) = manager.finish_rotations()
    assert [(step.step, step.token_id) for step in waiting.due] == [("publish", 1002)]
    rotation = manager.rotate(NAME, service.publish)
    assert rotation.token is not None
    assert rotation.token.id == 1002
    assert service.kinds == [("named", True), ("off", False)]


@pytest.mark.parametrize(
    ("last", "due"),
    [
        ("promote", [("disable", 1001), ("disable", 1002)]),
        ("disable", [("delete", 1001), ("disable", 1002)]),
    ],
)
def test_rotation_that_succeeds_tells_what_it_has_left(
    last: str, due: list[tuple[str, int]], connect: Connect, service: Service, clock: Clock
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
    assert [(step.step, step.token_id) for step in rotation.due] == due


def test_entries_without_an_id_are_no_tokens(
    api: stcloud.TokensApiControllerApi, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing could be done with them."""
    tokens = Store.tokens
    odd = {"name": NAME, "enabled": True}
    monkeypatch.setattr(Store, "tokens", lambda store, app_id: [*tokens(store, app_id), None, odd])
    assert TokenManager(api, service.sandbox.app_id).find(NAME) is None


def test_publish_may_return_any_object(manager: TokenManager, service: Service) -> None:
    """Also one that raises for every attribute."""

    class Unbound:
        def __getattr__(self, name: str) -> object:
            raise RuntimeError(name)

    service.publish(manager.ensure(NAME))
    manager.rotate(NAME, lambda token: service.publish(token) or Unbound())  # type: ignore[func-returns-value]
    assert service.kinds == [("named", True), ("off", False)]


def test_finish_rotations_reads_the_list_once_if_nothing_is_due(
    connect: Connect, service: Service
) -> None:
    """However many names there are; after a step, again."""
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
    for each in (name, f"{name} [old, next is 1001, disable after 2026-01-01T00:00:00Z]"):
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


def test_nothing_to_rotate(manager: TokenManager) -> None:
    """The error says what to do."""
    with pytest.raises(stcloud.MissingTokenException, match=r"'shipper', \.\.\., create=True"):
        manager.rotate(NAME, print)


def test_first_token_is_made_and_published(manager: TokenManager, service: Service) -> None:
    """Once; and what follows it has its rights, not those that a first one would have."""
    for number, readable in ((1001, False), (1002, True)):
        token = manager.rotate(NAME, service.publish, create=True, readable=readable).token
        assert token is not None
        assert token.token in service.published
        assert (token.id, token.name) == (number, NAME)
        assert (token.readable, token.writeable) == (False, True)
    assert service.kinds == [("named", True), ("off", False)]


def test_first_publication_that_failed_is_done_again(
    manager: TokenManager, service: Service
) -> None:
    """By the next call, however young the token is; until then it is due."""
    with pytest.raises(ZeroDivisionError):
        manager.rotate(NAME, raise_it, create=True)
    (state,) = manager.status()
    assert (state.token, state.warnings) == (None, ())
    assert [(step.step, step.token_id) for step in state.due] == [("publish", 1001)]
    manager.finish_rotations()  # leaves it to rotate
    with pytest.raises(stcloud.MissingTokenException):
        manager.rotate(NAME, service.publish)
    manager.rotate(NAME, service.publish, older_than=DAY, create=True)
    assert service.kinds == [("named", True)]
    assert manager.status()[0].warnings == ()


def test_first_token_has_the_wanted_rights(manager: TokenManager, service: Service) -> None:
    """One that a call with other rights has left is not taken for it."""
    for right in (True, False):
        with pytest.raises(ZeroDivisionError):
            manager.rotate(NAME, raise_it, create=True, writeable=right)
    rotation = manager.rotate(NAME, service.publish, create=True, writeable=False)
    assert rotation.token is not None
    assert (rotation.token.id, rotation.token.writeable) == (1002, False)


@pytest.mark.parametrize("argument", ["create", "readable", "writeable"])
def test_arguments_of_a_first_token_are_true_or_false(
    argument: str, manager: TokenManager, service: Service
) -> None:
    """Anything else is refused before anything is sent."""
    with pytest.raises(TypeError, match=f"{argument} must be bool"):
        manager.rotate(NAME, print, **{argument: 1})  # type: ignore[arg-type]
    assert service.sandbox.requests == []


def test_successor_that_was_removed_meanwhile(
    manager: TokenManager, service: Service, api: stcloud.TokensApiControllerApi
) -> None:
    """The predecessor is not touched."""
    service.publish(manager.ensure(NAME))

    def publish(token: stcloud.TokenDto) -> None:
        api.delete_app_token1(service.sandbox.app_id, token.id or 0)

    with pytest.raises(stcloud.MissingTokenException, match="1002"):
        manager.rotate(NAME, publish)
    assert service.kinds == [("named", True)]
