"""The response that holds one token."""

from dataclasses import dataclass

from stcloud.models.envelope import Envelope
from stcloud.models.token_dto import TokenDto
from stcloud.models.token_response_entry import TokenResponseEntry


@dataclass(slots=True, repr=False)
class TokenResponse(Envelope):
    """The response to creating, updating and regenerating a token.

    Attributes:
        data: holds the token; None if the response came without content.
        errors: why the service refused; often empty.
        message: the service's message.
        success: whether the service did what was asked; a call raises instead of returning False.
    """

    data: TokenResponseEntry | None = None

    @property
    def token(self) -> TokenDto:
        """The token in the data.

        Raises:
            AttributeError: the response came without one: list the app's tokens.
        """
        if self.data is None or self.data.token is None:
            raise AttributeError("the response has no token: get_app_tokens1() lists them")
        return self.data.token
