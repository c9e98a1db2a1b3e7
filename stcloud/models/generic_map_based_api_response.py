"""The response whose data may be any JSON object."""

from dataclasses import dataclass
from typing import Any

from stcloud.models.envelope import Envelope


@dataclass(slots=True, repr=False)
class GenericMapBasedApiResponse(Envelope):
    """The response to deleting a token."""

    data: dict[str, Any] | None = None
