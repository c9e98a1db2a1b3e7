"""Connections whose every wait ends with the call's deadline."""

from __future__ import annotations

import io
import socket
import ssl
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPException
from http.client import HTTPResponse as ClientResponse
from typing import TYPE_CHECKING, Any, cast
from weakref import ref

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse
from urllib3.util.connection import allowed_gai_family
from urllib3.util.ssl_match_hostname import CertificateError
from urllib3.util.ssltransport import SSLTransport

from stcloud._signals import raised_by_handler
from stcloud._transport.errors import FAILURES
from stcloud._transport.head import ResponseReader, StrictResponse, read_head
from stcloud._transport.timeouts import LimitReached, StepLimits, Timeouts, Wait

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

    from stcloud._transport.slots import ConnectionQueue

_TCP_KEEPALIVE = (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
_DISCONNECTED = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)


class DeadlineTimeout(float):
    """A read timeout that also carries the deadline; urllib3 accepts only a float.

    urllib3 passes it to the connection as the timeout of a request. ``max_bytes`` bounds the
    bytes of a response on the wire; None is for no bound.
    """

    timeouts: Timeouts
    max_bytes: int | None

    def __new__(cls, timeouts: Timeouts, max_bytes: int | None = None) -> DeadlineTimeout:
        """Clip the timeout to what remains; a wait may have ended a little late."""
        self = super().__new__(cls, min(timeouts.limits.read, max(timeouts.remaining(), 0.001)))
        self.timeouts = timeouts
        self.max_bytes = max_bytes
        return self


class ConnectError(HTTPError):
    """Connecting failed, so nothing was sent.

    Attributes:
        cause: what happened.
        is_proxy: whether it happened between here and the proxy.
    """

    def __init__(self, cause: Exception, *, is_proxy: bool) -> None:
        super().__init__(cause)
        self.cause = cause
        self.is_proxy = is_proxy


class StaleConnectionError(HTTPError):
    """The server had closed an idle connection, or closed it instead of a response.

    Attributes:
        cause: what happened.
    """

    def __init__(self, cause: Exception) -> None:
        super().__init__(cause)
        self.cause = cause


class TunnelError(HTTPException):
    """The proxy's response to CONNECT is not 2xx.

    Attributes:
        status: its status. The rest of the response is not kept: it may hold anything.
    """

    def __init__(self, status: int) -> None:
        hint = {407: ": a user name or password is missing or wrong"}.get(status, "")
        super().__init__(f"the proxy refused to connect: status {status}{hint}")
        self.status = status


class DeadlineHTTPConnection(HTTPConnection):
    """Raises ConnectError if connecting fails; every wait respects the deadline."""

    _response: ClientResponse | None = None
    _reader: ResponseReader | None = None
    _is_reused: bool = False
    _at_proxy: bool = False
    _sent_at: float = 0.0
    _keep_alive_timeout: float | None = None

    def __init__(
        self, *arguments: Any, idle_timeout: float, siblings: ref[ConnectionQueue], **named: Any
    ) -> None:
        super().__init__(*arguments, **named)
        self._idle_timeout = idle_timeout
        self._siblings = siblings
        self._limits = StepLimits()

    @property
    def idle_since(self) -> float:
        """When its last response ended, on the monotonic clock."""
        return self._limits.idle_since

    def connect(self) -> None:
        """Connect, TLS and a proxy's tunnel included, or raise ConnectError."""
        self._reader = None
        self._is_reused = False
        self._keep_alive_timeout = None
        self._at_proxy = self.proxy is not None
        self._limits.timeouts = timeouts = cast("DeadlineTimeout", self.timeout).timeouts
        self._limits.connecting = wait = Wait(timeouts, "connect", "connecting")
        try:
            super().connect()
        except (*FAILURES, UnicodeError, CertificateError) as error:
            if raised_by_handler(error):
                raise
            cause = wait.reached() if isinstance(error, TimeoutError) else error
            raise ConnectError(cause, is_proxy=self._at_proxy) from error
        finally:
            self._limits.connecting = None

    def _new_conn(self) -> socket.socket:
        """Connect to one of the host's addresses; each has its share of the time that remains."""
        addresses = socket.getaddrinfo(
            self._dns_host, self.port, allowed_gai_family(), socket.SOCK_STREAM
        )
        failure: OSError = OSError("the host has no address")
        for left, (family, kind, protocol, _, address) in zip(
            range(len(addresses), 0, -1), addresses, strict=True
        ):
            sys.audit("http.client.connect", self, self.host, self.port)
            sock = socket.socket(family, kind, protocol)
            try:
                for option in (*(self.socket_options or ()), _TCP_KEEPALIVE):
                    sock.setsockopt(*option)
                # The look-up has no timeout of its own: nothing may remain by now.
                sock.settimeout(self._limits.remaining("connecting") / left)
                sock.connect(address)
                sock.settimeout(self._limits.remaining("connecting"))
            except OSError as error:
                sock.close()
                if raised_by_handler(error):
                    raise
                failure = error
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        raise failure

    def _tunnel(self) -> None:
        """Ask the proxy for a tunnel; http.client would quote the proxy's words."""
        name = str(self._tunnel_host).strip("[]")  # some versions of urllib3 keep them
        host = f"[{name}]:{self._tunnel_port}" if ":" in name else f"{name}:{self._tunnel_port}"
        # http.client since 3.12 has a Host of its own, without the brackets on some versions.
        fields: dict[str, str] = {**self._tunnel_headers, "Host": host}  # type: ignore[attr-defined]
        lines = [f"CONNECT {host} HTTP/1.1", *(f"{name}: {fields[name]}" for name in fields)]
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1"))
        reader = ResponseReader(DeadlineSocketIO(self.sock, self._limits, None))
        with reader:
            status = read_head(reader).status
        if not 200 <= status < 300:
            raise TunnelError(status)
        if reader.has_left_over:  # TLS would miss these bytes: this reader has taken them
            raise HTTPException("the proxy sent bytes after its response to CONNECT")
        self.sock.settimeout(self._limits.remaining("connecting"))
        self._at_proxy = False

    def request(self, *arguments: Any, **named: Any) -> None:
        """Send a request; connect first if need be, and send nothing after the deadline."""
        if self.sock is None:
            self.connect()
        self._limits.timeouts = timeouts = cast("DeadlineTimeout", self.timeout).timeouts
        if timeouts.remaining() <= 0:
            deadline = timeouts.limits.describe("deadline")
            reached = LimitReached(f"no connection was free within {deadline}")
            raise ConnectError(reached, is_proxy=False)
        self._sent_at = time.monotonic()
        self._reader = None
        super().request(*arguments, **named)

    def send(self, data: ReadableBuffer) -> None:  # type: ignore[override]  # urllib3 sends bytes alone
        """Send bytes; TLS's own sendall starts a new timeout for each part."""
        view = memoryview(data)
        while view:
            _limit(self.sock, self._limits.remaining("sending"))
            try:
                view = view[self.sock.send(view) :]
            except TimeoutError as error:
                if raised_by_handler(error):
                    raise
                raise self._limits.reached("sending") from error
            except OSError as error:
                self._raise_alert(error)
                raise

    def _raise_alert(self, error: OSError) -> None:
        """Raise what TLS says of a connection that ended: a refused certificate, for example.

        With TLS 1.3 a server checks the client's certificate after the client has begun to send.
        """
        if isinstance(self.sock, ssl.SSLSocket) and not raised_by_handler(error):
            with suppress(ConnectionError, TimeoutError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
                self.sock.settimeout(min(1, self._limits.remaining("sending")))
                self.sock.recv(1)

    def response_class(  # type: ignore[override]  # called as the class would be
        self, sock: socket.socket, *arguments: Any, **named: Any
    ) -> ClientResponse:
        """Return a response that respects the deadline of the timeout set last."""
        max_bytes = cast("DeadlineTimeout", self.timeout).max_bytes
        reader: Any = ResponseReader(DeadlineSocketIO(sock, self._limits, max_bytes))
        self._reader = reader
        self._response = StrictResponse(reader, *arguments, **named)
        return self._response

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3 does
        """Return the response; close it if reading fails, since it holds the socket open."""
        try:
            response = super().getresponse()
        except BaseException as error:
            if self._response is not None:
                self._response.close()
            if isinstance(error, (HTTPError, HTTPException, OSError)):
                self._give_up_siblings(error)
            raise
        else:
            self._keep_alive_timeout = _keep_alive_timeout(response.headers)
            self._is_reused = True
            return response
        finally:
            self._response = None

    def _give_up_siblings(self, error: Exception) -> None:
        """Close idle connections as old as this one if it was dead: a NAT forgets all of them.

        Raises:
            StaleConnectionError: the server had closed this one.
        """
        if not self._is_reused or raised_by_handler(error):
            return
        siblings = self._siblings()
        if siblings is not None:
            siblings.close_idle(before=self._sent_at)
        if isinstance(error, _DISCONNECTED) and not (self._reader and self._reader.has_begun):
            raise StaleConnectionError(error) from error

    @property
    def is_connected(self) -> bool:
        """Whether it is open, not idle for too long, and no unsolicited bytes came over it.

        They are not read: a proxy or an attacker may have sent them as the next response.
        """
        limit = self._idle_timeout if self._keep_alive_timeout is None else self._keep_alive_timeout
        if time.monotonic() - self._limits.idle_since > min(limit, self._idle_timeout):
            return False
        if self._reader is not None:
            self._reader.close()
            if self._reader.has_left_over:
                return False
        return super().is_connected


class DeadlineHTTPSConnection(DeadlineHTTPConnection, HTTPSConnection):  # pyright: ignore[reportIncompatibleVariableOverride, reportIncompatibleMethodOverride]
    """The same over TLS."""

    def connect(self) -> None:
        """Connect; urllib3 would warn of each request, and Configuration has warned already."""
        super().connect()
        self.is_verified = True

    @property
    def is_connected(self) -> bool:
        """The same, also of what TLS has read and nobody else."""
        return super().is_connected and not _holds_bytes(self.sock)

    def _connect_tls_proxy(self, hostname: str, sock: socket.socket) -> Any:
        """Return TLS to the proxy, whose every step keeps the deadline: TLS within it has many."""
        secured = super()._connect_tls_proxy(hostname, sock)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        return _DeadlineSocket(secured, self._limits)


def _limit(sock: socket.socket, seconds: float) -> None:
    """Set a socket's timeout; most have it already, and setting it is a system call."""
    if sock.gettimeout() != seconds:
        sock.settimeout(seconds)


def _keep_alive_timeout(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a server keeps an idle connection, less a margin for the way."""
    if "Keep-Alive" not in headers:
        return None
    for parameter in headers["Keep-Alive"].split(","):
        name, _, number = parameter.strip().partition("=")
        if name.lower() == "timeout" and number.isascii() and number.isdigit():
            return max(int(number) - 1, int(number) / 2)
    return None


def _holds_bytes(sock: Any) -> bool:
    """Return whether TLS, or TLS within TLS, holds bytes that it has read and nobody else.

    urllib3's is_connected asks the operating system alone, and SSLTransport has no pending().
    """
    if isinstance(sock, SSLTransport):
        return bool(sock.sslobj.pending() or sock.incoming.pending) or _holds_bytes(sock.socket)
    pending = getattr(sock, "pending", None)
    return bool(pending and pending())


class _DeadlineSocket:
    """A proxy's TLS connection, over which TLS to the host runs.

    urllib3's SSLTransport reads and writes many times for one step of its own, each time with
    the same timeout.
    """

    def __init__(self, sock: Any, limits: StepLimits) -> None:
        vars(self).update(_sock=sock, _limits=limits)

    def recv(self, size: int) -> bytes:
        """Read what is there, until the deadline at most."""
        self._sock.settimeout(self._limits.remaining("the response"))
        received: bytes = self._sock.recv(size)
        return received

    def sendall(self, data: bytes) -> None:
        """Send all, until the deadline at most."""
        view = memoryview(data)
        while view:
            self._sock.settimeout(self._limits.remaining("sending"))
            view = view[self._sock.send(view) :]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._sock, name, value)  # SSLTransport counts the socket's readers on it


class DeadlineSocketIO(io.RawIOBase):
    """Reads from a socket; every wait ends with the deadline."""

    has_ended: bool = False

    def __init__(self, sock: socket.socket, limits: StepLimits, max_bytes: int | None) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._limits = limits
        self._max_bytes = max_bytes
        self.bytes_received: int = 0

    def readable(self) -> bool:
        """Return True: io asks."""
        return True

    def fileno(self) -> int:
        """Return the socket's file descriptor."""
        return self._raw.fileno()

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        """Read until the deadline at most; raise HTTPException after ``max_bytes``."""
        if self.has_ended:
            return None
        _limit(self._sock, self._limits.remaining("the response"))
        try:
            size = self._sock.recv_into(buffer)
        except TimeoutError as error:
            if raised_by_handler(error):
                raise
            raise self._limits.reached("the response") from error
        self.bytes_received += size
        if self._max_bytes is not None and self.bytes_received > self._max_bytes:
            raise HTTPException(f"more than {self._max_bytes} bytes came")
        return size

    def close(self) -> None:
        """Close this reader; the socket closes with its last one."""
        self._limits.idle_since = time.monotonic()
        self._raw.close()
        super().close()
