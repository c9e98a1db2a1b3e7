"""What a new token is asked to be."""

from dataclasses import dataclass

from stcloud.models.model import Model


@dataclass(slots=True, repr=False)
class CreateTokenDto(Model):
    """The body of :meth:`~stcloud.TokensApiControllerApi.create_app_token`."""

    name: str | None = None
    readable: bool | None = None
    writeable: bool | None = None
