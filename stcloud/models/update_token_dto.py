"""What is to change in a token."""

from dataclasses import dataclass

from stcloud.models.model import Model


@dataclass(slots=True, repr=False)
class UpdateTokenDto(Model):
    """The body of :meth:`~stcloud.TokensApiControllerApi.update_app_token`: None changes nothing.

    Attributes:
        enabled: False turns the token off, True on again.
        name: its new name.
    """

    enabled: bool | None = None
    name: str | None = None
