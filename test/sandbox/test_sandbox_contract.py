"""The sandbox's responses against docs/openapi.yaml."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis.openapi
import urllib3
from hypothesis import settings
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse
from openapi_spec_validator import validate
from operations import OPENAPI, OPERATIONS

from stcloud.sandbox import Fault, Sandbox

Ask = Callable[..., urllib3.BaseHTTPResponse]

SCHEMA = schemathesis.openapi.from_path(OPENAPI)
DOCUMENT: dict[str, Any] = SCHEMA.raw_schema
HOST: str = DOCUMENT["servers"][0]["url"]
REQUESTS: dict[int, dict[str, Any]] = {
    400: {"body": b"{", "content_type": "application/json"},
    401: {"authorization": None},
    404: {"app_id": 1},
    413: {"body": b" " * 2_000_000, "content_type": "application/json"},
    415: {"body": b"{}"},
}
"""What is wrong with a request that gets the status."""
FAULTS = [403, 405, 500]
"""Statuses with which the sandbox responds only if a test sets them."""


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


@pytest.mark.parametrize(
    ("name", "status"),
    [
        (name, status)
        for name, operation in OPERATIONS.items()
        for status in [200, 401, 404, *FAULTS] + [400, 413, 415] * (operation.body is not None)
    ],
)
def test_response_is_as_described(
    sandbox: Sandbox, ask: Ask, exact: OpenAPI, name: str, status: int
) -> None:
    """Each response is documented for its operation and has exactly the documented fields."""
    ask("POST", json={"name": "first"})
    if status in FAULTS:
        sandbox.fail_next(name, Fault.status(status))  # which shows that the names are the same
    operation = OPERATIONS[name]
    path = operation.url_path(789, 1001)
    options = REQUESTS.get(status, {"json": {}} if operation.body else {})
    response = ask(operation.method, path.partition("/tokens")[2], **options)
    assert response.status == status
    content_type = response.headers["Content-Type"]
    mock = MockResponse(response.data, status, content_type=content_type)
    exact.validate_response(MockRequest(HOST, operation.method, path), mock)


@SCHEMA.parametrize()
@settings(max_examples=30, derandomize=True, database=None, deadline=None)
def test_no_request_gets_an_undescribed_response(
    case: schemathesis.Case[Any], running_sandbox: Sandbox
) -> None:
    """Whatever is sent, right or wrong, the response is as the description says."""
    headers = {"Authorization": f"apiKey {running_sandbox.api_key}"}
    running_sandbox.reset()
    url = f"{running_sandbox.url}/users-web/api/v3/apps/789/tokens"
    urllib3.request("POST", url, headers=headers, json={})
    for name, value in case.path_parameters.items():
        if type(value) is int and 0 < value < 2**63:
            case.path_parameters[name] = {"appId": 789, "tokenId": 1001}[name]  # which exist
    case.call_and_validate(running_sandbox.url, headers=headers)
