"""The data of a ``TokenResponse``."""

from dataclasses import dataclass

from stcloud.models.model import Model
from stcloud.models.token_dto import TokenDto


@dataclass(slots=True, repr=False)
class TokenResponseEntry(Model):
    """The data of a :class:`TokenResponse`.

    Attributes:
        token: the token.
    """

    token: TokenDto | None = None
