"""What a new token is asked to be."""

from stcloud.models.model import Model


class CreateTokenDto(Model):
    """The body of :meth:`~stcloud.TokensApiControllerApi.create_app_token`."""

    name: str | None = None
    readable: bool | None = None
    writeable: bool | None = None
