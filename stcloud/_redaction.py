"""How secrets are masked in texts, and kept out of the frames of exceptions."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

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


def remove_frames(error: BaseException, outer: BaseException | None) -> None:
    """Remove the frames of where an exception and its causes were raised.

    Error trackers report the local variables of all frames: below this one they hold the API key,
    or a response with the values of tokens. ``outer`` is as for :func:`linked_exceptions`.
    """
    for linked in linked_exceptions(error, outer):
        linked.__traceback__ = None


def hides_variables(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate what is called from outside, and may hold a secret.

    The frames of what it raises stay, and show the place, but have no local variables.
    """

    @wraps(function)
    def hiding(*args: P.args, **kwargs: P.kwargs) -> R:
        outer = sys.exception()
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            del args, kwargs
            _clear_frames(error, outer)
            raise

    return hiding


def _clear_frames(error: BaseException, outer: BaseException | None) -> None:
    for linked in linked_exceptions(error, outer):
        traceback.clear_frames(linked.__traceback__)


def causes(error: BaseException) -> list[BaseException]:
    """Return an exception and all that it was raised from.

    urllib3 keeps some of them among the arguments alone.
    """
    return _reachable(error, lambda one: (one.__cause__, *one.args), None)


def linked_exceptions(error: BaseException, outer: BaseException | None) -> list[BaseException]:
    """Return an exception, all that it was raised from, and all that was handled meanwhile.

    ``outer`` is what the caller handled when the call began. Python links it, too, but it is the
    caller's, and is left alone.
    """
    return _reachable(error, lambda one: (one.__cause__, one.__context__, *one.args), outer)


def _reachable(
    error: BaseException,
    links: Callable[[BaseException], Iterable[object]],
    outer: BaseException | None,
) -> list[BaseException]:
    """Return an exception and all that its links lead to, each once: they may form a circle."""
    found: list[BaseException] = [error]
    for one in found:
        found += [
            other
            for other in links(one)
            if isinstance(other, BaseException)
            and not any(other is known for known in [*found, outer])
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
