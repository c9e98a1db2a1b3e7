"""The data of a ``TokensResponse``."""

from dataclasses import dataclass

from stcloud.models.model import Model
from stcloud.models.token_dto import TokenDto


@dataclass(slots=True, repr=False)
class TokensResponseEntry(Model):
    """The data of a :class:`TokensResponse`.

    Attributes:
        tokens: all tokens of the app.
    """

    tokens: list[TokenDto] | None = None
