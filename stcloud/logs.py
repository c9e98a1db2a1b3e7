"""The package's one logger; no other logger, level or handler is ever touched."""

import logging
import time
from pathlib import Path

from stcloud.models.values import mask_uuids

logger = logging.getLogger("stcloud")
logger.addHandler(logging.NullHandler())


class Attempt:
    """Tells of one attempt when it ends, in one line, which has no header and no query."""

    __slots__ = ("_method", "_number", "_path", "_started", "size")

    def __init__(self, method: str, path: str, number: int) -> None:
        self._method = method
        self._path = path
        self._number = number
        self._started = time.monotonic()
        self.size = 0

    def ended(self, result: object) -> None:
        """Log what came of it: the status, or why there is none."""
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


def switch_on(debug: bool, file: str | None, line_format: str) -> None:
    """Write log lines to a file, or to stderr where ``debug`` asks for lines and nobody listens."""
    if debug:
        logger.setLevel(logging.DEBUG)
    handler: logging.Handler
    if file is not None:
        path = str(Path(file).absolute())
        if any(getattr(known, "baseFilename", None) == path for known in logger.handlers):
            return
        handler = logging.FileHandler(path, encoding="utf-8")
    elif debug and not _has_listener():
        handler = logging.StreamHandler()
    else:
        return
    handler.setFormatter(logging.Formatter(line_format))
    logger.addHandler(handler)


def _has_listener() -> bool:
    own = any(not isinstance(handler, logging.NullHandler) for handler in logger.handlers)
    return own or logging.getLogger().hasHandlers()
