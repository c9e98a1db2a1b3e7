"""The API's operations as docs/openapi.yaml has them, for tests that hold for each of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

OPENAPI = Path(__file__).parents[2] / "docs" / "openapi.yaml"
BODY = {"name": "new"}
"""The body of each operation that has one."""


@dataclass(frozen=True)
class Operation:
    """An operation, and what is passed to its method."""

    name: str
    method: str
    path: str
    body: str | None
    """The name of the body's schema."""
    response: str
    """The name of the response's schema."""

    def url_path(self, app_id: int, token_id: int) -> str:
        """Return the path of a request."""
        return self.path.format(appId=app_id, tokenId=token_id)

    def arguments(self, app_id: int, token_id: int) -> tuple[Any, ...]:
        """Return the arguments of a call, in the order of the method's parameters."""
        ids = {"{appId}": app_id, "{tokenId}": token_id}
        passed = tuple(value for name, value in ids.items() if name in self.path)
        return (dict(BODY), *passed) if self.body else passed


def _schema(described: dict[str, Any]) -> str:
    return str(described["content"]["application/json"]["schema"]["$ref"]).rpartition("/")[2]


def _operations() -> dict[str, Operation]:
    document = yaml.safe_load(OPENAPI.read_text(encoding="utf-8"))
    responses = document["components"]["responses"]
    found: dict[str, Operation] = {}
    for path, item in document["paths"].items():
        for method in item.keys() - {"parameters"}:
            described = item[method]
            body = _schema(described["requestBody"]) if "requestBody" in described else None
            response = _schema(responses[described["responses"]["200"]["$ref"].rpartition("/")[2]])
            name = described["operationId"]
            found[name] = Operation(name, method.upper(), path, body, response)
    return dict(sorted(found.items()))


OPERATIONS = _operations()
IDEMPOTENT = {name for name, each in OPERATIONS.items() if each.method in ("GET", "PUT", "DELETE")}
