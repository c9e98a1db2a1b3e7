"""These tests need pytest and the client alone, so that they run on PyPy, too."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from scripted_server import Reply, ScriptedServer

import stcloud


@pytest.fixture
def serve() -> Iterator[Callable[..., ScriptedServer]]:
    """Start servers that send these replies."""
    with ExitStack() as servers:

        def serve(*replies: Reply | bytes, **options: Any) -> ScriptedServer:
            return servers.enter_context(ScriptedServer(*replies, **options))

        yield serve


@pytest.fixture
def connect() -> Iterator[Callable[..., stcloud.TokensApiControllerApi]]:
    """Make APIs on a host; they make one attempt unless the settings say otherwise."""
    with ExitStack() as clients:

        def connect(host: str, **settings: Any) -> stcloud.TokensApiControllerApi:
            settings = {"host": host, "api_key": "made-up-key", "retries": 0, **settings}
            client = stcloud.ApiClient(stcloud.Configuration(**settings))
            return stcloud.TokensApiControllerApi(clients.enter_context(client))

        yield connect
