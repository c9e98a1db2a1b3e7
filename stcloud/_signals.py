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
    handlers = {_code(signal.getsignal(number)) for number in signal.valid_signals()}
    return any(frame.f_code in handlers for frame, _ in walk_tb(error.__traceback__))


def _code(handler: Any) -> CodeType | None:
    """Return the code that a handler runs, None if it is not Python's."""
    while isinstance(handler, partial):
        handler = handler.func
    if not hasattr(handler, "__code__") and callable(handler):  # a method has its function's
        handler = type(handler).__call__
    code: CodeType | None = getattr(handler, "__code__", None)
    return code
