"""A manager on the sandbox, a service that watches its tokens, and a clock for both."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from managed_tokens import Clock, Service, travel

import stcloud
from stcloud import TokenManager
from stcloud.sandbox import Sandbox


@pytest.fixture
def clock() -> Iterator[Clock]:
    """The time of day, of managers and service."""
    with travel() as traveller:
        yield Clock(traveller)


@pytest.fixture
def service(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Service]:
    """The sandbox, watched: at every moment a published token is enabled."""
    service = Service(sandbox, monkeypatch, tmp_path / "published")
    yield service
    assert not service.broken


@pytest.fixture
def manager(api: stcloud.TokensApiControllerApi, sandbox: Sandbox) -> TokenManager:
    """A manager of the sandbox's app."""
    return TokenManager(api, sandbox.app_id)
