"""What all endpoints' methods have: options, whose overloads are in the stub beside this."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from stcloud._redaction import hides_variables

C = TypeVar("C", bound=Callable[..., object])


def takes_options(method: C) -> C:
    """Decorate a method; type checkers read its overloads in the stub."""
    return cast("C", hides_variables(method))


takes_options_with_http_info = takes_options
