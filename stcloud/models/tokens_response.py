"""The response that holds the tokens of an app."""

from dataclasses import dataclass

from stcloud.models.envelope import Envelope
from stcloud.models.tokens_response_entry import TokensResponseEntry


@dataclass(slots=True, repr=False)
class TokensResponse(Envelope):
    """The response to listing an app's tokens."""

    data: TokensResponseEntry | None = None
