"""What the oldest supported Python lacks."""

from collections.abc import Callable
from typing import TYPE_CHECKING

__all__ = ["dataclass_transform"]

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_: object) -> Callable[[type], type]:
        """Change nothing at run time; only type checkers read it."""
        return lambda cls: cls
