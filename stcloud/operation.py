"""A call as data: the endpoint it goes to, its options, and what is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Generic, TypeVar

from stcloud.models.model import Model

R = TypeVar("R")


class Operation:
    """An endpoint and the method that it has here: what is sent where, and what comes back."""

    def __init__(
        self, name: str, method: str, path: str, answer: type[Model], body: type[Model] | None
    ) -> None:
        self.name = name
        self.method = method
        self.path = path
        self.answer = answer
        self.body = body
        # {appId}, as the API names it, is filled with the argument app_id
        self.template: Final = "".join(f"_{c.lower()}" if c.isupper() else c for c in path)


class HttpInfo(tuple[R, int, Mapping[str, str]], Generic[R]):
    """Data, status and headers, with what is known of the call beside its answer.

    Attributes:
        attempts: how many attempts were made.
    """

    attempts: int


class Options:
    """The options that every call takes, checked; times are in seconds."""

    def __init__(
        self,
        *,
        in_background: bool,
        data_only: bool,
        raw: bool,
        connect: float,
        read: float,
        deadline: float,
    ) -> None:
        self.in_background = in_background
        self.data_only = data_only
        self.raw = raw
        self.connect = connect
        self.read = read
        self.deadline = deadline


class Request:
    """A call that passed all checks: what is sent, and what is made of the answer.

    Attributes:
        operation: what logs call it: an operation's name, or method and path before it was filled.
        ids: the ids among the arguments, by their names.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # plain data
        self,
        operation: str,
        ids: Mapping[str, int],
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes | None,
        answer: type[Model] | None,
        options: Options,
    ) -> None:
        self.operation = operation
        self.ids = ids
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        self.answer = answer
        self.options = options

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path}>"  # the headers hold the key
