"""Failures of urllib3, ssl and sockets, as exceptions of this package, by one table."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from http.client import BadStatusLine, HTTPException, UnknownProtocol
from urllib.parse import urlsplit

from urllib3 import exceptions as failures
from urllib3.util.ssl_match_hostname import CertificateError

from stcloud.exceptions import ConnectionException, TimeoutException
from stcloud.retry import Outcome

FAILURES = (
    failures.HTTPError,
    failures.HTTPWarning,  # raised where warnings are errors
    failures.ProxySchemeUnsupported,  # a bare ValueError
    HTTPException,
    OSError,
)
_ALERT = r"ALERT_(\w*CERTIFICATE|UNKNOWN_CA)"
_NON_RETRYABLE = (
    failures.LocationValueError,
    failures.HTTPWarning,
    failures.ProxySchemeUnsupported,
)
_EXCEPTION_MAP: tuple[tuple[type[Exception], type[ConnectionException], str], ...] = (
    # the first that fits; urllib3 derives its connection errors from its time-outs
    (failures.NameResolutionError, ConnectionException, "the host's name could not be resolved"),
    (failures.NewConnectionError, ConnectionException, "no connection"),
    (failures.ConnectTimeoutError, TimeoutException, "connecting took too long"),
    (failures.EmptyPoolError, TimeoutException, "all connections were busy for too long"),
    (failures.TimeoutError, TimeoutException, "the response took too long"),
    (TimeoutError, TimeoutException, "connecting took too long"),
    (failures.SSLError, ConnectionException, "no secure connection"),
    (ssl.SSLError, ConnectionException, "no secure connection"),
    (CertificateError, ConnectionException, "no secure connection"),
    (failures.ProxyError, ConnectionException, "no connection through the proxy"),
    (Exception, ConnectionException, "no complete response"),
)


def redact_exception(error: Exception) -> Exception:
    """Return the failure, or another one if its causes quote what came, which may be secret."""
    kinds = {type(cause) for cause in _causes(error)}
    if kinds & {BadStatusLine, UnknownProtocol}:
        return HTTPException("what came is no HTTP")
    if type(error) is ValueError or kinds & {ValueError, failures.InvalidChunkLength}:
        return HTTPException("the body's chunks have no readable sizes")
    return error


def _causes(error: BaseException) -> Iterator[object]:
    """Yield what a failure came from; urllib3 keeps some of it among the arguments alone."""
    yield from error.args
    cause = error.__cause__ or error.__context__
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def is_permanent_connect_error(error: Exception) -> bool:
    """Return whether TLS or the address prevents connecting; else it may succeed later."""
    lost = isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError))
    return isinstance(error, (ssl.SSLError, ValueError)) and not lost


def outcome_for_failure(error: Exception) -> Outcome:
    """Return what is known of a request that failed otherwise than by connecting."""
    if isinstance(error, failures.EmptyPoolError):
        return Outcome.NOT_SENT
    # TLS 1.3 servers refuse a client's certificate only after the client has begun to send
    refused = isinstance(error, failures.SSLError) and re.search(_ALERT, str(error)) is not None
    settled = refused or isinstance(error, _NON_RETRYABLE)
    return Outcome.FINAL if settled else Outcome.UNKNOWN


def map_exception(error: Exception, host: str, outcome: Outcome) -> ConnectionException:
    """Return the exception of a failure, which names the host."""
    kind, words = next(
        (kind, words) for cause, kind, words in _EXCEPTION_MAP if isinstance(error, cause)
    )
    return kind(reason=f"{words}: {urlsplit(host).netloc}: {error}", outcome=outcome)
