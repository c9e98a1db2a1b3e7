"""One reason why the service refused."""

from stcloud.models.model import Model


class Error(Model):
    """An entry of an answer's ``errors``."""

    code: str | None = None
    message: str | None = None
