"""What a new token is asked to be."""

from dataclasses import dataclass

from stcloud.models.model import Model


@dataclass(slots=True, repr=False)
class CreateTokenDto(Model):
    """The body of :meth:`~stcloud.TokensApiControllerApi.create_app_token`.

    Attributes:
        name: what people call the token.
        readable: whether it may read the app's data.
        writeable: whether it may write the app's data.
    """

    name: str | None = None
    readable: bool | None = None
    writeable: bool | None = None
