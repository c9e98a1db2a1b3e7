"""The answer that holds one token."""

from stcloud.models.envelope import Envelope
from stcloud.models.token_response_entry import TokenResponseEntry


class TokenResponse(Envelope):
    """The answer to creating, updating and regenerating a token."""

    data: TokenResponseEntry | None = None
