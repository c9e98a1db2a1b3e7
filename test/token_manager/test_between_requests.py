"""What the service or another manager does between two requests of a manager."""

import json
import pickle
import time
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from managed_tokens import FAULTS, HOUR, NAME, Actor, Connect, Service, create

import stcloud
from stcloud import TokenManager
from stcloud.sandbox import Fault
from stcloud.sandbox.store import Store
from stcloud.token_manager import names


@pytest.mark.parametrize("fault", ["lost after the write", "500 after the write"])
def test_lost_response_is_no_failure(manager: TokenManager, service: Service, fault: str) -> None:
    """What was made all the same is found, so that nothing is made twice, and nothing raised."""
    service.sandbox.fail_next("create_app_token", FAULTS[fault])
    service.publish(manager.ensure(NAME))
    assert service.kinds == [("named", True)]
    service.sandbox.fail_next("create_app_token", FAULTS[fault])
    manager.rotate(NAME, service.publish)
    assert service.kinds == [("named", True), ("off", False)]


def test_overlap_is_not_cut_short(manager: TokenManager) -> None:
    """Names have whole seconds; the date is rounded up."""
    with time_machine.travel(datetime(2026, 3, 1, 8, 0, 0, 500_000, UTC), tick=False):
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
    with pytest.raises(stcloud.TokenManagerException, match="1001 'shi', not 'shipper'"):
        manager.ensure(NAME)


def test_service_that_changes_names_is_told_when_it_makes_a_token(
    manager: TokenManager, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the text shows the difference, if it is in how characters are written."""
    run = Store.create

    def create_decomposed(store: Store, app_id: int, fields: dict[str, Any]) -> Any:
        return run(store, app_id, {**fields, "name": unicodedata.normalize("NFD", fields["name"])})

    monkeypatch.setattr(Store, "create", create_decomposed)
    with pytest.raises(stcloud.TokenManagerException, match=r"cafe\\u0301.* not 'caf\\xe9"):
        manager.ensure("caf\xe9")
    assert len(service.tokens) == 1


def test_token_without_an_id_is_none(
    manager: TokenManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be changed, so it cannot be managed."""
    without_id = {"name": names.NEW.format(NAME)}
    monkeypatch.setattr(Store, "tokens", lambda *_: [without_id])
    monkeypatch.setattr(Store, "create", lambda *_: without_id)
    with pytest.raises(stcloud.MissingTokenException, match="is not listed"):
        manager.ensure(NAME)


def test_responses_without_content(manager: TokenManager, service: Service) -> None:
    """A 201 may come without a body: the list shows what was made."""
    sandbox = service.sandbox
    sandbox.fail_next("create_app_token", Fault.body(b'{"success": true}'))
    sandbox.fail_next("update_app_token", Fault.body(b'{"success": true}'))
    made = manager.ensure(NAME)
    assert (made.id, made.name) == (1001, NAME)
    sandbox.fail_next("create_app_token", Fault.body(b'{"success": true}', committed=False))
    with pytest.raises(stcloud.MissingTokenException, match="is not listed"):
        manager.rotate(NAME, service.publish)


def test_ensure_beside_a_rotation_takes_nothing_from_it(
    manager: TokenManager, api: stcloud.TokensApiControllerApi, service: Service
) -> None:
    """What one made in vain, another may have published."""
    slow = Actor(api, service.sandbox.app_id)
    slow.begin("ensure", lambda manager: manager.ensure(NAME))
    slow.go_on()  # it has seen that no token exists
    service.publish(manager.ensure(NAME))
    slow.go_on()  # it has made one
    manager.rotate(NAME, service.publish)
    while slow.work:
        slow.go_on()
    assert service.kinds == [("named", True), ("new", True), ("off", False)]


def test_ensure_that_is_overtaken_returns_the_current_token(
    manager: TokenManager, api: stcloud.TokensApiControllerApi, service: Service
) -> None:
    """It gives the name to a token that was replaced meanwhile; the next rotation retires it."""
    slow = Actor(api, service.sandbox.app_id)
    returned: list[int | None] = []
    slow.begin("ensure", lambda manager: returned.append(manager.ensure(NAME).id))
    for _ in range(3):
        slow.go_on()  # it has made one, and is about to give it the name
    service.publish(manager.ensure(NAME))
    manager.rotate(NAME, service.publish)
    while slow.work:
        slow.go_on()
    assert returned == [1002]
    (rotation,) = manager.status()
    assert ("retire", 1001) in {(step.step, step.token_id) for step in rotation.due}
    manager.rotate(NAME, service.publish)
    assert [kind for kind in service.kinds if kind[1]] == [("named", True)]


@pytest.mark.parametrize("writeable", [True, False])
def test_first_rotation_beside_ensure(
    api: stcloud.TokensApiControllerApi, service: Service, manager: TokenManager, writeable: bool
) -> None:
    """It publishes the token that ensure has made meanwhile, if that has the wanted rights."""
    slow = Actor(api, service.sandbox.app_id)
    slow.begin("rotate", lambda manager: manager.rotate(NAME, service.publish, create=True))
    slow.go_on()  # it has seen that no token exists
    slow.go_on()  # it has made 1001
    made = manager.ensure(NAME, writeable=writeable)
    while slow.work:
        slow.go_on()
    assert service.published == ({made.token} if writeable else set())
    assert [type(error) for error in slow.errors] == (
        [] if writeable else [stcloud.TokenDriftException]
    )
    assert manager.ensure(NAME, writeable=writeable).id == made.id == 1002


def test_ensure_whose_token_is_removed_meanwhile(
    api: stcloud.TokensApiControllerApi, service: Service
) -> None:
    """It does not return what is gone."""
    slow = Actor(api, service.sandbox.app_id)
    slow.begin("ensure", lambda manager: manager.ensure(NAME))
    for _ in range(4):
        slow.go_on()  # it has set the name, and is about to look
    api.delete_app_token1(service.sandbox.app_id, 1001)
    slow.go_on()
    assert [type(error) for error in slow.errors] == [stcloud.MissingTokenException]


@pytest.mark.parametrize(
    "leftover", [{"enabled": False}, {"writeable": False}], ids=["disabled", "other rights"]
)
@pytest.mark.parametrize("mark", [names.NEW, names.NEXT], ids=["new", "next"])
def test_unfit_leftover_is_not_published(
    manager: TokenManager,
    api: stcloud.TokensApiControllerApi,
    service: Service,
    mark: str,
    leftover: dict[str, bool],
) -> None:
    """A person disabled it, or it was made for something else."""
    service.publish(manager.ensure(NAME))
    rights = {name: value for name, value in leftover.items() if name != "enabled"}
    api.create_app_token({"name": mark.format(NAME), **rights}, service.sandbox.app_id)
    if "enabled" in leftover:
        api.update_app_token(leftover, service.sandbox.app_id, 1002)
    current = manager.rotate(NAME, service.publish).token
    assert current is not None
    assert (current.id, current.enabled, current.writeable) == (1003, True, True)
    assert "next" not in dict(service.kinds)  # whoever had it has got the current one


def test_successor_that_is_disabled_while_it_is_published(
    manager: TokenManager, api: stcloud.TokensApiControllerApi, service: Service
) -> None:
    """The predecessor is left as it was."""
    service.publish(manager.ensure(NAME))

    def publish(token: stcloud.TokenDto) -> None:
        api.update_app_token({"enabled": False}, service.sandbox.app_id, token.id or 0)

    with pytest.raises(stcloud.TokenDriftException, match="1002"):
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
    with pytest.raises(stcloud.TokenDriftException, match="writeable=False"):
        manager.rotate(NAME, service.publish)
    assert len(service.published) == 1


def test_ensure_takes_no_disabled_leftover(
    manager: TokenManager, api: stcloud.TokensApiControllerApi, service: Service
) -> None:
    """A person has disabled it."""
    create(api, service.sandbox, names.NEW.format(NAME))
    api.update_app_token({"enabled": False}, service.sandbox.app_id, 1001)
    assert manager.ensure(NAME, enable=True).id == 1002


def test_lost_response_of_a_change_is_no_failure(connect: Connect, service: Service) -> None:
    """The client repeats it; where it may not, the next call goes on from there."""
    manager = TokenManager(connect(), service.sandbox.app_id)
    service.sandbox.fail_next("update_app_token", Fault.lost_response())
    assert manager.ensure(NAME).name == NAME
    service.sandbox.fail_next("update_app_token", Fault.lost_response(), 3)
    manager.rotate(NAME, service.publish)
    assert service.kinds == [("named", True), ("off", False)]
    manager = TokenManager(connect(retries=0), service.sandbox.app_id)
    service.sandbox.fail_next("update_app_token", Fault.lost_response())
    with pytest.raises(stcloud.ConnectionException):
        manager.rotate(NAME, service.publish)
    rotation = manager.rotate(NAME, service.publish)
    assert (rotation.done[0].step, rotation.done[0].token_id) == ("promote", 1003)


def test_one_name_holds_up_no_other(
    manager: TokenManager, service: Service, api: stcloud.TokensApiControllerApi
) -> None:
    """Its failure is raised when the others are done."""
    long_ago = datetime(2026, 1, 1, tzinfo=UTC)
    for name in ("one", "two"):
        create(api, service.sandbox, name)
        create(api, service.sandbox, names.OLD.format(name, 1, long_ago))
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
    """Not even in the response's body, which other calls keep."""
    value = manager.ensure(NAME).token
    body = json.dumps({"data": {"tokens": 5, "token": value}, "success": True}).encode()
    for operation in ("get_app_tokens1", "create_app_token"):
        service.sandbox.fail_next(operation, Fault.body(body, committed=False))
        with pytest.raises(stcloud.UnexpectedResponseException) as raised:
            manager.rotate(NAME, print)
        assert str(value) not in repr(vars(raised.value))


def test_unreadable_responses_are_forgotten(manager: TokenManager, service: Service) -> None:
    """The parser's error holds all of its input, so it is not kept either."""
    manager.ensure(NAME)
    service.sandbox.fail_next("get_app_tokens1", Fault.body(b'{"token": "secret value'))
    with pytest.raises(stcloud.UnexpectedResponseException) as raised:
        manager.find(NAME)
    assert (raised.value.__cause__, raised.value.__context__) == (None, None)


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("enabled", False, "token 1001, 'shipper [next]', is disabled"),
        ("enabled", None, "the service leaves out whether token 1001 is enabled"),
        ("readable", None, "the service leaves out the rights of token 1001"),
    ],
)
def test_token_that_is_not_as_it_was_made_is_explained(
    manager: TokenManager, monkeypatch: pytest.MonkeyPatch, field: str, value: Any, problem: str
) -> None:
    """It is listed, so it is not said to be missing."""
    tokens = Store.tokens
    monkeypatch.setattr(
        Store, "tokens", lambda *ids: [{**token, field: value} for token in tokens(*ids)]
    )
    with pytest.raises(stcloud.TokenManagerException) as raised:
        manager.rotate(NAME, print, create=True)
    assert str(raised.value).startswith(problem)
