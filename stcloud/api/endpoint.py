"""Makes the method of a declared endpoint: binds the arguments, makes the call."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, cast

from stcloud.models.model import Model
from stcloud.operation import Operation

if TYPE_CHECKING:
    from stcloud.api.call_shapes import Declare, WithHttpInfo

Id: TypeAlias = int | str
"""An id, as an int or as its digits."""

M = TypeVar("M", bound=Model)


def endpoint(
    method: str, path: str, answer: type[M], body: type[Model] | None = None
) -> Declare[M]:
    """Turn a declaration, whose parameters are ``body`` and ids, into the method that calls."""

    def declare(declaration: Callable[..., M]) -> Any:
        operation = Operation(declaration.__name__, method, path, answer, body)
        return _method(operation, declaration, declaration.__name__, data_only=True)

    return cast("Declare[M]", declare)


def _with_http_info(method: Any) -> Any:
    """Return the method's twin that also tells status and headers."""
    declaration = method.__wrapped__
    twin = _method(
        method.operation, declaration, f"{declaration.__name__}_with_http_info", data_only=False
    )
    twin.__doc__ = f"As ``{declaration.__name__}``, but return ``(data, status, headers)``."
    return twin


def _method(operation: Operation, declaration: Any, name: str, *, data_only: bool) -> Any:
    code = declaration.__code__
    parameters: tuple[str, ...] = code.co_varnames[1 : code.co_argcount]

    @functools.wraps(declaration)
    def call(self: Any, *positional: object, **named: object) -> Any:
        arguments = _bind(name, parameters, positional, named)
        client = self.api_client
        return client.send(client.prepare(operation, name, arguments, named, data_only=data_only))

    call.__name__ = name
    call.__qualname__ = f"{declaration.__qualname__.rpartition('.')[0]}.{name}"
    vars(call)["operation"] = operation
    return call


def _bind(
    function: str,
    parameters: tuple[str, ...],
    positional: tuple[object, ...],
    named: dict[str, object],
) -> dict[str, object]:
    """Take the arguments out of what was given, and leave the options in ``named``."""
    if len(positional) > len(parameters):
        raise TypeError(f"{function}() takes {', '.join(parameters)}; options go by keyword")
    arguments = dict(zip(parameters, positional, strict=False))
    for name in parameters:
        if name not in arguments:
            arguments[name] = named.pop(name, None)
        elif name in named:
            raise TypeError(f"{function}() got {name!r} twice")
        if arguments[name] is None:
            raise ValueError(f"{function}() needs {name!r}")
    return arguments


with_http_info: Final = cast("WithHttpInfo", _with_http_info)
