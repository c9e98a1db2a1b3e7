"""Requests and responses: who may ask, routes, operations, the envelope."""

from __future__ import annotations

import hmac
import json
import logging
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from email.message import Message
from http import HTTPStatus
from typing import Any, Final

from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import (
    HTTPException,
    InternalServerError,
    NotFound,
    ServiceUnavailable,
    Unauthorized,
)
from werkzeug.routing import IntegerConverter, Map, Rule

from stcloud.sandbox.faults import Fault, Faults
from stcloud.sandbox.store import MAX_ID, Store, TokenNotFoundError
from stcloud.sandbox.validation import Body, InvalidFields

_APPS = "/users-web/api/v3/apps"
_TOKENS = f"{_APPS}/<id:app_id>/tokens"
_TOKEN = f"{_TOKENS}/<id:token_id>"
_CREATE = Body(name="string", readable="boolean", writeable="boolean")
_UPDATE = Body(enabled="boolean", name="string")
MAX_REQUESTS = 10_000
"""The requests that are kept; older ones are forgotten."""
_ON_DEMAND = "This fault was asked of the sandbox."

_logger = logging.getLogger("stcloud.sandbox")
_logger.addHandler(logging.NullHandler())  # quiet unless asked


@dataclass(frozen=True)
class Response:
    """A status, a JSON document and the headers that belong to them; a fault on their way."""

    status: int
    content: bytes
    headers: Mapping[str, str]
    fault: Fault | None = None


@dataclass(frozen=True)
class ReceivedRequest:
    """A request that the sandbox received, without its headers, which hold the key.

    Attributes:
        method: the HTTP method.
        path: the path, without the query.
        body: the body as it came.
        status: the status of the response, sent or prepared.
        fault: the fault that was applied to it, None for none.
    """

    method: str
    path: str
    body: bytes
    status: int
    fault: Fault | None


@dataclass(frozen=True)
class Operation:
    """One endpoint: its operationId if openapi.yaml has it, what does it, and its body."""

    name: str
    run: Callable[..., dict[str, Any]]
    body: Body | None = None


class _Id(IntegerConverter):
    regex = "[0-9]{1,19}"  # as int64 needs; int() refuses very long ones


class App:
    """The API without its transport."""

    def __init__(self, store: Store, api_key: str) -> None:
        self._store = store
        self._api_key = api_key
        table: list[tuple[str, str, str, Callable[..., dict[str, Any]], Body | None]] = [
            ("GET", _TOKENS, "get_app_tokens1", self._list, None),
            ("POST", _TOKENS, "create_app_token", self._create, _CREATE),
            ("PUT", _TOKEN, "update_app_token", self._update, _UPDATE),
            ("DELETE", _TOKEN, "delete_app_token1", self._delete, None),
            ("POST", f"{_TOKEN}/regenerate", "regenerate_app_token1", self._regenerate, None),
            ("GET", _APPS, "list_apps", self._list_apps, None),
        ]
        self.faults: Final = Faults([name for _, _, name, *_ in table])
        rules = [
            Rule(path, methods=[method], endpoint=Operation(name, run, body))
            for method, path, name, run, body in table
        ]
        self.requests: deque[ReceivedRequest] = deque(maxlen=MAX_REQUESTS)
        self._routes = Map(rules, converters={"id": _Id}, merge_slashes=False).bind("")

    def respond(self, method: str, path: str, headers: Message, content: bytes) -> Response:
        """Carry out one request; a write is committed when this returns."""
        response = self._respond(method, path, headers, content)
        self.requests.append(
            ReceivedRequest(method, path, content, int(response.status), response.fault)
        )
        return response

    def _respond(self, method: str, path: str, headers: Message, content: bytes) -> Response:
        fault: Fault | None = None
        try:
            operation, arguments = self._accept(method, path, headers, content)
            fault = self.faults.take(operation.name)
            response = _response(HTTPStatus.OK, data=_carry_out(operation, arguments, fault))
        except InvalidFields as error:
            response = refusal(error, *(self._redact(problem) for problem in error.problems))
        except HTTPException as error:
            response = refusal(error)
        except TokenNotFoundError:
            response = refusal(NotFound("The app has no such token."))
        except Exception:
            _logger.exception("%s failed", method)
            response = refusal(InternalServerError("The sandbox failed; its log says why."))
        return _apply_fault(response, fault) if fault else response

    def _accept(
        self, method: str, path: str, headers: Message, content: bytes
    ) -> tuple[Operation, dict[str, Any]]:
        self._authorize(headers)
        operation, ids = self._routes.match(path, method)
        if ids and (max(ids.values()) > MAX_ID or not self._store.has_app(ids["app_id"])):
            raise NotFound("There is no such app or token.")
        body = {"body": operation.body.read(headers, content)} if operation.body else {}
        return operation, {**ids, **body}

    def _authorize(self, headers: Message) -> None:
        passed = ",".join(headers.get_all("Authorization", []))
        if hmac.compare_digest(passed.encode(), f"apiKey {self._api_key}".encode()):
            return
        has_form = re.fullmatch("apiKey [^ ,]+", passed)
        raise Unauthorized(
            "The API key is not the one of this sandbox."
            if has_form
            else "The header Authorization must be 'apiKey', a space and the key.",
            www_authenticate=WWWAuthenticate("apiKey"),
        )

    def _redact(self, text: str) -> str:
        return text.replace(self._api_key, "***")[:200]

    def _list_apps(self) -> dict[str, Any]:
        return {"apps": [{"id": app_id} for app_id in self._store.apps()]}

    def _list(self, app_id: int) -> dict[str, Any]:
        return {"tokens": self._store.tokens(app_id)}

    def _create(self, app_id: int, body: dict[str, Any]) -> dict[str, Any]:
        return {"token": self._store.create(app_id, body)}

    def _update(self, app_id: int, token_id: int, body: dict[str, Any]) -> dict[str, Any]:
        return {"token": self._store.update(app_id, token_id, body)}

    def _regenerate(self, app_id: int, token_id: int) -> dict[str, Any]:
        return {"token": self._store.regenerate(app_id, token_id)}

    def _delete(self, app_id: int, token_id: int) -> dict[str, Any]:
        self._store.delete(app_id, token_id)
        return {}


def refusal(error: HTTPException, *messages: str) -> Response:
    """Return the envelope for an error; ``messages`` replace its own description."""
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    summary = error.description or status.phrase
    return _response(
        status,
        errors=[{"code": status.name, "message": each} for each in messages or [summary]],
        message=summary,
        headers={name: text for name, text in error.get_headers() if name != "Content-Type"},
    )


def _carry_out(
    operation: Operation, arguments: Mapping[str, Any], fault: Fault | None
) -> dict[str, Any]:
    if fault and not fault.committed:
        raise ServiceUnavailable(_ON_DEMAND)
    return operation.run(**arguments)


def _apply_fault(response: Response, fault: Fault) -> Response:
    """Return the response that a fault has in place of the true one, marked with the fault."""
    if fault.code is not None:
        status = HTTPStatus(fault.code)
        errors = [{"code": status.name, "message": _ON_DEMAND}]
        response = _response(
            status,
            errors=errors,
            message=_ON_DEMAND,
            headers={name.title(): text for name, text in fault.headers},
        )
    content = response.content if fault.content is None else fault.content
    return replace(response, content=content, fault=fault)


def _response(
    status: HTTPStatus,
    data: Mapping[str, Any] | None = None,
    errors: Sequence[Mapping[str, str]] = (),
    message: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    envelope = {"data": data, "errors": errors, "message": message, "success": status < 400}
    return Response(
        status,
        json.dumps(envelope).encode(),
        {"Content-Type": "application/json", **(headers or {})},
    )
