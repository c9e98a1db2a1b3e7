"""The data of a ``TokenResponse``."""

from stcloud.models.model import Model
from stcloud.models.token_dto import TokenDto


class TokenResponseEntry(Model):
    """One token, as an answer's data."""

    token: TokenDto | None = None
