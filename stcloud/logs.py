"""The package's one logger; no other logger, level or handler is ever touched."""

import logging
from pathlib import Path

logger = logging.getLogger("stcloud")
logger.addHandler(logging.NullHandler())


def switch_on(debug: bool, file: str | None, line_format: str) -> None:
    """Write log lines to a file, or to stderr where ``debug`` asks for lines and nobody listens."""
    if debug:
        logger.setLevel(logging.DEBUG)
    handler: logging.Handler
    if file is not None:
        path = str(Path(file).absolute())
        if any(getattr(known, "baseFilename", None) == path for known in logger.handlers):
            return
        handler = logging.FileHandler(path, encoding="utf-8", delay=True)
    elif debug and not _has_listener():
        handler = logging.StreamHandler()
    else:
        return
    handler.setFormatter(logging.Formatter(line_format))
    logger.addHandler(handler)


def _has_listener() -> bool:
    own = any(not isinstance(handler, logging.NullHandler) for handler in logger.handlers)
    return own or logging.getLogger().hasHandlers()
