"""A token of an app."""

from dataclasses import dataclass, field
from datetime import datetime

from stcloud.models.model import Model


@dataclass(slots=True, repr=False)
class TokenDto(Model):
    """A token: agents write an app's data with it, queries read it.

    Attributes:
        created_at: when it was created; always with a time zone.
        enabled: whether it works now.
        id: its id, 64 bits.
        name: what people call it.
        readable: whether it may read the app's data.
        token: the secret value itself; masked in ``repr``, ``str`` and ``to_str()``.
        writeable: whether it may write the app's data.
    """

    created_at: datetime | None = field(default=None, metadata={"json_name": "createdAt"})
    enabled: bool | None = None
    id: int | None = None
    name: str | None = None
    readable: bool | None = None
    token: str | None = None
    writeable: bool | None = None
