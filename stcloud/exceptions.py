"""What a call may raise, besides ValueError and TypeError for bad arguments.

::

    ApiException                          any status that has no class of its own, 3xx included
    |-- a response came
    |   |-- BadRequestException           400
    |   |-- UnauthorizedException         401
    |   |-- ForbiddenException            403
    |   |-- NotFoundException             404
    |   |-- ConflictException             409
    |   |-- TooManyRequestsException      429
    |   |-- ServiceException              5xx
    |   |-- UnsuccessfulResponseException 2xx that says success: false
    |   `-- UnexpectedResponseException   2xx that is not what the API's contract says
    `-- ConnectionException               no complete response came; status 0, cause chained
        `-- TimeoutException              a timeout ended the wait
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Self

from stcloud._redaction import mask_uuids
from stcloud.models._codecs import FieldError, is_array, is_object
from stcloud.models.error import Error
from stcloud.retry import Outcome, outcome_for_status

_MAX_TEXT = 500


class ApiException(Exception):
    """The call failed after it was made.

    Attributes:
        status: the HTTP status, 0 where no complete response came.
        reason: the status line's text, or what went wrong.
        body: the response's body as text, None where there is none.
        headers: the response's headers, case-insensitive, None where there are none.
        errors: the service's own reasons, often empty.
        message: the service's own message, or what is wrong with the response.
        attempts: how many attempts were made.
        outcome_unknown: whether the service may have done what was asked all the same.
        retry_after: the seconds that the service asked to wait, None if it did not.
    """

    def __init__(  # noqa: PLR0913  # what there is to say, by keyword
        self,
        status: int = 0,
        reason: str | None = None,
        *,
        body: str | None = None,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[Error] = (),
        message: str | None = None,
        outcome: Outcome = Outcome.FINAL,
    ) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason
        self.body = body
        self.headers = headers
        self.errors: list[Error] = list(errors)
        self.message = message
        self.outcome = outcome
        self.attempts = 1
        self.outcome_unknown: bool = outcome.may_have_executed
        self.retry_after: float | None = (
            None if headers is None else _parse_retry_after(headers.get("Retry-After"))
        )

    @classmethod
    def from_response(
        cls, status: int, reason: str | None, body: str, headers: Mapping[str, str]
    ) -> Self:
        """Make the exception of a response, with what its body says; any body will do."""
        errors, message = _parse_error_body(body)
        return cls(
            status,
            reason,
            body=body,
            headers=headers,
            errors=errors,
            message=message,
            outcome=outcome_for_status(status),
        )

    def redact(self, secret: str) -> None:
        """Mask a secret wherever the response repeated it."""

        def without(text: str | None) -> str | None:
            return text and text.replace(secret, "****")

        self.reason, self.message, self.body = map(without, (self.reason, self.message, self.body))
        self.args: tuple[Any, ...] = self.status, self.reason
        for error in self.errors:
            error.code, error.message = without(error.code), without(error.message)

    def __str__(self) -> str:
        """Show status, reason and what the service said, printable, bounded, without secrets."""
        said = [": ".join(filter(None, (error.code, error.message))) for error in self.errors]
        if self.message and not any(self.message in text for text in said):
            said.append(self.message)
        text = ": ".join(filter(None, (self.reason, "; ".join(filter(None, said)))))
        return _printable(f"({self.status}) {text}".rstrip())

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash((type(self), self.status, self.reason))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"


class BadRequestException(ApiException):
    """400: the service did not accept the request."""


class UnauthorizedException(ApiException):
    """401: the API key is missing or unknown."""


class ForbiddenException(ApiException):
    """403: the API key may not do this."""


class NotFoundException(ApiException):
    """404: there is no such app or token."""


class ConflictException(ApiException):
    """409: the request does not fit the present state."""


class TooManyRequestsException(ApiException):
    """429: too many requests; try later."""


class ServiceException(ApiException):
    """5xx: the service failed."""


class UnsuccessfulResponseException(ApiException):
    """A 2xx response that says ``success: false``: the service did not do what was asked."""


class UnexpectedResponseException(ApiException):
    """A 2xx response that is not what the API's contract says; ``message`` names the place."""


class ConnectionException(ApiException):
    """No complete response came: not connected, cut off, or not readable."""


class TimeoutException(ConnectionException):
    """A timeout ended the wait for the connection or the response."""


_BY_STATUS = {
    400: BadRequestException,
    401: UnauthorizedException,
    403: ForbiddenException,
    404: NotFoundException,
    409: ConflictException,
    429: TooManyRequestsException,
}


def error_for_status(
    status: int, reason: str | None, body: str, headers: Mapping[str, str]
) -> ApiException:
    """Return the exception of a response whose status is not 2xx."""
    kind = _BY_STATUS.get(status, ServiceException if 500 <= status < 600 else ApiException)
    failure = kind.from_response(status, reason, body, headers)
    if 300 <= status < 400 and "Location" in headers:
        redirect = f"the redirect to {headers['Location']} is not followed"
        failure.message = f"{failure.message}; {redirect}" if failure.message else redirect
    return failure


def _parse_error_body(body: str) -> tuple[list[Error], str | None]:
    """Return the errors and the message of a response, as far as its body is readable."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not is_object(document):
        return [], None
    listed, message = document.get("errors"), document.get("message")
    errors: list[Error] = []
    for entry in listed if is_array(listed) else ():
        with suppress(FieldError):
            errors.append(Error.from_json(entry))
    return errors, message if isinstance(message, str) else None


def _parse_retry_after(retry_after: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for: a number, or the time until a date."""
    if retry_after is None:
        return None
    with suppress(ValueError):  # of several headers, which come joined, the first
        seconds = float(retry_after.partition(",")[0])
        return None if math.isnan(seconds) else max(0.0, seconds)
    with suppress(ValueError, TypeError, IndexError, OverflowError):
        moment = parsedate_to_datetime(retry_after)
        if moment.tzinfo is None:  # asctime's form, which is UTC in HTTP
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, moment.timestamp() - time.time())
    return None


def _printable(text: str) -> str:
    text = text[: 8 * _MAX_TEXT]  # masking shortens by less than that, so no cut secret shows
    text = mask_uuids(text)
    text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 3] + "..."
