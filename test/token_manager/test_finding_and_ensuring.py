"""What a name finds, and what `ensure` makes of it."""

from typing import Any

import pytest
from managed_tokens import DAY, HOUR, NAME, Service, create

import stcloud
from stcloud import TokenManager
from stcloud.sandbox import Sandbox
from stcloud.sandbox.store import Store


def test_find_finds_what_has_the_name(
    manager: TokenManager, api: stcloud.TokensApiControllerApi, sandbox: Sandbox
) -> None:
    """A token is found by its complete name."""
    assert manager.find(NAME) is None
    create(api, sandbox, f"{NAME} 2")
    create(api, sandbox, f"{NAME} [new]")
    assert manager.find(NAME) is None
    create(api, sandbox, NAME)
    found = manager.find(NAME)
    assert found is not None
    assert found.id == 1003


def test_newest_enabled_one_of_a_name_is_current(
    manager: TokenManager, api: stcloud.TokensApiControllerApi, service: Service
) -> None:
    """The service does not promise unique names; the next rotation retires the others."""
    for _ in range(3):
        create(api, service.sandbox, NAME)
    api.update_app_token({"enabled": False}, service.sandbox.app_id, 1003)
    assert manager.ensure(NAME).id == 1002
    (rotation,) = manager.status()
    assert [(step.step, step.token_id) for step in rotation.due] == [
        ("retire", 1001),
        ("retire", 1003),
    ]
    assert "token 1001 (enabled) has the name 'shipper', too; 1002 is current" in str(rotation)
    manager.rotate(NAME, service.publish)
    assert service.kinds == [("named", True)] + [("off", False)] * 3


def test_ensure_makes_one_and_finds_it_again(manager: TokenManager, service: Service) -> None:
    """It has the rights that were asked for."""
    made = manager.ensure(NAME, readable=False)
    assert (made.name, made.readable, made.writeable, made.enabled) == (NAME, False, True, True)
    assert manager.ensure(NAME, readable=False) == made
    assert [token["name"] for token in service.tokens] == [NAME]


def test_drift_is_told_and_left(manager: TokenManager) -> None:
    """Both sides are shown; nothing is changed."""
    made = manager.ensure(NAME, writeable=False)
    with pytest.raises(stcloud.TokenDriftException, match=r"1001.*pass writeable=False") as drift:
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
    with pytest.raises(
        stcloud.TokenDriftException,
        match="disabled: find out why, then ensure\\('shipper', enable=True\\)",
    ):
        manager.ensure(NAME)
    with pytest.raises(
        stcloud.TokenDriftException,
        match="disabled: find out why, then ensure\\('shipper', enable=True\\)",
    ):
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


def test_wrong_api_is_refused(api: stcloud.TokensApiControllerApi) -> None:
    """Where it is passed, not at the first call."""
    wrong: Any = api.api_client
    with pytest.raises(TypeError, match="api must be a TokensApiControllerApi, not ApiClient"):
        TokenManager(wrong, 789)
    with pytest.raises(ValueError, match=r"app_id must be .*: the number in that URL"):
        TokenManager(api, "https://apps.sematext.com/ui/apps/789")


def test_bad_durations_are_refused(
    api: stcloud.TokensApiControllerApi, manager: TokenManager
) -> None:
    """Before anything is sent."""
    for value, error in ((-HOUR, ValueError), (DAY * 40_000, ValueError), (60, TypeError)):
        wrong: Any = value
        with pytest.raises(error, match="overlap must"):
            manager.rotate(NAME, print, overlap=wrong)
        with pytest.raises(error, match="keep_disabled must"):
            TokenManager(api, 789, keep_disabled=wrong)


def test_advice_for_a_disabled_token_works(
    manager: TokenManager, api: stcloud.TokensApiControllerApi, sandbox: Sandbox
) -> None:
    """It has the rights that the token has."""
    token = manager.ensure(NAME, writeable=False)
    api.update_app_token({"enabled": False}, sandbox.app_id, token.id or 0)
    with pytest.raises(stcloud.TokenDriftException) as raised:
        manager.rotate(NAME, print)
    (state,) = manager.status()
    for text in (str(raised.value), *state.warnings):
        assert text.endswith(f", then ensure({NAME!r}, enable=True, writeable=False)")
    assert manager.ensure(NAME, enable=True, writeable=False).enabled


@pytest.mark.parametrize(
    ("field", "problem"),
    [
        ("readable", "the service leaves out the rights of token 1001"),
        ("enabled", "the service leaves out whether token 1001 is enabled"),
    ],
)
def test_what_the_service_leaves_out_is_no_drift(
    manager: TokenManager, monkeypatch: pytest.MonkeyPatch, field: str, problem: str
) -> None:
    """Nobody can pass None for it."""
    manager.ensure(NAME)
    tokens = Store.tokens
    monkeypatch.setattr(
        Store, "tokens", lambda *ids: [{**token, field: None} for token in tokens(*ids)]
    )
    for call in (manager.ensure, lambda name: manager.rotate(name, print)):
        with pytest.raises(stcloud.TokenManagerException) as raised:
            call(NAME)
        assert str(raised.value) == problem
