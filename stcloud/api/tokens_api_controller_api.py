"""The tokens of an app: list, create, change, replace and delete them."""

from __future__ import annotations

from typing import Any, Final

from stcloud import _validators
from stcloud.api._overloads import takes_options, takes_options_with_http_info
from stcloud.api_client import ApiClient
from stcloud.models import (
    CreateTokenDto,
    GenericMapBasedApiResponse,
    TokenResponse,
    TokensResponse,
    UpdateTokenDto,
)
from stcloud.operation import HttpInfo, Id, Operation

_TOKENS = "/users-web/api/v3/apps/{appId}/tokens"
_TOKEN = f"{_TOKENS}/{{tokenId}}"

_CREATE: Final = Operation("create_app_token", "POST", _TOKENS, TokenResponse, CreateTokenDto)
_LIST: Final = Operation("get_app_tokens1", "GET", _TOKENS, TokensResponse)
_UPDATE: Final = Operation("update_app_token", "PUT", _TOKEN, TokenResponse, UpdateTokenDto)
_REGENERATE: Final = Operation(
    "regenerate_app_token1", "POST", f"{_TOKEN}/regenerate", TokenResponse
)
_DELETE: Final = Operation("delete_app_token1", "DELETE", _TOKEN, GenericMapBasedApiResponse)


class TokensApiControllerApi:
    """The token operations; the ``1`` in some names comes from Sematext's description.

    Every method takes these options by keyword:

    - ``async_req=True``: return a result to wait for, with ``get(timeout)``.
    - ``_preload_content=False``: the data is the raw urllib3 response, unread.
    - ``_request_timeout``: seconds for the complete call, or a pair: seconds to connect and for
      each wait for the server.
    - ``_return_http_data_only=True``: for the methods ``..._with_http_info``, return data alone.

    Args:
        api_client: makes the calls; ``ApiClient()`` if None.

    Raises:
        TypeError: ``api_client`` is something else.
    """

    def __init__(self, api_client: ApiClient | None = None) -> None:
        if api_client is None:
            api_client = ApiClient()
        self.api_client: ApiClient = _validators.instance("api_client", api_client, ApiClient)

    @takes_options
    def create_app_token(self, body: CreateTokenDto, app_id: Id, **options: Any) -> TokenResponse:
        """POST /users-web/api/v3/apps/{appId}/tokens: create a token of an app.

        Retried only if it was not sent, or refused by 429: it must not be done twice.

        Args:
            body: name and rights of the new token, as a model or a dict of its fields.
            app_id: id of the app.
            options: those of every method, which the class describes.

        Returns:
            The new token, its secret value included.

        Raises:
            ValueError: an argument is None or not allowed, or there is no API key.
            TypeError: an argument or a field of the body has the wrong type; an unknown option.
            ApiException: the call failed; see :mod:`stcloud.exceptions`.
        """
        return self.api_client.call_operation(_CREATE, options, body=body, app_id=app_id)

    @takes_options_with_http_info
    def create_app_token_with_http_info(
        self, body: CreateTokenDto, app_id: Id, **options: Any
    ) -> HttpInfo[TokenResponse]:
        """POST /users-web/api/v3/apps/{appId}/tokens: create a token of an app.

        As :meth:`create_app_token`, but return ``(data, status, headers)``.

        Retried only if it was not sent, or refused by 429: it must not be done twice.

        Args:
            body: name and rights of the new token, as a model or a dict of its fields.
            app_id: id of the app.
            options: those of every method, which the class describes.

        Returns:
            The data, the HTTP status, and the response's headers.

        Raises:
            ValueError: an argument is None or not allowed, or there is no API key.
            TypeError: an argument or a field of the body has the wrong type; an unknown option.
            ApiException: the call failed; see :mod:`stcloud.exceptions`.
        """
        return self.api_client.call_operation_with_http_info(
            _CREATE, options, body=body, app_id=app_id
        )

    @takes_options
    def get_app_tokens1(self, app_id: Id, **options: Any) -> TokensResponse:
        """GET /users-web/api/v3/apps/{appId}/tokens: list the tokens of an app.

        Retried if it was not sent or got no complete response, and after 408, 429 and most 5xx.

        Args:
            app_id: id of the app.
            options: those of every method, which the class describes.

        Returns:
            The tokens, their secret values included.

        Raises:
            ValueError: an argument is None or not allowed, or there is no API key.
            TypeError: an argument has the wrong type; an unknown option.
            ApiException: the call failed; see :mod:`stcloud.exceptions`.
        """
        return self.api_client.call_operation(_LIST, options, app_id=app_id)

    @takes_options_with_http_info
    def get_app_tokens1_with_http_info(
        self, app_id: Id, **options: Any
    ) -> HttpInfo[TokensResponse]:
        """GET /users-web/api/v3/apps/{appId}/tokens: list the tokens of an app.

        As :meth:`get_app_tokens1`, but return ``(data, status, headers)``.

        Retried if it was not sent or got no complete response, and after 408, 429 and most 5xx.

        Args:
            app_id: id of the app.
            options: those of every method, which the class describes.

        Returns:
            The data, the HTTP status, and the response's headers.

        Raises:
            ValueError: an argument is None or not allowed, or there is no API key.
            TypeError: an argument has the wrong type; an unknown option.
            ApiException: the call failed; see :mod:`stcloud.exceptions`.
        """
        return self.api_client.call_operation_with_http_info(_LIST, options, app_id=app_id)

    @takes_options
    def update_app_token(
        self, body: UpdateTokenDto, app_id: Id, token_id: Id, **options: Any
    ) -> TokenResponse:
        """PUT /users-web/api/v3/apps/{appId}/tokens/{tokenId}: rename, disable or enable a token.

        Retried if it was not sent or got no complete response, and after 408, 429 and most 5xx.

        Args:
            body: what to change, as a model or a dict of its fields; the rest stays.
            app_id: id of the app.
            token_id: id of the token.
            options: those of every method, which the class describes.

        Returns:
            The token as it is now.

        Raises:
            ValueError: an argument is None or not allowed, or there is no API key.
            TypeError: an argument or a field of the body has the wrong type; an unknown option.
            ApiException: the call failed; see :mod:`stcloud.exceptions`.
        """
        return self.api_client.call_operation(
            _UPDATE, options, body=body, app_id=app_id, token_id=token_id
        )

    @takes_options_with_http_info
    def update_app_token_with_http_info(
        self, body: UpdateTokenDto, app_id: Id, token_id: Id, **options: Any
    ) -> HttpInfo[TokenResponse]:
        """PUT /users-web/api/v3/apps/{appId}/tokens/{tokenId}: rename, disable or enable a token.

        As :meth:`update_app_token`, but return ``(data, status, headers)``.

        Retried if it was not sent or got no complete response, and after 408, 429 and most 5xx.

        Args:
            body: what to change, as a model or a dict of its fields; the rest stays.
            app_id: id of the app.
            token_id: id of the token.
            options: those of every method, which the class describes.

        Returns:
            The data, the HTTP status, and the response's headers.

        Raises:
            ValueError: an argument is None or not allowed, or there is no API key.
            TypeError: an argument or a field of the body has the wrong type; an unknown option.
            ApiException: the call failed; see :mod:`stcloud.exceptions`.
        """
        return self.api_client.call_operation_with_http_info(
            _UPDATE, options, body=body, app_id=app_id, token_id=token_id
        )

    @takes_options
    def regenerate_app_token1(self, app_id: Id, token_id: Id, **options: Any) -> TokenResponse:
        """POST /users-web/api/v3/apps/{appId}/tokens/{tokenId}/regenerate: replace the value.

        The old value stops working at once.
        Retried only if it was not sent, or refused by 429: it must not be done twice.

        Args:
            app_id: id of the app.
            token_id: id of the token.
            options: those of every method, which the class describes.

        Returns:
            The token with its new secret value.

        Raises:
            ValueError: an argument is None or not allowed, or there is no API key.
            TypeError: an argument has the wrong type; an unknown option.
            ApiException: the call failed; see :mod:`stcloud.exceptions`.
        """
        return self.api_client.call_operation(
            _REGENERATE, options, app_id=app_id, token_id=token_id
        )

    @takes_options_with_http_info
    def regenerate_app_token1_with_http_info(
        self, app_id: Id, token_id: Id, **options: Any
    ) -> HttpInfo[TokenResponse]:
        """POST /users-web/api/v3/apps/{appId}/tokens/{tokenId}/regenerate: replace the value.

        As :meth:`regenerate_app_token1`, but return ``(data, status, headers)``.

        The old value stops working at once.
        Retried only if it was not sent, or refused by 429: it must not be done twice.

        Args:
            app_id: id of the app.
            token_id: id of the token.
            options: those of every method, which the class describes.

        Returns:
            The data, the HTTP status, and the response's headers.

        Raises:
            ValueError: an argument is None or not allowed, or there is no API key.
            TypeError: an argument has the wrong type; an unknown option.
            ApiException: the call failed; see :mod:`stcloud.exceptions`.
        """
        return self.api_client.call_operation_with_http_info(
            _REGENERATE, options, app_id=app_id, token_id=token_id
        )

    @takes_options
    def delete_app_token1(
        self, app_id: Id, token_id: Id, **options: Any
    ) -> GenericMapBasedApiResponse:
        """DELETE /users-web/api/v3/apps/{appId}/tokens/{tokenId}: delete a token permanently.

        Retried if it was not sent or got no complete response, and after 408, 429 and most 5xx.

        Args:
            app_id: id of the app.
            token_id: id of the token.
            options: those of every method, which the class describes.

        Returns:
            Whether the service did it; its data is not specified.

        Raises:
            ValueError: an argument is None or not allowed, or there is no API key.
            TypeError: an argument has the wrong type; an unknown option.
            ApiException: the call failed; see :mod:`stcloud.exceptions`.
        """
        return self.api_client.call_operation(_DELETE, options, app_id=app_id, token_id=token_id)

    @takes_options_with_http_info
    def delete_app_token1_with_http_info(
        self, app_id: Id, token_id: Id, **options: Any
    ) -> HttpInfo[GenericMapBasedApiResponse]:
        """DELETE /users-web/api/v3/apps/{appId}/tokens/{tokenId}: delete a token permanently.

        As :meth:`delete_app_token1`, but return ``(data, status, headers)``.

        Retried if it was not sent or got no complete response, and after 408, 429 and most 5xx.

        Args:
            app_id: id of the app.
            token_id: id of the token.
            options: those of every method, which the class describes.

        Returns:
            The data, the HTTP status, and the response's headers.

        Raises:
            ValueError: an argument is None or not allowed, or there is no API key.
            TypeError: an argument has the wrong type; an unknown option.
            ApiException: the call failed; see :mod:`stcloud.exceptions`.
        """
        return self.api_client.call_operation_with_http_info(
            _DELETE, options, app_id=app_id, token_id=token_id
        )
