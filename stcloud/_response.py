"""What a response says: the data of a success, or the exception of a failure."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from stcloud import _serialization
from stcloud.exceptions import (
    ApiException,
    BadRequestException,
    ConflictException,
    ForbiddenException,
    NotFoundException,
    ServiceException,
    TooManyRequestsException,
    UnauthorizedException,
    UnexpectedResponseException,
    UnsuccessfulResponseException,
)
from stcloud.models._codecs import FieldError, is_array, is_object
from stcloud.models.error import Error
from stcloud.models.model import Model
from stcloud.rest import RawResponse
from stcloud.retry import Outcome, outcome_for_status

_BY_STATUS: dict[int, type[ApiException]] = {
    400: BadRequestException,
    401: UnauthorizedException,
    403: ForbiddenException,
    404: NotFoundException,
    409: ConflictException,
    429: TooManyRequestsException,
}
_MAX_PAGE = 65536
# A body that need not be there: created, and no content.
_MAY_BE_EMPTY = {201, 204}


def parse_success(response: RawResponse, content: bytes, model: type[Model] | None) -> Any:
    """Return the data of a 2xx response: a model, or its JSON as it is if there is no model.

    Raises:
        UnsuccessfulResponseException: it says ``success: false``.
        UnexpectedResponseException: it is not what the API describes.
    """
    try:
        if not content.strip():
            if model is None:
                return None
            if response.status in _MAY_BE_EMPTY:
                return model.from_json({"success": True})
        document = _serialization.from_json(content)
        if not is_object(document) or document.get("success") is not False:
            return document if model is None else model.from_json(document)
    except (ValueError, RecursionError) as error:
        problem = str(error) if content.strip() else "it has no content"
        raise UnexpectedResponseException(
            response.status,
            response.reason,
            body=content.decode(errors="replace"),
            headers=response.headers,
            message="the response is not what the API describes: "
            + (_describe_page(response, content) or problem),
            outcome=Outcome.INVALID_RESPONSE,
        ) from error
    refusal = _exception(UnsuccessfulResponseException, response, content)
    if not (refusal.errors or refusal.message):
        refusal.message = 'the response says "success": false, without a reason'
    raise refusal


def exception_for_status(response: RawResponse, content: bytes) -> ApiException:
    """Return the exception of a response whose status is not 2xx; any body will do."""
    status = response.status
    kind = _BY_STATUS.get(status, ServiceException if 500 <= status < 600 else ApiException)
    return _exception(kind, response, content)


def _exception(kind: type[ApiException], response: RawResponse, content: bytes) -> ApiException:
    body = content.decode("utf-8-sig", errors="replace")
    errors, message = _parse_error_body(body)
    message = message or _describe_page(response, content)
    if 300 <= response.status < 400 and "Location" in response.headers:
        redirect = f"the redirect to {response.headers['Location']} is not followed"
        is_known = message is None or any(error.message == message for error in errors)
        message = redirect if is_known else f"{message}; {redirect}"
    return kind(
        response.status,
        response.reason,
        body=body,
        headers=response.headers,
        errors=errors,
        message=message,
        retry_after=_parse_retry_after(response.headers),
        outcome=outcome_for_status(response.status),
    )


def _describe_page(response: RawResponse, content: bytes) -> str | None:
    """Return what an HTML page is, of a proxy or a portal, for example; None for other content."""
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    text = content[:_MAX_PAGE].decode(errors="replace")
    if "html" not in kind and not re.match(r"\s*<(!doctype )?html", text, re.IGNORECASE):
        return None
    from html import unescape  # rarely needed, slow to import

    found = re.search(r"<title[^>]*>(.*?)</title", text, re.IGNORECASE | re.DOTALL)
    title = " ".join(unescape(found[1]).split())[:100] if found else ""
    named = f" with the title {title!r}" if title else ""
    return f"a page of HTML came ({kind or 'text/html'}){named}; something on the way sent it"


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


def _parse_retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that Retry-After asks for: a number, or the time until a date.

    The time is counted from the response's own Date, since clocks differ.
    """
    value = headers.get("Retry-After")
    if value is None:
        return None
    with suppress(ValueError):  # of several headers, which come joined, the first
        seconds = float(value.partition(",")[0])
        return None if math.isnan(seconds) else max(0.0, seconds)
    moment, now = _parse_date(value), _parse_date(headers.get("Date", ""))
    if moment is None:
        return None
    return max(0.0, moment - (time.time() if now is None else now))


def _parse_date(value: str) -> float | None:
    with suppress(ValueError, TypeError, IndexError, OverflowError):
        moment = parsedate_to_datetime(value)
        if moment.tzinfo is None:  # asctime's form, which is UTC in HTTP
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp()
    return None
