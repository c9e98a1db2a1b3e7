"""How secrets are masked in texts, and kept out of the frames of exceptions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

E = TypeVar("E", bound=BaseException)
P = ParamSpec("P")
R = TypeVar("R")

_SECRET_NAMES = frozenset({"token"})
_UUID = r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}"


def mask(secret: str) -> str:
    """Return a secret as it may be shown: its last four characters, none of a short one."""
    return "****" + (secret[-4:] if len(secret) >= 12 else "")


def mask_uuids(text: str) -> str:
    """Return a text as it may be shown: what looks like a key or a token is masked."""
    return re.sub(_UUID, lambda found: mask(found[0]), text)


def without_frames(error: E) -> E:
    """Return an exception without the frames of where it and its causes were raised.

    Error trackers report the local variables of all frames: below this one they hold the API key,
    or a response with the values of tokens.
    """
    for linked in linked_exceptions(error):
        linked.__traceback__ = None
    return error


def hides_arguments(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate what takes a secret: no frame of an error about its arguments shows them."""

    @wraps(function)
    def hiding(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except (TypeError, ValueError) as error:
            del args, kwargs
            raise without_frames(error) from None

    return hiding


def linked_exceptions(error: BaseException) -> list[BaseException]:
    """Return an exception and all that it came from, each once: they may form a circle.

    urllib3 keeps some of them among the arguments alone.
    """
    found: list[BaseException] = [error]
    for one in found:
        candidates = (one.__cause__, one.__context__, *one.args)
        found += [
            other
            for other in candidates
            if isinstance(other, BaseException) and not any(other is known for known in found)
        ]
    return found


def masked(value: Any, name: object = None) -> Any:
    """Return JSON-like data as it may be shown: secrets are masked, by name and by look."""
    if isinstance(value, Mapping):
        items = cast("Mapping[object, Any]", value).items()
        return {key: masked(item, key) for key, item in items}
    if isinstance(value, (list, tuple)):
        return [masked(item, name) for item in cast("Iterable[Any]", value)]
    if isinstance(value, (str, bytes)) and str(name).lower() in _SECRET_NAMES:
        return mask(str(value))
    return mask_uuids(value) if isinstance(value, str) else value
