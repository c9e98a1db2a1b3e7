"""One reason why the service refused."""

from dataclasses import dataclass

from stcloud.models.model import Model


@dataclass(slots=True, repr=False)
class Error(Model):
    """An entry of a response's ``errors``."""

    code: str | None = None
    message: str | None = None
