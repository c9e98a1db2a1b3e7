"""Signal handlers run within any call, and what they raise is not the call's."""

from __future__ import annotations

import sys
from functools import partial
from traceback import walk_tb
from types import CodeType
from typing import Any


def raised_by_handler(error: BaseException) -> bool:
    """Return whether an exception came out of a signal handler's frame."""
    signal: Any = sys.modules.get("signal")
    if signal is None:  # who sets a handler has imported it
        return False
    codes = {frame.f_code for frame, _ in walk_tb(error.__traceback__)}
    return not codes.isdisjoint(map(_code, map(signal.getsignal, signal.valid_signals())))


def _code(handler: Any) -> CodeType | None:
    """Return the code that a handler runs, None if it is not Python's."""
    while isinstance(handler, partial):
        handler = handler.func
    if not hasattr(handler, "__code__") and callable(handler):  # a method has its function's
        handler = type(handler).__call__
    code: CodeType | None = getattr(handler, "__code__", None)
    return code
