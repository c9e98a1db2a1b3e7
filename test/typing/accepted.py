# pyright: strict
"""Code as a user of the package writes it: no type checker may object. It is read, never run."""

from datetime import datetime, timedelta
from typing import assert_type

from urllib3 import BaseHTTPResponse

import stcloud
from stcloud.operation import HttpInfo
from stcloud.rest import ApiException
from stcloud.token_manager import Event, Rotation, Step


def settings() -> stcloud.Configuration:
    configuration = stcloud.Configuration(
        api_key="key", region="EU", connect_timeout=2, read_timeout=7.5
    )
    stcloud.Configuration(api_key=b"key", host="http://localhost:8080")
    stcloud.Configuration(api_key={"Authorization": "key"})
    configuration.host = "https://apps.sematext.com"
    configuration.api_key["Authorization"] = "key"
    configuration.api_key_prefix["Authorization"] = "apiKey"
    stcloud.Configuration.set_default(configuration)
    return configuration


def every_operation(api: stcloud.TokensApiControllerApi) -> None:
    new = stcloud.CreateTokenDto(name="shipper", readable=False, writeable=True)
    change = stcloud.UpdateTokenDto(enabled=False, name="old shipper")

    assert_type(api.create_app_token(new, 1), stcloud.TokenResponse)
    assert_type(api.get_app_tokens1(1), stcloud.TokensResponse)
    assert_type(api.update_app_token(change, 1, 2), stcloud.TokenResponse)
    assert_type(api.regenerate_app_token1(1, 2), stcloud.TokenResponse)
    assert_type(api.delete_app_token1(1, 2), stcloud.GenericMapBasedApiResponse)
    assert_type(api.get_app_tokens1(1).tokens, list[stcloud.TokenDto])
    assert_type(api.create_app_token(new, 1).token, stcloud.TokenDto)


def other_arguments(api: stcloud.TokensApiControllerApi) -> None:
    api.create_app_token(body={"name": "shipper", "writeable": True}, app_id="1")
    api.update_app_token(body={"enabled": False}, app_id="1", token_id="2")
    api.get_app_tokens1(app_id=1, _request_timeout=3)
    api.get_app_tokens1(app_id=1, _request_timeout=(0.5, 3))
    api.get_app_tokens1(app_id=1, _request_timeout=(None, 5))
    api.get_app_tokens1(app_id=1, async_req=False, _preload_content=True)
    api.get_app_tokens1(app_id=1, _return_http_data_only=True)


def in_the_background(api: stcloud.TokensApiControllerApi) -> None:
    new = stcloud.CreateTokenDto()
    change = stcloud.UpdateTokenDto()
    created = api.create_app_token(new, 1, async_req=True)
    listed = api.get_app_tokens1(1, async_req=True)
    updated = api.update_app_token(change, 1, 2, async_req=True)
    regenerated = api.regenerate_app_token1(1, 2, async_req=True)
    deleted = api.delete_app_token1(1, 2, async_req=True)

    assert_type(created, stcloud.AsyncResult[stcloud.TokenResponse])
    assert_type(created.get(10), stcloud.TokenResponse)
    assert_type(listed.get(10), stcloud.TokensResponse)
    assert_type(updated.get(), stcloud.TokenResponse)
    assert_type(regenerated.get(timeout=0.5), stcloud.TokenResponse)
    assert_type(deleted.get(10), stcloud.GenericMapBasedApiResponse)


def with_status_and_headers(api: stcloud.TokensApiControllerApi) -> None:
    data, status, headers = api.get_app_tokens1_with_http_info(1)
    assert_type(data, stcloud.TokensResponse)
    assert_type(status, int)
    assert_type(headers["Content-Type"], str)

    new = stcloud.CreateTokenDto()
    change = stcloud.UpdateTokenDto()
    created = api.create_app_token_with_http_info(new, 1)
    listed = api.get_app_tokens1_with_http_info(1)
    updated = api.update_app_token_with_http_info(change, 1, 2)
    regenerated = api.regenerate_app_token1_with_http_info(1, 2)
    deleted = api.delete_app_token1_with_http_info(1, 2)

    assert_type(created, HttpInfo[stcloud.TokenResponse])
    assert_type(created[0], stcloud.TokenResponse)
    assert_type(created.attempts, int)
    assert_type(listed, HttpInfo[stcloud.TokensResponse])
    assert_type(updated, HttpInfo[stcloud.TokenResponse])
    assert_type(regenerated, HttpInfo[stcloud.TokenResponse])
    assert_type(deleted, HttpInfo[stcloud.GenericMapBasedApiResponse])

    alone = api.create_app_token_with_http_info(new, 1, _return_http_data_only=True)
    assert_type(alone, stcloud.TokenResponse)
    alone = api.update_app_token_with_http_info(change, 1, 2, _return_http_data_only=True)
    assert_type(alone, stcloud.TokenResponse)
    all_alone = api.get_app_tokens1_with_http_info(1, _return_http_data_only=True)
    assert_type(all_alone, stcloud.TokensResponse)
    alone_later = api.regenerate_app_token1_with_http_info(
        1, 2, async_req=True, _return_http_data_only=True
    )
    assert_type(alone_later, stcloud.AsyncResult[stcloud.TokenResponse])

    later = api.get_app_tokens1_with_http_info(1, async_req=True)
    assert_type(later.get(10)[0], stcloud.TokensResponse)
    assert_type(later.get(10).attempts, int)
    raw = api.get_app_tokens1_with_http_info(1, _preload_content=False)
    assert_type(raw, HttpInfo[BaseHTTPResponse])
    raw_later = api.get_app_tokens1_with_http_info(1, async_req=True, _preload_content=False)
    assert_type(raw_later, stcloud.AsyncResult[HttpInfo[BaseHTTPResponse]])


def as_raw_responses(api: stcloud.TokensApiControllerApi) -> None:
    new = stcloud.CreateTokenDto()
    change = stcloud.UpdateTokenDto()
    assert_type(api.create_app_token(new, 1, _preload_content=False), BaseHTTPResponse)
    assert_type(api.get_app_tokens1(1, _preload_content=False), BaseHTTPResponse)
    assert_type(api.update_app_token(change, 1, 2, _preload_content=False), BaseHTTPResponse)
    assert_type(api.regenerate_app_token1(1, 2, _preload_content=False), BaseHTTPResponse)
    assert_type(api.delete_app_token1(1, 2, _preload_content=False), BaseHTTPResponse)
    later = api.get_app_tokens1(1, async_req=True, _preload_content=False)
    assert_type(later, stcloud.AsyncResult[BaseHTTPResponse])


def every_field(response: stcloud.TokensResponse) -> None:
    assert_type(response.success, bool | None)
    assert_type(response.message, str | None)
    for error in response.errors or []:
        assert_type(error, stcloud.Error)
        assert_type(error.code, str | None)
        assert_type(error.message, str | None)
    if response.data is None:
        return
    assert_type(response.data, stcloud.TokensResponseEntry)
    for token in response.data.tokens or []:
        assert_type(token, stcloud.TokenDto)
        assert_type(token.id, int | None)
        assert_type(token.name, str | None)
        assert_type(token.token, str | None)
        assert_type(token.enabled, bool | None)
        assert_type(token.readable, bool | None)
        assert_type(token.writeable, bool | None)
        assert_type(token.created_at, datetime | None)


def tokens_by_name(api: stcloud.TokensApiControllerApi, kept: dict[str, str | None]) -> None:
    def publish(token: stcloud.TokenDto) -> None:
        kept["shipper"] = token.token

    def watch(event: Event) -> None:
        assert_type(event.token_id, int | None)
        assert_type(event.app_id, int | str)

    manager = stcloud.TokenManager(api, "1", keep_disabled=timedelta(hours=1), observer=watch)
    assert_type(manager.find("shipper"), stcloud.TokenDto | None)
    assert_type(manager.ensure("shipper", readable=False), stcloud.TokenDto)
    rotation = manager.rotate("shipper", publish, overlap=timedelta(minutes=5))
    assert_type(rotation, Rotation)
    assert_type(rotation.token, stcloud.TokenDto | None)
    assert_type(rotation.done, tuple[Step, ...])
    assert_type(rotation.due, tuple[Step, ...])
    first = manager.rotate("shipper", lambda token: token.token, create=True, readable=False)
    assert_type(first, Rotation)
    assert_type(manager.finish_rotations(), list[Rotation])
    for step in rotation.due:
        assert_type(step.at, datetime)


def other_settings_later(client: stcloud.ApiClient) -> None:
    client.configuration = settings()
    assert_type(client.configuration, stcloud.Configuration)
    client.configuration.read_timeout = 5


def a_script() -> str | None:
    with stcloud.ApiClient(settings()) as client:
        api = stcloud.TokensApiControllerApi(client)
        every_operation(api)
        try:
            response = api.create_app_token(stcloud.CreateTokenDto("shipper"), 1)
        except ApiException as error:
            assert_type(error.status, int)
            assert_type(error.errors, list[stcloud.Error])
            assert_type(error.attempts, int)
            assert_type(error.outcome_unknown, bool)
            assert_type(error.retry_after, float | None)
            return str(error)
    if response.data is None or response.data.token is None:
        return response.to_str()
    return response.data.token.token
