"""One attempt of a request, and the public home of ``ApiException`` and the raw response."""

from __future__ import annotations

import zlib
from typing import NoReturn, TypeAlias
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import EmptyPoolError

from stcloud._transport.body import iter_decoded
from stcloud._transport.connection import ConnectError, DeadlineTimeout, StaleConnectionError
from stcloud._transport.errors import (
    FAILURES,
    cause_of_handler,
    is_permanent_connect_error,
    map_exception,
    outcome_for_failure,
)
from stcloud._transport.pools import Pools
from stcloud._transport.timeouts import CallLimits, LimitReached, Timeouts
from stcloud.configuration import Configuration
from stcloud.exceptions import ApiException, UnexpectedResponseException
from stcloud.operation import Request
from stcloud.retry import Outcome

__all__ = ["ApiException", "CallLimits", "RawResponse", "RestClient", "Timeouts"]

RawResponse: TypeAlias = urllib3.BaseHTTPResponse
"""What ``_preload_content=False`` returns: urllib3's response, its body not read yet."""

_ONE_ATTEMPT = urllib3.Retry(False)  # raises what happened as it is, follows no redirect


class RestClient:
    """Sends requests over the connections of one client."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._pools = Pools(configuration)

    def request(self, request: Request, timeouts: Timeouts) -> RawResponse:
        """Make one attempt; return the response when its headers have come.

        A response that the caller keeps (``raw``) has a connection that no other call waits for.

        Raises:
            ConnectionException: no response came; TimeoutException if time ran out.
        """
        raw = request.options.raw
        route = self._pools.route(self._configuration.host, raw)
        try:
            return route.pool.urlopen(
                request.method,
                route.prefix + request.path,
                request.body,
                request.headers,
                retries=_ONE_ATTEMPT,
                redirect=False,
                assert_same_host=False,  # it would refuse a proxy's absolute URLs
                timeout=DeadlineTimeout(timeouts, None if raw else self._max_wire_bytes()),
                pool_timeout=max(timeouts.remaining(), 0.001),  # type: ignore[arg-type]  # a queue's timeout, any number
                preload_content=False,
            )
        except ConnectError as unsent:
            cause = unsent.cause
            outcome = Outcome.FINAL if is_permanent_connect_error(cause) else Outcome.NOT_SENT
            peer = route.proxy if unsent.is_proxy and route.proxy else route.host
            raise map_exception(cause, peer, outcome, is_connecting=True) from cause
        except EmptyPoolError as error:
            deadline = timeouts.limits.describe("deadline")
            busy = LimitReached(f"no connection was free within {deadline}")
            raise map_exception(busy, route.host, Outcome.NOT_SENT) from error
        except StaleConnectionError as stale:
            raise map_exception(stale.cause, route.host, Outcome.DISCONNECTED) from stale.cause
        except FAILURES as error:
            _raise_failure(error, route.host)

    def _max_wire_bytes(self) -> int:
        """Return the bytes that may come over the wire, for a body of the longest length.

        Chunk sizes may double it; 8 MiB hold the longest status line and headers.
        """
        return 2 * self._configuration.max_response_bytes + 8 * 1024 * 1024

    def read(self, response: RawResponse) -> bytes:
        """Return the body of a response and give its connection back.

        The text of an error that is too large is cut.

        Raises:
            ConnectionException: the body is incomplete; TimeoutException if time ran out.
            UnexpectedResponseException: a 2xx response is too large.
        """
        max_bytes = self._configuration.max_response_bytes
        chunks: list[bytes] = []
        size = 0
        try:
            length = response.length_remaining
            if length == 0 or (
                length is not None
                and length <= max_bytes
                and "Content-Encoding" not in response.headers
            ):
                return response.read(decode_content=False)  # the usual case, and the quickest
            for chunk in iter_decoded(response):
                chunks.append(chunk)
                size += len(chunk)
                if size > max_bytes:
                    break
        except (*FAILURES, zlib.error) as error:
            _discard_response(response)
            _raise_failure(error, urlsplit(self._configuration.host).netloc)
        if size > max_bytes:
            _discard_response(response)
            if 200 <= response.status < 300:
                raise UnexpectedResponseException(
                    response.status,
                    response.reason,
                    headers=response.headers,
                    message=f"the response has more than {max_bytes} bytes, the max_response_bytes",
                    outcome=Outcome.INVALID_RESPONSE,
                )
        return b"".join(chunks)[:max_bytes]

    def reset_pools(self) -> None:
        """Use new connections from now on; those of calls in flight end with them."""
        self._pools.reset()

    def close(self) -> None:
        """Close the idle connections; a later request opens new ones."""
        self._pools.close()


def _raise_failure(error: Exception, peer: str) -> NoReturn:
    """Raise what a failure means; what a signal handler raised is the program's, and passes."""
    cause = cause_of_handler(error)
    if cause is not None:
        raise cause from cause.__cause__  # `from error` would make a circle of causes
    raise map_exception(error, peer, outcome_for_failure(error)) from error


def _discard_response(response: RawResponse) -> None:
    """Close the response's connection, and give its slot in the pool back."""
    response.close()
    response.release_conn()
