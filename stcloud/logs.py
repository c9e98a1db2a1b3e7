"""The client's one logger; no other logger, level or handler is ever touched."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from stcloud._redaction import mask_uuids

logger: Final = logging.getLogger("stcloud")
logger.addHandler(logging.NullHandler())


class CallLog:
    """Logs one call when it ends, in one line with the fields ``stcloud_...``.

    Attributes:
        attempts: how many attempts were begun.
        status: the HTTP status of the response that ended the call, 0 if none did.
        note: what else there is to say.
    """

    __slots__ = ("_ids", "_operation", "_started", "attempts", "note", "status")

    def __init__(self, operation: str, ids: Mapping[str, int]) -> None:
        self._operation = operation
        self._ids = ids
        self._started = time.monotonic()
        self.attempts: int = 0
        self.status: int = 0
        self.note: str = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not logger.isEnabledFor(logging.INFO):
            return
        operation = mask_uuids(self._operation)
        seconds = time.monotonic() - self._started
        failure = kind and kind.__name__
        logger.info(
            "%s%s: %s after %.3f s, attempts: %d%s",
            operation,
            "".join(f" {name}={number}" for name, number in self._ids.items()),
            " ".join(str(part) for part in (self.status, failure) if part),
            seconds,
            self.attempts,
            self.note and f", {self.note}",
            extra={
                "stcloud_operation": operation,
                "stcloud_app_id": self._ids.get("app_id"),
                "stcloud_token_id": self._ids.get("token_id"),
                "stcloud_status": self.status,
                "stcloud_attempts": self.attempts,
                "stcloud_duration": seconds,
                "stcloud_error": failure,
            },
        )


class AttemptLog:
    """Logs one attempt when it ends, in one line without headers and query."""

    __slots__ = ("_method", "_number", "_path", "_started", "size")

    def __init__(self, method: str, path: str, number: int) -> None:
        self._method = method
        self._path = path
        self._number = number
        self._started = time.monotonic()
        self.size: int = 0

    def finish(self, result: object) -> None:
        """Log what came of it: the status, or why it has none."""
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(
                "%s %s: %s after %.3f s, attempt %d, %d bytes",
                self._method,
                mask_uuids(self._path.partition("?")[0]),
                result,
                time.monotonic() - self._started,
                self._number,
                self.size,
            )


class _StderrHandler(logging.StreamHandler[Any]):
    """Writes to what ``sys.stderr`` is at that moment: it may have been replaced, and closed."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def configure(debug: bool, file: str | None, line_format: str) -> None:
    """Write log lines to a file, or to stderr where ``debug`` asks for lines and nobody listens."""
    if debug:
        logger.setLevel(logging.DEBUG)
    elif file is not None and not logger.level and not logger.isEnabledFor(logging.INFO):
        logger.setLevel(logging.INFO)  # or nothing would come into the file
    handler: logging.Handler
    if file is not None:
        path = str(Path(file).absolute())
        if any(getattr(known, "baseFilename", None) == path for known in logger.handlers):
            return
        handler = logging.FileHandler(path, encoding="utf-8")
    elif debug and not _has_listener():
        handler = _StderrHandler()
    else:
        return
    handler.setFormatter(logging.Formatter(line_format))
    logger.addHandler(handler)


def _has_listener() -> bool:
    own = any(not isinstance(handler, logging.NullHandler) for handler in logger.handlers)
    return own or logging.getLogger().hasHandlers()
