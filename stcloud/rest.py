"""One attempt of a request, and the public home of ``ApiException`` and the raw response."""

from __future__ import annotations

import zlib
from typing import TypeAlias

import urllib3

from stcloud._transport.body import iter_decoded
from stcloud._transport.connection import ConnectError, DeadlineTimeout, Timeouts
from stcloud._transport.errors import (
    FAILURES,
    is_permanent_connect_error,
    map_exception,
    outcome_for_failure,
    redact_exception,
)
from stcloud._transport.pools import Pools
from stcloud.configuration import Configuration
from stcloud.exceptions import ApiException, ConnectionException, UnexpectedResponseException
from stcloud.retry import Outcome

__all__ = ["ApiException", "RawResponse", "RestClient", "Timeouts"]

RawResponse: TypeAlias = urllib3.BaseHTTPResponse
"""What ``_preload_content=False`` returns: urllib3's response, its body not read yet."""

_ONE_ATTEMPT = urllib3.Retry(False)  # raises what happened as it is, follows no redirect


class RestClient:
    """Sends requests over the connections of one client."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._pools = Pools(configuration)

    def request(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes | None,
        timeouts: Timeouts,
        *,
        raw: bool,
    ) -> RawResponse:
        """Make one attempt; return the response when its headers have come.

        A response that the caller keeps (``raw``) has a connection that no other call waits for.

        Raises:
            ConnectionException: no response came; TimeoutException if time ran out.
        """
        host = self._configuration.host
        try:
            route = self._pools.route(host, raw)
            response = route.pool.urlopen(
                method,
                route.prefix + path,
                body,
                headers,
                retries=_ONE_ATTEMPT,
                redirect=False,
                assert_same_host=False,  # it would refuse a proxy's absolute URLs
                timeout=DeadlineTimeout(timeouts, None if raw else self._max_wire_bytes()),
                pool_timeout=max(timeouts.remaining(), 0.001),  # type: ignore[arg-type]  # a queue's timeout, any number
                preload_content=False,
            )
        except ConnectError as unsent:
            outcome = (
                Outcome.FINAL if is_permanent_connect_error(unsent.cause) else Outcome.NOT_SENT
            )
            raise map_exception(unsent.cause, host, outcome) from unsent.cause
        except FAILURES as error:
            failure = redact_exception(error)
            raise map_exception(failure, host, outcome_for_failure(error)) from failure
        if response.status < 200:  # but for 100, http.client takes it for the response
            _discard_response(response)
            reason = f"{response.status} {response.reason}: no final response"
            raise ConnectionException(reason=reason, outcome=Outcome.UNKNOWN)
        return response

    def _max_wire_bytes(self) -> int:
        """Return the bytes that may come over the wire: what frames a body, and headers, too."""
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
            if (
                length is not None
                and length <= max_bytes
                and "Content-Encoding" not in response.headers
            ):
                return response.read()  # the usual case, and the quickest
            for chunk in iter_decoded(response):
                chunks.append(chunk)
                size += len(chunk)
                if size > max_bytes:
                    break
        except (*FAILURES, ValueError, zlib.error) as error:  # ValueError: odd sizes of chunks
            _discard_response(response)
            failure = redact_exception(error)
            raise map_exception(
                failure, self._configuration.host, outcome_for_failure(error)
            ) from failure
        if size > max_bytes:
            _discard_response(response)
            if 200 <= response.status < 300:
                raise UnexpectedResponseException(
                    response.status,
                    response.reason,
                    headers=response.headers,
                    message=f"the response has more than {max_bytes} bytes",
                    outcome=Outcome.INVALID_RESPONSE,
                )
        return b"".join(chunks)[:max_bytes]

    def reset_pools(self) -> None:
        """Use new connections from now on; those of calls in flight end with them."""
        self._pools.reset()

    def close(self) -> None:
        """Close the idle connections; a later request opens new ones."""
        self._pools.close()


def _discard_response(response: RawResponse) -> None:
    """Close the response's connection, and give its slot in the pool back."""
    response.close()
    response.release_conn()
