"""What is to change in a token."""

from stcloud.models.model import Model


class UpdateTokenDto(Model):
    """The body of :meth:`~stcloud.TokensApiControllerApi.update_app_token`."""

    enabled: bool | None = None
    name: str | None = None
