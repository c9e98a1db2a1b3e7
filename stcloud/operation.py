"""A call as data: the endpoint it goes to, its options, and what is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeAlias, TypeVar

from stcloud._transport.timeouts import CallLimits
from stcloud.models.model import Model

R = TypeVar("R")
M = TypeVar("M", bound=Model)
Id: TypeAlias = int | str
"""An id, as an int or as its digits."""


class Operation(Generic[M]):
    """An endpoint: its name and method, the models of its body and of its response.

    Attributes:
        path_template: the path, with ``{app_id}`` where the argument of that name goes.
    """

    def __init__(
        self,
        name: str,
        method: str,
        path: str,
        response_model: type[M],
        body_model: type[Model] | None = None,
    ) -> None:
        self.name = name
        self.method = method
        self.response_model: type[M] = response_model
        self.body_model = body_model
        # {appId}, as the API names it, is filled with the argument app_id
        self.path_template: str = "".join(f"_{c.lower()}" if c.isupper() else c for c in path)


class HttpInfo(tuple[R, int, Mapping[str, str]], Generic[R]):
    """Data, status and headers, with what is known of the call beside its response.

    Attributes:
        attempts: how many attempts were made.
    """

    attempts: int


class CallOptions:
    """The options that every call takes, checked."""

    def __init__(
        self,
        *,
        async_req: bool,
        data_only: bool,
        raw: bool,
        limits: CallLimits,
    ) -> None:
        self.async_req = async_req
        self.data_only = data_only
        self.raw = raw
        self.limits = limits


class Request:
    """A call that passed all checks: what is sent, and what is made of the response.

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
        response_model: type[Model] | None,
        options: CallOptions,
    ) -> None:
        self.operation = operation
        self.ids = ids
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        self.response_model = response_model
        self.options = options

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path}>"  # the headers hold the key
