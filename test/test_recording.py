"""Tools that record calls, or response them, in the tests of programs: vcrpy, pytest-httpserver."""

import re
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
import vcr  # type: ignore[import-untyped]
from pytest_httpserver import HTTPServer
from vcr.errors import CannotOverwriteExistingCassetteException  # type: ignore[import-untyped]

import stcloud
from stcloud._transport.connection import DeadlineHTTPConnection
from stcloud.sandbox import Fault, Sandbox

Connect = Callable[..., stcloud.TokensApiControllerApi]


def without_tokens(response: dict[str, Any]) -> dict[str, Any]:
    body = response["body"]
    body["string"] = re.sub(rb'("token": *)"[^"]*"', rb'\1"****"', body["string"])
    return response


recorder = vcr.VCR(filter_headers=["Authorization"], before_record_response=without_tokens)


@pytest.fixture
def cassette(tmp_path: Path) -> Path:
    return tmp_path / "cassette.yaml"


@pytest.fixture(params=["http", "https"])
def settings(
    request: pytest.FixtureRequest, authority: trustme.CA, tmp_path: Path
) -> Iterator[tuple[Sandbox, dict[str, Any]]]:
    """A sandbox that the test may stop, and how it is reached."""
    context, file = None, tmp_path / "ca.pem"
    if request.param == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        authority.cert_pem.write_to_path(str(file))
    with Sandbox(ssl_context=context) as sandbox:
        certificates = {"ssl_ca_cert": file} if context else {}
        yield sandbox, {"host": sandbox.url, "api_key": sandbox.api_key, **certificates}


def life_of_a_token(api: Any) -> tuple[set[str], list[object]]:
    """Make each call, with a success and a failure; return token values, and what else came."""
    created = api.create_app_token({"name": "log shipper"}, 789).data.token
    renewed = api.regenerate_app_token1(789, created.id).data.token
    (listed,) = api.get_app_tokens1(789).data.tokens
    updated, status, headers = api.update_app_token_with_http_info({"enabled": False}, 789, 1001)
    gone = api.delete_app_token1(789, created.id)
    with pytest.raises(stcloud.NotFoundException) as raised:
        api.delete_app_token1(789, created.id)
    with api.get_app_tokens1(789, _preload_content=False) as response:
        raw = response.data
    tokens = [created, renewed, listed, updated.data.token]
    facts = [(token.id, token.name, token.enabled, token.created_at) for token in tokens]
    error = raised.value
    return {token.token for token in tokens}, [
        *facts,
        (status, headers["Content-Type"], gone, raw),
        (str(error), error.body, error.attempts),
    ]


def test_recorded_calls_are_replayed(
    settings: tuple[Sandbox, dict[str, Any]], connect: Connect, cassette: Path
) -> None:
    """Without a server, each call comes to what it came to; the file holds no secret."""
    sandbox, reached = settings
    sandbox.fail_next("get_app_tokens1", Fault.status(503))
    with recorder.use_cassette(cassette):
        secrets, came = life_of_a_token(connect(**reached))
    assert [len(secret) for secret in secrets] == [36, 36]
    written = cassette.read_text(encoding="utf-8")
    assert written.count("uri: ") == 8
    assert [secret for secret in {sandbox.api_key, *secrets} if secret in written] == []
    sandbox.close()
    with recorder.use_cassette(cassette, record_mode="none"):
        assert life_of_a_token(connect(**reached)) == ({"****"}, came)


def test_call_that_was_not_recorded_is_refused(connect: Connect, cassette: Path) -> None:
    """When replaying, nothing goes to a server, and nothing is retried."""
    with recorder.use_cassette(cassette):
        connect().get_app_tokens1(789)
    api = connect()
    with (
        recorder.use_cassette(cassette, record_mode="none"),
        pytest.raises(CannotOverwriteExistingCassetteException),
    ):
        api.create_app_token({}, 789)
    assert api.get_app_tokens1(789).data == stcloud.TokensResponseEntry([])


def test_client_outlives_the_recording(
    connect: Connect, cassette: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client records within a cassette, and has its own connections before and after."""
    connected = []
    connect_watched = DeadlineHTTPConnection.connect

    def noted(connection: DeadlineHTTPConnection) -> None:
        connected.append(connection)
        connect_watched(connection)

    monkeypatch.setattr(DeadlineHTTPConnection, "connect", noted)
    api = connect()
    api.create_app_token({}, 789)
    with recorder.use_cassette(cassette) as recording:
        api.get_app_tokens1(789)
        assert len(recording) == 1
    with recorder.use_cassette(cassette) as recording:
        api.get_app_tokens1(789)
        assert recording.play_count == 1
    api.api_client.close()
    api.get_app_tokens1(789)
    assert len(recording) == 1
    assert len(connected) == 2


def test_httpserver_responses(httpserver: HTTPServer, connect: Connect) -> None:
    """pytest-httpserver checks what a call sends, and responds as scripted."""
    api = connect(host=httpserver.url_for("/base"), api_key="made-up")
    path, headers = "/base/users-web/api/v3/apps/789/tokens", {"Authorization": "apiKey made-up"}
    expected = httpserver.expect_ordered_request(
        path, method="POST", headers=headers, json={"name": "log shipper"}
    )
    expected.respond_with_json({"data": {"token": {"id": 7}}, "success": True}, status=201)
    httpserver.expect_ordered_request(path, method="GET").respond_with_json({}, status=403)
    created: Any = api.create_app_token({"name": "log shipper"}, 789)
    assert created.data.token.id == 7
    with pytest.raises(stcloud.ForbiddenException):
        api.get_app_tokens1(789)
    httpserver.check_assertions()
