"""What all responses of the service have in common."""

from dataclasses import dataclass
from typing import Any

from stcloud.models.error import Error
from stcloud.models.model import Model


@dataclass(slots=True, repr=False)
class Envelope(Model):
    """A response: its data and whether the service did what was asked.

    With ``success`` False, ``errors`` and ``message`` say why.
    """

    data: Any = None
    errors: list[Error] | None = None
    message: str | None = None
    success: bool | None = None
