"""The response whose data may be any JSON object."""

from dataclasses import dataclass
from typing import Any

from stcloud.models.envelope import Envelope


@dataclass(slots=True, repr=False)
class GenericMapBasedApiResponse(Envelope):
    """The response to deleting a token.

    Attributes:
        data: any JSON object; the service does not say more.
        errors: why the service refused; often empty.
        message: the service's message.
        success: whether the service did what was asked; a call raises instead of returning False.
    """

    data: dict[str, Any] | None = None
