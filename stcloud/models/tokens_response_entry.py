"""The data of a ``TokensResponse``."""

from dataclasses import dataclass

from stcloud.models.model import Model
from stcloud.models.token_dto import TokenDto


@dataclass(slots=True, repr=False)
class TokensResponseEntry(Model):
    """The tokens of an app, as a response's data."""

    tokens: list[TokenDto] | None = None
