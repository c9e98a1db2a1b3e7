"""The data of a ``TokenResponse``."""

from dataclasses import dataclass

from stcloud.models.model import Model
from stcloud.models.token_dto import TokenDto


@dataclass(slots=True, repr=False)
class TokenResponseEntry(Model):
    """One token, as a response's data."""

    token: TokenDto | None = None
