"""The tokens of an app: list, create, change, replace and delete them.

The methods' bodies are empty: what a method takes and returns is declared, and the decorator
makes the call. ``docs/TokensApiControllerApi.md`` tells the options that each of them takes.
"""

from __future__ import annotations

from typing import Any, Final

from stcloud.api.endpoint import Id, endpoint, with_http_info
from stcloud.api_client import ApiClient
from stcloud.models import (
    CreateTokenDto,
    GenericMapBasedApiResponse,
    TokenResponse,
    TokensResponse,
    UpdateTokenDto,
)

_TOKENS = "/users-web/api/v3/apps/{appId}/tokens"
_TOKEN = _TOKENS + "/{tokenId}"


class TokensApiControllerApi:
    """The token operations.

    Args:
        api_client: makes the calls; ``ApiClient()`` if None.
    """

    def __init__(self, api_client: ApiClient | None = None) -> None:
        self.api_client: ApiClient = ApiClient() if api_client is None else api_client

    @endpoint("POST", _TOKENS, TokenResponse, body=CreateTokenDto)
    def create_app_token(self, body: CreateTokenDto, app_id: Id, **options: Any) -> TokenResponse:
        """POST /users-web/api/v3/apps/{appId}/tokens: create a token of an app.

        Tried again only if it was not sent, or answered 429: ``docs/reliability.md`` says why.

        Args:
            body: name and rights of the new token, as a model or a dict of its fields.
            app_id: id of the app.
            options: those of every call.

        Returns:
            The new token, its secret value included.

        Raises:
            ValueError: an argument is missing or not allowed, or there is no API key.
            TypeError: an argument or a field of the body has the wrong type; an unknown option.
            ApiException: the call failed; see :mod:`stcloud.exceptions`.
        """
        ...

    @endpoint("GET", _TOKENS, TokensResponse)
    def get_app_tokens1(self, app_id: Id, **options: Any) -> TokensResponse:
        """GET /users-web/api/v3/apps/{appId}/tokens: list the tokens of an app.

        Tried again if it was not sent or got no whole answer, and after 408, 429 and most 5xx.

        Args:
            app_id: id of the app.
            options: those of every call.

        Returns:
            The tokens, their secret values included.

        Raises:
            ValueError: an argument is missing or not allowed, or there is no API key.
            TypeError: an argument has the wrong type; an unknown option.
            ApiException: the call failed; see :mod:`stcloud.exceptions`.
        """
        ...

    @endpoint("PUT", _TOKEN, TokenResponse, body=UpdateTokenDto)
    def update_app_token(
        self, body: UpdateTokenDto, app_id: Id, token_id: Id, **options: Any
    ) -> TokenResponse:
        """PUT /users-web/api/v3/apps/{appId}/tokens/{tokenId}: rename, disable or enable a token.

        Tried again if it was not sent or got no whole answer, and after 408, 429 and most 5xx.

        Args:
            body: what to change, as a model or a dict of its fields; the rest stays.
            app_id: id of the app.
            token_id: id of the token.
            options: those of every call.

        Returns:
            The token as it is now.

        Raises:
            ValueError: an argument is missing or not allowed, or there is no API key.
            TypeError: an argument or a field of the body has the wrong type; an unknown option.
            ApiException: the call failed; see :mod:`stcloud.exceptions`.
        """
        ...

    @endpoint("POST", _TOKEN + "/regenerate", TokenResponse)
    def regenerate_app_token1(self, app_id: Id, token_id: Id, **options: Any) -> TokenResponse:
        """POST /users-web/api/v3/apps/{appId}/tokens/{tokenId}/regenerate: replace the value.

        The old value stops working at once.

        Tried again only if it was not sent, or answered 429: ``docs/reliability.md`` says why.

        Args:
            app_id: id of the app.
            token_id: id of the token.
            options: those of every call.

        Returns:
            The token with its new secret value.

        Raises:
            ValueError: an argument is missing or not allowed, or there is no API key.
            TypeError: an argument has the wrong type; an unknown option.
            ApiException: the call failed; see :mod:`stcloud.exceptions`.
        """
        ...

    @endpoint("DELETE", _TOKEN, GenericMapBasedApiResponse)
    def delete_app_token1(
        self, app_id: Id, token_id: Id, **options: Any
    ) -> GenericMapBasedApiResponse:
        """DELETE /users-web/api/v3/apps/{appId}/tokens/{tokenId}: delete a token for good.

        Tried again if it was not sent or got no whole answer, and after 408, 429 and most 5xx.

        Args:
            app_id: id of the app.
            token_id: id of the token.
            options: those of every call.

        Returns:
            Whether the service did it; its data is not specified.

        Raises:
            ValueError: an argument is missing or not allowed, or there is no API key.
            TypeError: an argument has the wrong type; an unknown option.
            ApiException: the call failed; see :mod:`stcloud.exceptions`.
        """
        ...

    create_app_token_with_http_info: Final = with_http_info(create_app_token)
    get_app_tokens1_with_http_info: Final = with_http_info(get_app_tokens1)
    update_app_token_with_http_info: Final = with_http_info(update_app_token)
    regenerate_app_token1_with_http_info: Final = with_http_info(regenerate_app_token1)
    delete_app_token1_with_http_info: Final = with_http_info(delete_app_token1)
