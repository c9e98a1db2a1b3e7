"""The models of the API, one file each."""

from stcloud.models.create_token_dto import CreateTokenDto
from stcloud.models.error import Error
from stcloud.models.generic_map_based_api_response import GenericMapBasedApiResponse
from stcloud.models.token_dto import TokenDto
from stcloud.models.token_response import TokenResponse
from stcloud.models.token_response_entry import TokenResponseEntry
from stcloud.models.tokens_response import TokensResponse
from stcloud.models.tokens_response_entry import TokensResponseEntry
from stcloud.models.update_token_dto import UpdateTokenDto

__all__ = [
    "CreateTokenDto",
    "Error",
    "GenericMapBasedApiResponse",
    "TokenDto",
    "TokenResponse",
    "TokenResponseEntry",
    "TokensResponse",
    "TokensResponseEntry",
    "UpdateTokenDto",
]
