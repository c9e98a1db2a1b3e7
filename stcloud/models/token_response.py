"""The response that holds one token."""

from dataclasses import dataclass

from stcloud.models.envelope import Envelope
from stcloud.models.token_response_entry import TokenResponseEntry


@dataclass(slots=True, repr=False)
class TokenResponse(Envelope):
    """The response to creating, updating and regenerating a token."""

    data: TokenResponseEntry | None = None
