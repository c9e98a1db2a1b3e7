"""What an earlier rotation left, and what other people changed meanwhile."""

from datetime import UTC, datetime, timedelta

import pytest
from managed_tokens import DAY, HOUR, NAME, Actor, Clock, Service, create

import stcloud
from stcloud import TokenManager
from stcloud.sandbox import Fault, Sandbox
from stcloud.sandbox.store import Store
from stcloud.token_manager import names


def test_person_takes_a_token_back(
    manager: TokenManager, service: Service, api: stcloud.TokensApiControllerApi, clock: Clock
) -> None:
    """Enabled again, it is never deleted, whatever its name says."""
    service.publish(manager.ensure(NAME))
    manager.rotate(NAME, service.publish)
    api.update_app_token({"enabled": True}, service.sandbox.app_id, 1001)
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
    create(api, service.sandbox, names.NEW.format(NAME))
    for ahead, due, kind in (
        (timedelta(0), "disable", ("new", True)),
        (HOUR * 1.001, "delete", ("off", False)),
    ):
        clock.ahead = ahead
        (waiting,) = manager.finish_rotations()
        assert [(step.step, step.token_id) for step in waiting.due] == [(due, 1002)]
        assert service.kinds == [("named", True), kind]
    clock.ahead += DAY + timedelta(seconds=2)
    manager.finish_rotations()
    assert service.kinds == [("named", True)]


def test_token_of_unknown_age_is_not_abandoned(
    manager: TokenManager, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service need not report when a token was made; the next call takes it."""
    tokens = Store.tokens
    monkeypatch.setattr(
        Store, "tokens", lambda *ids: [{**token, "createdAt": None} for token in tokens(*ids)]
    )
    service.sandbox.fail_next("update_app_token", Fault.status(400))
    with pytest.raises(stcloud.BadRequestException):
        manager.ensure(NAME)
    assert manager.finish_rotations() == []
    assert service.kinds == [("new", True)]
    assert manager.ensure(NAME).id == 1001
    rotation = manager.rotate(NAME, service.publish, older_than=DAY)  # may be old
    assert rotation.token is not None
    assert rotation.token.id == 1002


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
def test_each_name_is_looked_at_again(
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
        api.delete_app_token1(service.sandbox.app_id, 1001)
    slow.go_on()  # and has disabled the first one's old token, if it is still there
    api.update_app_token({"name": "mine"}, service.sandbox.app_id, 1003)
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
    """Also where two have the same name, or none has one; of them, there is nothing to report."""
    for name in ("other", "other", None):
        api.create_app_token({"name": name}, service.sandbox.app_id)
    before = service.tokens
    clock.ahead = DAY * 9
    assert manager.finish_rotations() == []
    assert service.tokens == before
    assert not caplog.records


def test_cut_off_rotation_is_finished_by_whoever_comes(
    manager: TokenManager, service: Service, api: stcloud.TokensApiControllerApi
) -> None:
    """Publish has returned, for there is an old token: the next one gets the name."""
    for call in (manager.ensure, lambda _: manager.finish_rotations()[0].token):
        service.reset()
        create(api, service.sandbox, names.OLD.format(NAME, 1002, datetime.now(UTC) + HOUR))
        create(api, service.sandbox, names.NEXT.format(NAME))
        found = manager.find(NAME)
        assert found is not None
        assert found.id == 1002
        token = call(NAME)
        assert token is not None
        assert (token.id, token.name) == (1002, NAME)
        assert service.kinds == [("named", True), ("old", True)]


def test_published_one_of_two_is_current(
    manager: TokenManager, service: Service, api: stcloud.TokensApiControllerApi
) -> None:
    """An older one is enabled until the overlap of the published one ends."""
    create(api, service.sandbox, names.OLD.format(NAME, 1003, datetime.now(UTC) + HOUR))
    create(api, service.sandbox, names.NEXT.format(NAME))
    create(api, service.sandbox, names.NEXT.format(NAME))
    found = manager.find(NAME)
    assert found is not None
    assert found.id == 1003
    (rotation,) = manager.finish_rotations()
    assert [(step.step, step.token_id) for step in rotation.done] == [("promote", 1003)]
    assert {(step.step, step.token_id) for step in rotation.due} == {
        ("disable", 1001),
        ("disable", 1002),
    }


def test_old_token_tells_its_own_successor_only(
    manager: TokenManager, api: stcloud.TokensApiControllerApi, service: Service, clock: Clock
) -> None:
    """A person deletes the current one; the next one, never published, does not take its place."""
    service.publish(manager.ensure(NAME))
    manager.rotate(NAME, service.publish, overlap=HOUR)
    create(api, service.sandbox, names.NEXT.format(NAME))
    api.delete_app_token1(service.sandbox.app_id, 1002)
    assert manager.find(NAME) is None
    clock.ahead = 2 * HOUR
    (waiting,) = manager.finish_rotations()
    assert (waiting.token, waiting.done) == (None, ())
    assert [(step.step, step.token_id) for step in waiting.due] == [("publish", 1003)]
    assert service.kinds == [("next", True), ("old", True)]


@pytest.mark.parametrize("create_first", [True, False])
def test_successor_that_no_token_can_be_is_explained(
    manager: TokenManager,
    api: stcloud.TokensApiControllerApi,
    service: Service,
    create_first: bool,
) -> None:
    """A mistyped id in a mark: calling again would not help."""
    if not create_first:
        service.publish(manager.ensure(NAME))
    create(api, service.sandbox, names.OLD.format(NAME, 5000, datetime.now(UTC) + DAY))
    with pytest.raises(stcloud.TokenManagerException, match=r"has the successor 5000, .*: correct"):
        manager.rotate(NAME, service.publish, create=create_first)


def test_failed_creation_is_reported_though_the_successor_was_deleted(
    manager: TokenManager, api: stcloud.TokensApiControllerApi, service: Service
) -> None:
    """The mark of a token whose successor a person deleted is no mistake."""
    service.publish(manager.ensure(NAME))
    manager.rotate(NAME, service.publish, overlap=HOUR)
    api.delete_app_token1(service.sandbox.app_id, 1002)
    service.sandbox.fail_next("create_app_token", Fault.status(400))
    with pytest.raises(stcloud.BadRequestException):
        manager.rotate(NAME, service.publish, create=True)
    assert manager.rotate(NAME, service.publish, create=True).token is not None


def test_unpublished_successor_is_not_current(
    manager: TokenManager, api: stcloud.TokensApiControllerApi, sandbox: Sandbox
) -> None:
    """Nobody knows whether anyone has it."""
    create(api, sandbox, names.NEXT.format(NAME))
    assert manager.find(NAME) is None
    assert manager.ensure(NAME).id == 1002


def test_unused_token_with_other_rights_is_not_taken(
    manager: TokenManager, api: stcloud.TokensApiControllerApi, sandbox: Sandbox
) -> None:
    """It was made by a call that wanted another."""
    api.create_app_token({"name": names.NEW.format(NAME), "writeable": False}, sandbox.app_id)
    assert manager.ensure(NAME).id == 1002
