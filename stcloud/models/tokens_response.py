"""The response that holds the tokens of an app."""

from dataclasses import dataclass

from stcloud.models.envelope import Envelope
from stcloud.models.token_dto import TokenDto
from stcloud.models.tokens_response_entry import TokensResponseEntry


@dataclass(slots=True, repr=False)
class TokensResponse(Envelope):
    """The response to listing an app's tokens.

    Attributes:
        data: holds the tokens.
        errors: why the service refused; often empty.
        message: the service's message.
        success: whether the service did what was asked; a call raises instead of returning False.
    """

    data: TokensResponseEntry | None = None

    @property
    def tokens(self) -> list[TokenDto]:
        """The tokens in the data; an empty list if there are none."""
        return [] if self.data is None else list(filter(None, self.data.tokens or []))
