"""What is refused, and how it is said."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import urllib3
from openapi_core import OpenAPI

from stcloud.sandbox import Sandbox

Ask = Callable[..., urllib3.BaseHTTPResponse]

JSON = "application/json"
DESCRIPTION = Path(__file__).parents[2] / "docs" / "openapi.yaml"
PATHS: dict[str, Any] = OpenAPI.from_file_path(str(DESCRIPTION)).spec["paths"].read_value()
ROUTES = [
    (method.upper(), path.partition("/tokens")[2], "requestBody" in operation)
    for path, operations in PATHS.items()
    for method, operation in operations.items()
    if method != "parameters"
]
"""The API's endpoints: method, path below an app's tokens, and whether it takes a body."""


def messages(response: urllib3.BaseHTTPResponse, status: int) -> list[str]:
    """Check that a response is the envelope of an error; return what its errors say."""
    envelope = response.json()
    assert (response.status, envelope["data"], envelope["success"]) == (status, None, False)
    assert response.headers["Content-Type"] == "application/json"
    assert set(envelope) == {"data", "errors", "message", "success"}
    assert envelope["message"]
    assert envelope["errors"]
    assert all(error["code"] for error in envelope["errors"])
    return [error["message"] for error in envelope["errors"]]


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "{key}",
        "apikey {key}",
        "apiKey  {key}",
        "apiKey {key}x",
        "apiKey apiKey {key}",
        "Bearer {key}",
        "apiKey \xfc",
    ],
)
def test_wrong_key_is_unauthorized(sandbox: Sandbox, ask: Ask, authorization: str | None) -> None:
    """Anything but ``apiKey <key>`` is refused, and the key is not shown."""
    response = ask("GET", authorization=authorization and authorization.format(key=sandbox.api_key))
    assert messages(response, 401)
    assert sandbox.api_key not in response.data.decode()
    assert "WWW-Authenticate" in response.headers


def test_without_the_key_nothing_is_done_or_told(ask: Ask) -> None:
    """Who has no key changes nothing, and does not learn which paths exist."""
    assert messages(ask("POST", json={}, authorization=None), 401)
    assert messages(ask("GET", "/nowhere", authorization=None), 401)
    assert ask("GET").json()["data"]["tokens"] == []


@pytest.mark.parametrize("app_id", [1, 2**63 - 1, 2**63, 0, -789, "x", "7.0", "9" * 5000])
@pytest.mark.parametrize(("method", "path"), [route[:2] for route in ROUTES])
def test_unknown_app_is_not_found(ask: Ask, method: str, path: str, app_id: object) -> None:
    """No operation works on an app that does not, or cannot, exist."""
    assert messages(ask(method, path.format(tokenId=1), app_id=app_id), 404)


@pytest.mark.parametrize("token_id", [1002, 2**63 - 1, 2**63, 0, -789, "x", "7.0", "9" * 5000])
@pytest.mark.parametrize(
    ("method", "path", "has_body"), [route for route in ROUTES if "{tokenId}" in route[1]]
)
def test_unknown_token_is_not_found(
    ask: Ask, method: str, path: str, has_body: bool, token_id: object
) -> None:
    """No operation works on a token that does not, or cannot, exist."""
    ask("POST", json={})
    options: dict[str, Any] = {"json": {}} if has_body else {}
    assert messages(ask(method, path.format(tokenId=token_id), **options), 404)


@pytest.mark.parametrize(("method", "path", "has_body"), ROUTES)
def test_apps_do_not_see_each_others_tokens(
    sandbox: Sandbox, ask: Ask, method: str, path: str, has_body: bool
) -> None:
    """Through another app, no operation shows or changes a token; with its id: 404."""
    sandbox.add_app(790)
    created = ask("POST", json={}).json()["data"]["token"]
    options: dict[str, Any] = {"json": {}} if has_body else {}
    response = ask(method, path.format(tokenId=created["id"]), app_id=790, **options)
    assert response.status == (404 if "{tokenId}" in path else 200)
    assert created["token"] not in response.data.decode()
    assert ask("GET").json()["data"]["tokens"] == [created]


@pytest.mark.parametrize("path", ["/", "//", "//1001", "/1001/", "/1001/other", "%00"])
def test_other_paths_are_not_found(ask: Ask, path: str) -> None:
    """Only the contract's paths exist."""
    assert messages(ask("DELETE", path), 404)


@pytest.mark.parametrize("path", sorted({path for _, path, _ in ROUTES}))
@pytest.mark.parametrize("method", ["PATCH", "OPTIONS", "TRACE", "NONSENSE"])
def test_wrong_method_is_not_allowed(ask: Ask, path: str, method: str) -> None:
    """A path that exists says which methods it allows."""
    response = ask(method, path.format(tokenId=1001))
    assert messages(response, 405)
    allowed = {known for known, other, _ in ROUTES if other == path}
    assert {*response.headers["Allow"].split(", ")} - {"HEAD"} == allowed


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/jsonp"])
@pytest.mark.parametrize(("method", "path"), [route[:2] for route in ROUTES if route[2]])
def test_wrong_media_type_is_refused(
    ask: Ask, method: str, path: str, content_type: str | None
) -> None:
    """A body must be declared as JSON."""
    path = path.format(tokenId=1001)
    assert messages(ask(method, path, body=b"{}", content_type=content_type), 415)


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_media_type_may_have_parameters(ask: Ask, content_type: str) -> None:
    """What counts is the type, in any case."""
    assert ask("POST", body=b"{}", content_type=content_type).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{} {}",
        b"\xef\xbb\xbf{}",
        b'{"name": "\xff"}',
        b'{"name": "\\ud800"}',
        b"[" * 100_000,
        b'{"name": ' + b"9" * 5000 + b"}",
    ],
)
def test_broken_json_is_a_bad_request(ask: Ask, body: bytes) -> None:
    """A body that is not JSON in UTF-8, or text that cannot be kept, is refused."""
    (message,) = messages(ask("POST", body=body, content_type=JSON), 400)
    assert "not readable as JSON" in message


@pytest.mark.parametrize("body", [b"[]", b"null", b'"{}"', b"1", b"true"])
def test_body_must_be_an_object(ask: Ask, body: bytes) -> None:
    """JSON of another kind is refused."""
    response = ask("POST", body=body, content_type=JSON)
    assert "the body must be a JSON object" in messages(response, 400)


@pytest.mark.parametrize(
    ("method", "path", "fields"),
    [
        ("POST", "", {"name": 1, "readable": "yes", "writeable": 0}),
        ("POST", "", {"id": 1, "enabled": True, "Name": None}),
        ("PUT", "/1001", {"name": ["x"], "enabled": 1.5}),
        ("PUT", "/1001", {"readable": True, "token": "x", "": None}),
    ],
)
def test_wrong_fields_are_named(ask: Ask, method: str, path: str, fields: dict[str, Any]) -> None:
    """Each unknown or mistyped field has an error of its own, and nothing is changed."""
    ask("POST", json={})
    before = ask("GET").json()
    found = messages(ask(method, path, json=fields), 400)
    assert sorted(message.partition(":")[0] for message in found) == sorted(fields)
    assert ask("GET").json() == before


def test_errors_do_not_repeat_the_key(sandbox: Sandbox, ask: Ask) -> None:
    """A key that went astray into a field's name is not shown, and long names are cut."""
    (message,) = messages(ask("POST", json={"x" * 190 + sandbox.api_key * 1000: 1}), 400)
    assert sandbox.api_key[:8] not in message
    assert len(message) <= 200


def test_failure_is_the_envelope_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """When the sandbox fails itself, it says so as all errors are said, and logs the cause."""
    path = tmp_path / "tokens.sqlite3"
    with Sandbox(database=path) as sandbox, closing(sqlite3.connect(path)) as database:
        database.execute("DROP TABLE token")
        url = f"{sandbox.url}/users-web/api/v3/apps/789/tokens"
        headers = {"Authorization": f"apiKey {sandbox.api_key}"}
        with urllib3.PoolManager(retries=False, headers=headers) as pool:
            (message,) = messages(pool.request("GET", url), 500)
    assert "sqlite" not in message
    assert "no such table" in caplog.text
    assert sandbox.api_key not in caplog.text
    assert {record.name for record in caplog.records if record.levelname == "ERROR"} == {
        "stcloud.sandbox"
    }
