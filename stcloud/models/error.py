"""One reason why the service refused."""

from dataclasses import dataclass

from stcloud.models.model import Model


@dataclass(slots=True, repr=False)
class Error(Model):
    """An entry of a response's ``errors``.

    Attributes:
        code: the service's code for it.
        message: what it says.
    """

    code: str | None = None
    message: str | None = None
