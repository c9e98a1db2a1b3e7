"""Fixtures for pytest: a local service like Sematext Cloud's app-token API, fresh for each test.

pytest imports this file in every run. So it stands outside the package, which brings the complete
client, and imports what a fixture needs when the fixture is first used.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import stcloud
    from stcloud.sandbox import Sandbox


@pytest.fixture(scope="session")
def _stcloud_server() -> Iterator[Sandbox]:
    """The sandbox that all tests of a run share."""
    try:
        from stcloud.sandbox import Sandbox
    except ImportError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None  # it says what to install
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def stcloud_sandbox(_stcloud_server: Sandbox) -> Sandbox:
    """A running ``stcloud.sandbox.Sandbox`` with app 789, without tokens or pending faults.

    One server serves all tests of the run; it starts when the first of them needs it.
    """
    with suppress(RuntimeError):  # it runs, unless a test has closed it
        _stcloud_server.start()
    _stcloud_server.reset()
    return _stcloud_server


@pytest.fixture
def stcloud_api(stcloud_sandbox: Sandbox) -> Iterator[stcloud.TokensApiControllerApi]:
    """A ``stcloud.TokensApiControllerApi`` on ``stcloud_sandbox``; closed after the test.

    Neither the environment nor ``Configuration.set_default`` changes it. Between attempts it waits
    milliseconds, or as long as a ``Retry-After`` asks.
    """
    import stcloud

    class Configuration(stcloud.Configuration):
        """Has a default of its own, so that the program's does not count."""

    Configuration.set_default(None)
    configuration = Configuration(
        host=stcloud_sandbox.url,
        api_key=stcloud_sandbox.api_key,
        retries=stcloud.RetryPolicy(backoff=0.001),
        trust_env=False,
    )
    with stcloud.ApiClient(configuration) as client:
        yield stcloud.TokensApiControllerApi(client)
