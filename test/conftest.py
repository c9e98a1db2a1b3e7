"""What the tests share: the sandbox, a server that answers as told, and clients of both."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

import stcloud
from stcloud.sandbox import Sandbox

KEY = "0123abcd-made-up-key"


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test starts without settings in the environment and without a default configuration."""
    for variable in ("SEMATEXT_API_KEY", "SEMATEXT_HOST", "SEMATEXT_REGION"):
        monkeypatch.delenv(variable, raising=False)
    yield
    stcloud.Configuration.set_default(None)


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[Sandbox]:
    """One sandbox for all tests."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running_sandbox: Sandbox) -> Sandbox:
    """The sandbox, without tokens."""
    running_sandbox.reset()
    return running_sandbox


@pytest.fixture
def api(sandbox: Sandbox) -> Iterator[stcloud.TokensApiControllerApi]:
    """The API on the sandbox."""
    configuration = stcloud.Configuration(host=sandbox.url, api_key=sandbox.api_key)
    with stcloud.ApiClient(configuration) as client:
        yield stcloud.TokensApiControllerApi(client)


@pytest.fixture
def remote(httpserver: HTTPServer) -> Iterator[stcloud.TokensApiControllerApi]:
    """The API on the server that answers as told; ``httpserver.log`` has what arrived there."""
    configuration = stcloud.Configuration(host=httpserver.url_for(""), api_key=KEY, retries=0)
    with stcloud.ApiClient(configuration) as client:
        yield stcloud.TokensApiControllerApi(client)


@pytest.fixture
def answer(httpserver: HTTPServer) -> Callable[..., None]:
    """Tell the server what to answer from now on."""

    def answer(body: str | bytes = "", status: int = 200, **headers: str) -> None:
        httpserver.clear()
        handler = httpserver.expect_request(re.compile(".*"))
        named: Any = {name.replace("_", "-"): value for name, value in headers.items()}
        handler.respond_with_data(body, status, named, content_type="application/json")

    return answer
