"""What the tests share: the sandbox, a server that responds as scripted, and clients of both.

Packages are imported where they are used: `test/client` runs without them, too.
"""

from __future__ import annotations

import logging
import re
import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

import stcloud

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import trustme
    from pytest_httpserver import HTTPServer

    from stcloud.sandbox import Sandbox
    from stcloud.sandbox.server import Server

# An installed package has brought its plugin by this name already, a mere checkout has not.
pytest_plugins = ["pytest_stcloud", "pytester", "run_limit"]

KEY = "0123abcd-made-up-key"


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test starts without settings in the environment and without a default configuration."""
    for variable in ("SEMATEXT_API_KEY", "SEMATEXT_HOST", "SEMATEXT_REGION"):
        monkeypatch.delenv(variable, raising=False)
    yield
    stcloud.Configuration.set_default(None)


@pytest.fixture(autouse=True)
def logger_as_it_was() -> Iterator[None]:
    """Each test leaves levels and handlers as it found them."""
    loggers = [logging.getLogger("stcloud"), logging.getLogger()]
    before = [(logger, logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, level, handlers in before:
        for handler in set(logger.handlers) - set(handlers):
            logger.removeHandler(handler)
            handler.close()
        logger.setLevel(level)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Who signs the certificates of the tests' servers."""
    import trustme

    return trustme.CA()


@pytest.fixture(scope="session")
def running_sandbox(_stcloud_server: Sandbox) -> Sandbox:
    """One sandbox for all tests."""
    return _stcloud_server


@pytest.fixture
def sandbox(stcloud_sandbox: Sandbox) -> Sandbox:
    """The sandbox, without tokens."""
    return stcloud_sandbox


@pytest.fixture
def api(stcloud_api: stcloud.TokensApiControllerApi) -> stcloud.TokensApiControllerApi:
    """The API on the sandbox."""
    return stcloud_api


@pytest.fixture
def connect(sandbox: Sandbox) -> Iterator[Callable[..., stcloud.TokensApiControllerApi]]:
    """Make APIs on the sandbox, or on another host, that wait little between attempts."""
    policy = stcloud.RetryPolicy(backoff=0.001)
    with ExitStack() as clients:

        def connect(**settings: Any) -> stcloud.TokensApiControllerApi:
            args = {"host": sandbox.url, "api_key": sandbox.api_key, "retries": policy, **settings}
            client = stcloud.ApiClient(stcloud.Configuration(**args))
            return stcloud.TokensApiControllerApi(clients.enter_context(client))

        yield connect


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The connections that sandboxes have accepted, by their clients' addresses."""
    from stcloud.sandbox.server import Server

    accepted: list[Any] = []
    get_request = Server.get_request

    def noted(server: Server) -> tuple[socket.socket, Any]:
        connection, address = get_request(server)
        accepted.append(address)
        return connection, address

    monkeypatch.setattr(Server, "get_request", noted)
    return accepted


@pytest.fixture
def remote(httpserver: HTTPServer) -> Iterator[stcloud.TokensApiControllerApi]:
    """The API on the server that responds as scripted; its ``log`` has what arrived there."""
    configuration = stcloud.Configuration(host=httpserver.url_for(""), api_key=KEY, retries=0)
    with stcloud.ApiClient(configuration) as client:
        yield stcloud.TokensApiControllerApi(client)


@pytest.fixture
def respond(httpserver: HTTPServer) -> Callable[..., None]:
    """Set what the server responds from now on."""

    def respond(body: str | bytes = "", status: int = 200, **headers: str) -> None:
        httpserver.clear()
        handler = httpserver.expect_request(re.compile(".*"))
        named: Any = {name.replace("_", "-"): value for name, value in headers.items()}
        handler.respond_with_data(body, status, named, content_type="application/json")

    return respond


@pytest.fixture
def end_requests(sandbox: Sandbox) -> Callable[[int], None]:
    """Wait until so many faults are left, and every request that met one has had its effect."""

    def end_requests(faults: int = 0) -> None:
        end = time.monotonic() + 25
        while sandbox.pending_faults > faults and time.monotonic() < end:
            time.sleep(0.01)
        with sandbox.refusing():  # closes connections after what came over them is done
            pass

    return end_requests
