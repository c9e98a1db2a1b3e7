"""The overloads of the endpoints' methods: type checkers read them in the stub beside this."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

C = TypeVar("C", bound=Callable[..., object])


def takes_options(method: C) -> C:
    """Return the method as it is; the stub has its overloads."""
    return method


takes_options_with_http_info = takes_options
