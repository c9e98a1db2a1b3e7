"""What is to change in a token."""

from dataclasses import dataclass

from stcloud.models.model import Model


@dataclass(slots=True, repr=False)
class UpdateTokenDto(Model):
    """The body of :meth:`~stcloud.TokensApiControllerApi.update_app_token`."""

    enabled: bool | None = None
    name: str | None = None
