"""What the operations do."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import urllib3

from stcloud.sandbox import Sandbox

Ask = Callable[..., urllib3.BaseHTTPResponse]


def token(response: urllib3.BaseHTTPResponse) -> dict[str, Any]:
    assert response.status == 200
    found: dict[str, Any] = response.json()["data"]["token"]
    return found


def listed(ask: Ask, **options: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask("GET", **options).json()["data"]["tokens"]
    return found


def test_success_is_the_whole_envelope(ask: Ask) -> None:
    """A success has data, no errors, no message, and is JSON."""
    response = ask("GET")
    assert response.status == 200
    assert response.json() == {
        "data": {"tokens": []},
        "errors": [],
        "message": None,
        "success": True,
    }
    assert response.headers["Content-Type"] == "application/json"


def test_new_token_has_defaults(ask: Ask) -> None:
    """Without fields a token is enabled, readable, writeable and nameless, with the id 1001."""
    created = token(ask("POST", json={}))
    value, created_at = created.pop("token"), created.pop("createdAt")
    flags = {"enabled": True, "readable": True, "writeable": True}
    assert created == {"id": 1001, "name": None, **flags}
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", created_at)


@pytest.mark.parametrize("name", ["", "agent", "\0 'é' 令牌 🔑\n"])
def test_new_token_has_what_was_given(ask: Ask, name: str) -> None:
    """A name comes back as it was, whatever its characters, and so do the flags."""
    created = token(ask("POST", json={"name": name, "readable": False, "writeable": False}))
    assert (created["name"], created["readable"], created["writeable"]) == (name, False, False)


def test_nulls_are_fields_not_given(ask: Ask) -> None:
    """A null on creation means the default, and in an update no change."""
    created = token(ask("POST", json={"name": None, "readable": None, "writeable": None}))
    assert (created["readable"], created["writeable"]) == (True, True)
    assert token(ask("PUT", "/1001", json={"enabled": None, "name": None})) == created


def test_list_is_in_order_of_creation(ask: Ask) -> None:
    """The list has every token as it was returned, the oldest first."""
    created = [token(ask("POST", json={"name": name})) for name in ("b", "a", "c")]
    assert listed(ask) == created


@pytest.mark.parametrize("change", [{"enabled": False}, {"name": "new"}, {}])
def test_update_changes_what_is_given(ask: Ask, change: dict[str, Any]) -> None:
    """An update changes the fields in it, and nothing else."""
    created = token(ask("POST", json={"name": "old"}))
    assert token(ask("PUT", "/1001", json=change)) == {**created, **change}
    assert listed(ask) == [{**created, **change}]


def test_disabled_token_can_be_enabled(ask: Ask) -> None:
    """Disabling can be undone."""
    created = token(ask("POST", json={}))
    ask("PUT", "/1001", json={"enabled": False})
    assert token(ask("PUT", "/1001", json={"enabled": True})) == created


def test_regenerate_replaces_only_the_value(ask: Ask) -> None:
    """Regenerating gives another value; the id and the rest stay."""
    created = token(ask("POST", json={"name": "agent"}))
    regenerated = token(ask("POST", "/1001/regenerate"))
    assert regenerated["token"] != created["token"]
    assert {**regenerated, "token": created["token"]} == created
    assert listed(ask) == [regenerated]


def test_delete_removes_one_token(ask: Ask) -> None:
    """Deleting returns an empty object; the other tokens stay."""
    kept, _ = [token(ask("POST", json={})) for _ in range(2)]
    response = ask("DELETE", "/1002")
    assert (response.status, response.json()["data"]) == (200, {})
    assert listed(ask) == [kept]


def test_id_of_a_deleted_token_is_not_given_again(ask: Ask) -> None:
    """Ids only grow, also when the newest token is gone."""
    ask("POST", json={})
    ask("DELETE", "/1001")
    assert token(ask("POST", json={}))["id"] == 1002


def test_reset_drops_all_tokens_and_added_apps(sandbox: Sandbox, ask: Ask) -> None:
    """After a reset there is the first app alone, without tokens, and ids begin at 1001 again."""
    sandbox.add_app(790)
    ask("POST", json={})
    ask("POST", json={}, app_id=790)
    sandbox.reset()
    assert listed(ask) == []
    assert ask("GET", app_id=790).status == 404
    assert token(ask("POST", json={}))["id"] == 1001
