"""Requests to a sandbox, without the SDK."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import urllib3

from stcloud.sandbox import Sandbox

Ask = Callable[..., urllib3.BaseHTTPResponse]


@pytest.fixture
def ask(sandbox: Sandbox) -> Iterator[Ask]:
    """Send a request, with the key or the test's own, to a path below an app's tokens."""
    key = f"apiKey {sandbox.api_key}"
    with urllib3.PoolManager(retries=False) as pool:

        def ask(
            method: str,
            path: str = "",
            app_id: object = sandbox.app_id,
            authorization: str | None = key,
            content_type: str | None = None,
            **options: Any,
        ) -> urllib3.BaseHTTPResponse:
            fields = {"Authorization": authorization, "Content-Type": content_type}
            headers = {name: value for name, value in fields.items() if value is not None}
            url = f"{sandbox.url}/users-web/api/v3/apps/{app_id}/tokens{path}"
            return pool.request(method, url, headers=headers, **options)

        yield ask
