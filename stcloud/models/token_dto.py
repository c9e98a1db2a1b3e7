"""A token of an app."""

from dataclasses import dataclass, field
from datetime import datetime

from stcloud.models.model import Model


@dataclass(slots=True, repr=False)
class TokenDto(Model):
    """A token: agents write an app's data with it, queries read it.

    ``token`` is the secret value itself. ``created_at`` is timezone-aware.
    """

    created_at: datetime | None = field(default=None, metadata={"json_name": "createdAt"})
    enabled: bool | None = None
    id: int | None = None
    name: str | None = None
    readable: bool | None = None
    token: str | None = None
    writeable: bool | None = None
