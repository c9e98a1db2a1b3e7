"""What a call may raise, besides ValueError and TypeError for bad arguments.

::

    ApiException                          any status that has no class of its own, 3xx included
    |-- BadRequestException               400
    |-- UnauthorizedException             401
    |-- ForbiddenException                403
    |-- NotFoundException                 404
    |-- ConflictException                 409
    |-- TooManyRequestsException          429
    |-- ServiceException                  5xx
    |-- UnsuccessfulResponseException     2xx that says success: false
    |-- UnexpectedResponseException       2xx that is not what the API's contract says
    `-- ConnectionException               no complete response came; status 0, cause chained
        `-- TimeoutException              a timeout ended the wait

    TokenManagerException                 of TokenManager: the tokens are in an unexpected state
    |-- MissingTokenException             no token has the name, or the new one was removed
    `-- TokenDriftException               a token has other rights, or is disabled
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stcloud._redaction import mask_uuids
from stcloud.models.error import Error
from stcloud.retry import Outcome, RetryState

_MAX_TEXT = 500


class ApiException(Exception):
    """The call failed after it was made.

    Attributes:
        status: the HTTP status, 0 where no complete response came.
        reason: the status line's text, or what went wrong.
        body: the response's body as text, which may be empty; None without a response.
        headers: the response's headers, case-insensitive, None without a response.
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
        retry_after: float | None = None,
        outcome: Outcome = Outcome.FINAL,
    ) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason
        self.body = body
        self.headers = headers
        self.errors: list[Error] = list(errors)
        self.message = message
        self.attempts: int = 1
        self.outcome_unknown: bool = outcome.may_have_executed
        self.retry_after = retry_after
        self._outcome = outcome

    def plan_retry(self, retry_state: RetryState, remaining: float) -> float | None:
        """Record the attempt that failed; return the seconds until the next, None if none follows.

        Args:
            retry_state: the retries of the call.
            remaining: the seconds that remain until its deadline.
        """
        wait = retry_state.next_delay(
            self._outcome,
            timed_out=isinstance(self, TimeoutException),
            retry_after=self.retry_after,
            remaining=remaining,
        )
        self.attempts, self.outcome_unknown = retry_state.attempts, retry_state.outcome_unknown
        return wait

    def redact(self, secret: str) -> None:
        """Mask a secret wherever the response repeated it."""

        def without(text: str | None) -> str | None:
            return text and text.replace(secret, "****")

        self.reason, self.message, self.body = map(without, (self.reason, self.message, self.body))
        self.args: tuple[Any, ...] = self.status, self.reason
        for error in self.errors:
            error.code, error.message = without(error.code), without(error.message)

    def forget_response(self) -> None:
        """Drop the response's body, which may hold the values of tokens."""
        self.body = None

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

    def forget_response(self) -> None:
        """Drop the body, and the exception of the parser, which holds its input."""
        super().forget_response()
        _forget_causes(self)


class ConnectionException(ApiException):
    """No complete response came: not connected, cut off, or not readable."""


class TimeoutException(ConnectionException):
    """A timeout ended the wait for the connection or the response."""


class TokenManagerException(Exception):
    """The app's tokens are in an unexpected state for a :class:`~stcloud.TokenManager`."""

    def __str__(self) -> str:
        return mask_uuids(super().__str__())

    def __repr__(self) -> str:
        return mask_uuids(super().__repr__())


class MissingTokenException(TokenManagerException):
    """No token has the name, or the new one was removed meanwhile or is not listed yet."""


class TokenDriftException(TokenManagerException):
    """A token is not as it is wanted, and is left so.

    Attributes:
        wanted: what was asked for, of readable, writeable and enabled, where it differs.
        found: what the token has instead.
    """

    def __init__(self, text: str, wanted: dict[str, bool], found: dict[str, Any]) -> None:
        super().__init__(text, wanted, found)
        self.wanted: dict[str, bool] = wanted
        self.found: dict[str, Any] = found

    def __str__(self) -> str:
        return mask_uuids(self.args[0])


def _forget_causes(error: BaseException) -> None:
    error.__cause__ = error.__context__ = None


def _printable(text: str) -> str:
    # Masking shortens a UUID 4.5 times, so one that is cut here is not shown.
    text = mask_uuids(text[: 8 * _MAX_TEXT])
    text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 3] + "..."
