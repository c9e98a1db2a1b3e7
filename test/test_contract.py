"""The client's requests against docs/openapi.yaml."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openapi_core import OpenAPI
from openapi_core.contrib.werkzeug import WerkzeugOpenAPIRequest
from openapi_core.exceptions import OpenAPIError
from pytest_httpserver import HTTPServer

import stcloud

DESCRIPTION = Path(__file__).parents[1] / "docs" / "openapi.yaml"
CALLS: list[tuple[str, tuple[Any, ...]]] = [
    ("create_app_token", ({}, 5)),
    ("create_app_token", ({"name": "n", "readable": True, "writeable": False}, 5)),
    ("get_app_tokens1", (5,)),
    ("update_app_token", ({"enabled": False, "name": "n"}, 5, 7)),
    ("regenerate_app_token1", (5, 7)),
    ("delete_app_token1", (5, 2**63 - 1)),
]


@pytest.fixture(scope="module")
def description() -> OpenAPI:
    return OpenAPI.from_file_path(str(DESCRIPTION))


class Described(WerkzeugOpenAPIRequest):
    """A request as the description's server would have got it."""

    @property
    def host_url(self) -> str:
        return "https://apps.sematext.com"


@pytest.mark.parametrize(("name", "arguments"), CALLS)
def test_request_is_as_described(
    name: str,
    arguments: tuple[Any, ...],
    remote: stcloud.TokensApiControllerApi,
    answer: Callable[..., None],
    httpserver: HTTPServer,
    description: OpenAPI,
) -> None:
    """Path, parameters, body and authorization are valid, and belong to the method's operation."""
    answer('{"success": true}')
    getattr(remote, name)(*arguments)
    request = Described(httpserver.log[-1][0])
    description.validate_request(request)
    path = getattr(stcloud.TokensApiControllerApi, name).operation.path
    operation = description.spec["paths"][path][request.method]
    assert operation["operationId"] == name


def test_every_operation_is_here() -> None:
    """The test above calls each operation of the API."""
    members = vars(stcloud.TokensApiControllerApi).items()
    operations = {name for name, member in members if hasattr(member, "operation")}
    called = {name for name, _ in CALLS}
    assert operations == {name + end for name in called for end in ("", "_with_http_info")}


def test_validator_refuses_what_is_not_described(
    remote: stcloud.TokensApiControllerApi,
    answer: Callable[..., None],
    httpserver: HTTPServer,
    description: OpenAPI,
) -> None:
    """The check above can fail: a body with an unknown field is found."""
    answer("{}")
    path = "/users-web/api/v3/apps/5/tokens"
    remote.api_client.call_api(path, "POST", body={"unknown": 1})
    with pytest.raises(OpenAPIError):
        description.validate_request(Described(httpserver.log[-1][0]))
