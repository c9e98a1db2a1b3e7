# pyright: strict
"""A user's mistakes: type checkers must refuse each marked line, and no other."""

from datetime import timedelta

import stcloud
from stcloud.rest import ApiException


def settings() -> None:
    stcloud.Configuration(api_key=7)  # expect-error
    stcloud.Configuration(api_kee="key")  # expect-error
    stcloud.Configuration(read_timeout="soon")  # expect-error


def models(token: stcloud.TokenDto) -> None:
    stcloud.CreateTokenDto(nmae="shipper")  # expect-error
    stcloud.CreateTokenDto(name=7)  # expect-error
    stcloud.UpdateTokenDto(enabled="no")  # expect-error
    token.created_at.year  # expect-error  # noqa: B018
    token.secret  # expect-error  # noqa: B018
    token.name = 7  # expect-error


def arguments(api: stcloud.TokensApiControllerApi) -> None:
    new = stcloud.CreateTokenDto()
    api.create_app_token(new)  # expect-error
    api.create_app_token(1, new)  # expect-error
    api.update_app_token(new, 1, 2)  # expect-error
    api.get_app_tokens1(1.5)  # expect-error
    api.get_app_tokens1(b"1")  # expect-error
    api.get_app_tokens1(None)  # expect-error
    api.regenerate_app_token1(1)  # expect-error
    api.delete_app_token1(1, token=2)  # expect-error
    api.delete_app_token(1, 2)  # expect-error
    stcloud.TokensApiControllerApi("key")  # expect-error


def options(api: stcloud.TokensApiControllerApi) -> None:
    api.get_app_tokens1(1, async_request=True)  # expect-error
    api.get_app_tokens1(1, _request_timeout="3")  # expect-error
    api.get_app_tokens1(1, _request_timeout=(1, 2, 3))  # expect-error
    api.get_app_tokens1(1, _request_timeout=(None, "5"))  # expect-error


def results(api: stcloud.TokensApiControllerApi) -> tuple[object, ...]:
    api.get_app_tokens1(1).data.tokens  # expect-error  # noqa: B018
    api.get_app_tokens1(1, async_req=True).data  # expect-error  # noqa: B018
    api.get_app_tokens1(1, async_req=True).get(10).token  # expect-error  # noqa: B018
    api.get_app_tokens1(1, _preload_content=False).success  # expect-error  # noqa: B018
    one: stcloud.TokenResponse = api.get_app_tokens1(1)  # expect-error
    count: int = api.get_app_tokens1_with_http_info(1, async_req=True).get(10)[2]  # expect-error
    data, status = api.get_app_tokens1_with_http_info(1)  # expect-error
    reason: str = api.delete_app_token1_with_http_info(1, 2)[1]  # expect-error
    attempts: str = api.get_app_tokens1_with_http_info(1).attempts  # expect-error
    api.get_app_tokens1(1).attempts  # expect-error  # noqa: B018
    return attempts, one, count, data, status, reason


def tokens_by_name(api: stcloud.TokensApiControllerApi) -> None:
    def publish(token: stcloud.TokenDto) -> None:
        manager.find("shipper").token  # expect-error  # noqa: B018
        token.token.encode()  # expect-error

    def publish_text(token: str) -> None:
        manager.ensure(token)

    manager = stcloud.TokenManager(api, 1)
    stcloud.TokenManager(api, 1, keep_disabled=1)  # expect-error
    stcloud.TokenManager(api, 1, observer=publish)  # expect-error
    manager.ensure("shipper", True)  # expect-error
    manager.rotate("shipper")  # expect-error
    manager.rotate("shipper", publish_text)  # expect-error
    manager.rotate("shipper", publish, overlap=60)  # expect-error
    manager.rotate("shipper", publish, timedelta(60))  # expect-error
    manager.finish_rotations().done  # expect-error  # noqa: B018


def other_settings_later(client: stcloud.ApiClient) -> None:
    client.configuration = "EU"  # expect-error


def errors(error: ApiException) -> None:
    error.status.lower()  # expect-error
    error.retry_after + 1  # expect-error
    error.code  # expect-error  # noqa: B018
