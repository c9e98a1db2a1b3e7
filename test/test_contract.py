"""The client's requests and models against docs/openapi.yaml."""

from collections.abc import Callable
from typing import Any

import pytest
from openapi_core import OpenAPI
from openapi_core.contrib.werkzeug import WerkzeugOpenAPIRequest
from openapi_core.exceptions import OpenAPIError
from operations import OPENAPI, OPERATIONS
from pytest_httpserver import HTTPServer

import stcloud
from stcloud import models

CALLS = [(name, operation.arguments(5, 2**63 - 1)) for name, operation in OPERATIONS.items()]
CALLS.append(("create_app_token", ({"name": "n", "readable": True, "writeable": False}, 5)))
CALLS.append(("update_app_token", ({"enabled": False, "name": "n"}, 5, 7)))
TYPES = {"string": "str", "boolean": "bool", "integer": "int", "object": "dict(str, object)"}


@pytest.fixture(scope="module")
def description() -> OpenAPI:
    return OpenAPI.from_file_path(str(OPENAPI))


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
    respond: Callable[..., None],
    httpserver: HTTPServer,
    description: OpenAPI,
) -> None:
    """Path, parameters, body and authorization are valid, and belong to the method's operation."""
    respond('{"success": true}')
    getattr(remote, name)(*arguments)
    request = Described(httpserver.log[-1][0])
    description.validate_request(request)
    assert request.method == OPERATIONS[name].method.lower()


@pytest.mark.parametrize("name", models.__all__)
def test_model_is_as_described(name: str, description: OpenAPI) -> None:
    """A model's fields are the properties of the schema of its name, with their types."""
    schemas = description.spec["components"]["schemas"].read_value()
    assert name in schemas
    properties = schemas[name]["properties"].items()
    model = getattr(models, name)
    fields = {model.attribute_map[field]: kind for field, kind in model.swagger_types.items()}
    assert fields == {json_name: type_name(schema) for json_name, schema in properties}


def type_name(schema: dict[str, Any]) -> str:
    """Return what ``swagger_types`` would call the type that a schema describes."""
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix("#/components/schemas/")
    if schema["type"] == "array":
        return f"list[{type_name(schema['items'])}]"
    return "datetime" if schema.get("format") == "date-time" else TYPES[schema["type"]]


def test_validator_refuses_what_is_not_described(
    remote: stcloud.TokensApiControllerApi,
    respond: Callable[..., None],
    httpserver: HTTPServer,
    description: OpenAPI,
) -> None:
    """The check above can fail: a body with an unknown field is found."""
    respond("{}")
    path = "/users-web/api/v3/apps/5/tokens"
    remote.api_client.call_api(path, "POST", body={"unknown": 1})
    with pytest.raises(OpenAPIError):
        description.validate_request(Described(httpserver.log[-1][0]))
