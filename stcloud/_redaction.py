"""How keys and tokens are shown: all that masks a secret is here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, cast

E = TypeVar("E", bound=BaseException)

_SECRET_NAMES = frozenset({"token"})
_UUID = r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}"


def mask(secret: str) -> str:
    """Return a secret as it may be shown: its last four characters, none of a short one."""
    return "****" + (secret[-4:] if len(secret) >= 12 else "")


def mask_uuids(text: str) -> str:
    """Return a text as it may be shown: what looks like a key or a token is masked."""
    return re.sub(_UUID, lambda found: mask(found[0]), text)


def without_frames(error: E) -> E:
    """Return an exception whose causes keep no frames of where they were raised.

    Error trackers report the local variables of all frames: below this one they hold the API key,
    or a response with the values of tokens.
    """
    pending: list[BaseException | None] = [error]
    while pending:
        cause = pending.pop()
        if cause is not None:
            cause.__traceback__ = None
            pending += [cause.__cause__, cause.__context__]
    return error


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
