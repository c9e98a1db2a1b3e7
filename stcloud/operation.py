"""A call as data: the endpoint it goes to, its options, and what is sent."""

from __future__ import annotations

import re
from typing import NamedTuple

from stcloud.models.model import Model


class Operation:
    """An endpoint: what is sent where, and what comes back."""

    def __init__(
        self, method: str, path: str, answer: type[Model], body: type[Model] | None = None
    ) -> None:
        self.method = method
        self.path = path
        self.answer = answer
        self.body = body
        # {appId}, as the API names it, is filled with the argument app_id
        self.template = re.sub("[A-Z]", lambda capital: "_" + capital[0].lower(), path)


class Options(NamedTuple):
    """The options that every call takes, checked; times are in seconds."""

    in_background: bool
    data_only: bool
    raw: bool
    connect: float
    read: float
    deadline: float


class Request(NamedTuple):
    """A call that passed all checks: what is sent, and what is made of the answer."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes | None
    answer: type[Model] | None
    options: Options

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path}>"  # the headers hold the key
