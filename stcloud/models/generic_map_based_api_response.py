"""The answer whose data may be any JSON object."""

from typing import Any

from stcloud.models.envelope import Envelope


class GenericMapBasedApiResponse(Envelope):
    """The answer to deleting a token."""

    data: dict[str, Any] | None = None
