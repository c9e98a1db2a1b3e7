"""What all responses of the service have in common."""

from dataclasses import dataclass
from typing import Any

from stcloud.models.error import Error
from stcloud.models.model import Model


@dataclass(slots=True, repr=False)
class Envelope(Model):
    """A response: its data and whether the service did what was asked.

    Attributes:
        data: what was asked for.
        errors: why the service refused; often empty.
        message: the service's message.
        success: whether the service did what was asked; a call raises instead of returning False.
    """

    data: Any = None
    errors: list[Error] | None = None
    message: str | None = None
    success: bool | None = None
