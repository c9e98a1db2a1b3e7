"""Failures of urllib3, ssl and sockets, as exceptions of this package, by one table."""

from __future__ import annotations

import re
import socket
import ssl
from http.client import HTTPException, IncompleteRead

from urllib3 import exceptions as failures
from urllib3.util.ssl_match_hostname import CertificateError

from stcloud._redaction import causes
from stcloud._signals import raised_by_handler
from stcloud._transport.timeouts import LimitReached
from stcloud.exceptions import ConnectionException, TimeoutException
from stcloud.retry import Outcome

FAILURES = (
    failures.HTTPError,
    failures.HTTPWarning,  # raised where warnings are errors
    failures.ProxySchemeUnsupported,  # a bare ValueError
    HTTPException,
    OSError,
)
_ALERT = r"ALERT_(\w*CERTIFICATE|UNKNOWN_CA|HANDSHAKE_FAILURE|PROTOCOL_VERSION)"
"""What a peer decided of the client's certificate or its TLS: it will decide so again."""
_NON_RETRYABLE = (
    failures.LocationValueError,
    failures.HTTPWarning,
    failures.ProxySchemeUnsupported,
)
_EXCEPTION_MAP: tuple[tuple[type[Exception], type[ConnectionException], str], ...] = (
    # the first that fits; urllib3 derives its connection errors from its time-outs
    (LimitReached, TimeoutException, "timed out"),
    (failures.NameResolutionError, ConnectionException, "the host's name could not be resolved"),
    (failures.NewConnectionError, ConnectionException, "no connection"),
    (failures.EmptyPoolError, TimeoutException, "timed out"),
    (failures.TimeoutError, TimeoutException, "timed out"),
    (TimeoutError, TimeoutException, "timed out"),
    (failures.SSLError, ConnectionException, "no secure connection"),
    (ssl.SSLError, ConnectionException, "no secure connection"),
    (CertificateError, ConnectionException, "no secure connection"),
    (socket.gaierror, ConnectionException, "the host's name could not be resolved"),
    (Exception, ConnectionException, "no complete response"),
)


def cause_of_handler(error: BaseException) -> BaseException | None:
    """Return a signal handler's exception that urllib3 took for a failure of its own, if any."""
    return next(
        (cause for cause in causes(error) if raised_by_handler(cause) and not _wraps(cause)), None
    )


def _wraps(error: BaseException) -> bool:
    """Return whether urllib3 has put another exception into this one, and given it its frames."""
    inner = error.args[-1] if error.args else None
    return isinstance(error, failures.HTTPError) and isinstance(inner, BaseException)


def is_permanent_connect_error(error: Exception) -> bool:
    """Return whether connecting will fail again: a certificate, an address, a proxy's password.

    Another failure of TLS may be of bytes that were damaged on the way.
    """
    status = getattr(error, "status", None)
    if status is not None:  # a proxy's to CONNECT; a wrong password, repeated, locks an account
        return 300 <= status < 500 and status not in (408, 429)
    alert = isinstance(error, ssl.SSLError) and re.search(_ALERT, str(error)) is not None
    certificate = (ssl.SSLCertVerificationError, CertificateError)
    return alert or isinstance(error, (*certificate, ValueError, *_NON_RETRYABLE))


def outcome_for_failure(error: Exception) -> Outcome:
    """Return what is known of a request that failed otherwise than by connecting."""
    # TLS 1.3 servers refuse a client's certificate only after the client has begun to send
    refused = any(
        isinstance(cause, (ssl.SSLError, failures.SSLError)) and re.search(_ALERT, str(cause))
        for cause in causes(error)
    )
    settled = refused or isinstance(error, _NON_RETRYABLE)
    return Outcome.FINAL if settled else Outcome.UNKNOWN


def map_exception(
    error: Exception, peer: str, outcome: Outcome, *, is_connecting: bool = False
) -> ConnectionException:
    """Return the exception of a failure, which names the peer that failed."""
    root = next((cause for cause in causes(error) if isinstance(cause, LimitReached)), error)
    kind, words = next(
        (kind, words) for cause, kind, words in _EXCEPTION_MAP if isinstance(root, cause)
    )
    if is_connecting and words == "no complete response":
        words = "no connection"
    return kind(reason=f"{words}: {peer}: {_detail(root)}", outcome=outcome)


def _detail(error: BaseException) -> str:
    """Return what happened, without the names of classes that wrap it."""
    inner = error.args[-1] if error.args else None
    if isinstance(error, IncompleteRead):
        return f"the body is cut off: {error.expected} bytes are missing"
    if isinstance(error, failures.HTTPError) and isinstance(inner, BaseException):
        return _detail(inner)
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
