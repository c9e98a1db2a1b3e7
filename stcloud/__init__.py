"""A client of Sematext Cloud's app-token API.

::

    import stcloud

    configuration = stcloud.Configuration(api_key="...", region="EU")
    with stcloud.ApiClient(configuration) as client:
        api = stcloud.TokensApiControllerApi(client)
        print(api.get_app_tokens1(app_id=789))

(PYTEST_DONT_REWRITE: this line is for pytest alone.)
"""
# Without it, pytest would rewrite the asserts of all that comes with its plugin, pytest_stcloud.

import os
import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

from stcloud.api import TokensApiControllerApi
from stcloud.api_client import ApiClient
from stcloud.configuration import Configuration, InsecureTransportWarning
from stcloud.exceptions import (
    ApiException,
    BadRequestException,
    ConflictException,
    ConnectionException,
    ForbiddenException,
    MissingTokenException,
    NotFoundException,
    ServiceException,
    TimeoutException,
    TokenDriftException,
    TokenManagerException,
    TooManyRequestsException,
    UnauthorizedException,
    UnexpectedResponseException,
    UnsuccessfulResponseException,
)
from stcloud.models import (
    CreateTokenDto,
    Error,
    GenericMapBasedApiResponse,
    TokenDto,
    TokenResponse,
    TokenResponseEntry,
    TokensResponse,
    TokensResponseEntry,
    UpdateTokenDto,
)
from stcloud.retry import RetryPolicy
from stcloud.version import __version__

if os.path.exists(os.path.join(__path__[0], "api", "alerts_api.py")):  # noqa: PTH110, PTH118  # Path is slow to import
    warnings.warn(
        "stcloud and sematext-api-client-python are both installed, in the same folder. "
        "Uninstalling either removes files of the other: "
        "uninstall both with pip, then install stcloud again",
        RuntimeWarning,
        stacklevel=2,
    )

if TYPE_CHECKING:
    from stcloud._background import AsyncResult
    from stcloud.token_manager import TokenManager
else:
    _LATE = {"AsyncResult": "_background", "TokenManager": "token_manager"}  # few programs need

    def __getattr__(name: str) -> Any:
        if name in _LATE:
            return getattr(import_module(f"stcloud.{_LATE[name]}"), name)
        if name == "token_manager":
            return import_module("stcloud.token_manager")
        raise AttributeError(f"module 'stcloud' has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__all__ = [
    "ApiClient",
    "ApiException",
    "AsyncResult",
    "BadRequestException",
    "Configuration",
    "ConflictException",
    "ConnectionException",
    "CreateTokenDto",
    "Error",
    "ForbiddenException",
    "GenericMapBasedApiResponse",
    "InsecureTransportWarning",
    "MissingTokenException",
    "NotFoundException",
    "RetryPolicy",
    "ServiceException",
    "TimeoutException",
    "TokenDriftException",
    "TokenDto",
    "TokenManager",
    "TokenManagerException",
    "TokenResponse",
    "TokenResponseEntry",
    "TokensApiControllerApi",
    "TokensResponse",
    "TokensResponseEntry",
    "TooManyRequestsException",
    "UnauthorizedException",
    "UnexpectedResponseException",
    "UnsuccessfulResponseException",
    "UpdateTokenDto",
    "__version__",
]
