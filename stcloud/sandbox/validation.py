"""Request bodies: what JSON is accepted, and what is said of the rest."""

from __future__ import annotations

import json
from email.message import Message
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from werkzeug.exceptions import BadRequest, UnsupportedMediaType


class InvalidFields(BadRequest):
    """A JSON object whose fields are not the contract's."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("The body does not fit the contract.")
        self.problems = problems


class Body:
    """What one operation takes: fields with their JSON types, all optional and nullable."""

    def __init__(self, **fields: str) -> None:
        types = {name: {"type": [kind, "null"]} for name, kind in fields.items()}
        self._validator: Validator = Draft202012Validator(
            {"type": "object", "properties": types, "propertyNames": {"enum": list(types)}}
        )

    def read(self, headers: Message, content: bytes) -> dict[str, Any]:
        """Return the fields in a request's body, or raise what is wrong with it."""
        if headers.get_content_type() != "application/json":
            raise UnsupportedMediaType("The body must be application/json.")
        document = _parse(content)
        problems = [_problem(error) for error in self._validator.iter_errors(document)]
        if problems:
            raise InvalidFields(problems)
        return cast("dict[str, Any]", document)


def _parse(content: bytes) -> Any:
    try:
        document = json.loads(content.decode())
        json.dumps(document, ensure_ascii=False).encode()  # refuses half a surrogate pair
    except (ValueError, RecursionError):
        raise BadRequest("The body is not readable as JSON in UTF-8.") from None
    return document


def _problem(error: ValidationError) -> str:
    if error.path:
        types = cast("list[str]", error.validator_value)
        return f"{error.path[0]}: must be {' or '.join(types)}"
    if error.validator == "type":
        return "the body must be a JSON object"
    return f"{error.instance}: unknown field"
