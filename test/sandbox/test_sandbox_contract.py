"""The sandbox's answers against docs/openapi.yaml."""

import copy
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import schemathesis.openapi
import urllib3
from hypothesis import settings
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse
from openapi_spec_validator import validate

from stcloud.sandbox import Sandbox
from stcloud.sandbox.app import App
from stcloud.sandbox.store import Store

Ask = Callable[..., urllib3.BaseHTTPResponse]

SCHEMA = schemathesis.openapi.from_path(Path(__file__).parents[2] / "docs" / "openapi.yaml")
DOCUMENT: dict[str, Any] = SCHEMA.raw_schema
HOST: str = DOCUMENT["servers"][0]["url"]
JSON = "application/json"


@pytest.fixture(scope="module")
def exact() -> OpenAPI:
    """The description, with no field left out and none added."""
    document = copy.deepcopy(DOCUMENT)
    for schema in document["components"]["schemas"].values():
        schema["additionalProperties"] = False
        schema["required"] = list(schema["properties"])
    return OpenAPI.from_dict(document)


def test_description_is_openapi() -> None:
    """The description itself is valid."""
    validate(DOCUMENT)


def test_description_has_the_sandboxs_operations() -> None:
    """Method, path and name of each operation are the same in both."""
    described = {
        (method, path.replace("appId", "id").replace("tokenId", "id"), operation["operationId"])
        for path, operations in DOCUMENT["paths"].items()
        for method, operation in operations.items()
        if method != "parameters"
    }
    with closing(Store(":memory:")) as store:
        rules = list(App(store, "key")._routes.map.iter_rules())
    assert described == {
        (method.lower(), re.sub("<.*?>", "{id}", rule.rule), rule.endpoint.name)
        for rule in rules
        for method in (rule.methods or set()) - {"HEAD"}
    }


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "", {}, 200),
        ("POST", "", {"json": {}}, 200),
        ("PUT", "/789", {"json": {"name": "new"}}, 200),
        ("POST", "/789/regenerate", {}, 200),
        ("DELETE", "/789", {}, 200),
        ("GET", "", {"authorization": None}, 401),
        ("GET", "", {"app_id": 1}, 404),
        ("DELETE", "/1", {}, 404),
        ("POST", "", {"body": b"{", "content_type": JSON}, 400),
        ("PUT", "/789", {"json": {"name": 1, "token": "x"}}, 400),
        ("POST", "", {"body": b"{}"}, 415),
        ("PUT", "/789", {"body": b" " * 2_000_000, "content_type": JSON}, 413),
    ],
)
def test_answer_is_as_described(
    ask: Ask, exact: OpenAPI, method: str, path: str, options: dict[str, Any], status: int
) -> None:
    """Each kind of answer is documented for its operation and has exactly the documented fields."""
    ask("POST", json={"name": "first"})
    answer = ask(method, path, **options)
    assert answer.status == status
    app_id = options.get("app_id", 789)
    request = MockRequest(HOST, method, f"/users-web/api/v3/apps/{app_id}/tokens{path}")
    content_type = answer.headers["Content-Type"]
    exact.validate_response(request, MockResponse(answer.data, status, content_type=content_type))


@SCHEMA.parametrize()
@settings(max_examples=60, derandomize=True, database=None, deadline=None)
def test_no_request_gets_an_undescribed_answer(
    case: schemathesis.Case[Any], running_sandbox: Sandbox
) -> None:
    """Whatever is sent, right or wrong, is answered as the description says."""
    headers = {"Authorization": f"apiKey {running_sandbox.api_key}"}
    running_sandbox.reset()
    url = f"{running_sandbox.url}/users-web/api/v3/apps/789/tokens"
    urllib3.request("POST", url, headers=headers, json={})
    for name, value in case.path_parameters.items():
        if type(value) is int and 0 < value < 2**63:
            case.path_parameters[name] = 789  # which exist
    case.call_and_validate(running_sandbox.url, headers=headers)
