"""What the names of managed tokens mean: a plain name, or one with a mark after it.

[new]: ``ensure`` made it, and nobody has it. [next]: ``rotate`` made it, and perhaps published it.
[old]: a newer one replaces it. [off]: it is disabled. The plain name: it is in use.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple, TypeAlias

from stcloud import _validators

LONGEST: Final = 80  # a mark adds up to 71
NEW: Final = "{} [new]"
NEXT: Final = "{} [next]"
OLD: Final = "{} [old, next is {}, disable after {:%Y-%m-%dT%H:%M:%SZ}]"
OFF: Final = "{} [off, delete after {:%Y-%m-%dT%H:%M:%SZ}]"

Kind: TypeAlias = Literal["named", "new", "next", "old", "off"]
_MARKS: tuple[Kind, ...] = ("new", "next", "old", "off")
_STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
_MARKED = (
    r"(?sa)(?P<name>.+) \["
    r"(?:(?P<new>new)|(?P<next>next)"
    rf"|(?P<old>old), next is (?P<successor>[1-9]\d{{0,18}}), disable after (?P<disable>{_STAMP})"
    rf"|(?P<off>off), delete after (?P<delete>{_STAMP}))\]"
)


class ParsedName(NamedTuple):
    """What a token's name means.

    Attributes:
        name: the name that the token belongs to: its own, without the mark.
        kind: the mark, ``new``, ``next``, ``old`` or ``off``, or ``named`` without one.
        date: when an old one is to be disabled, or one that is off to be deleted, in UTC.
        successor: the id of the token that replaces an old one.
    """

    name: str
    kind: Kind
    date: datetime | None = None
    successor: int | None = None


def parse_name(name: str) -> ParsedName:
    """Return what a token's name means; one with a mark of any other form is a name alone."""
    found = re.fullmatch(_MARKED, name)
    if found is None or not is_manageable(found["name"]):
        return ParsedName(name, "named")
    kind: Kind = next(mark for mark in _MARKS if found[mark])
    date, successor = found["disable"] or found["delete"], found["successor"]
    if date is None:
        return ParsedName(found["name"], kind)
    try:
        moment = datetime.fromisoformat(date).replace(tzinfo=UTC)
    except ValueError:  # the 31st of February, for example
        return ParsedName(name, "named")
    return ParsedName(found["name"], kind, moment, int(successor) if successor else None)


def is_manageable(name: str) -> bool:
    """Return whether tokens may be managed by a name."""
    return 0 < len(name) <= LONGEST and name == name.strip() and parse_name(name).kind == "named"


def check_name(name: str) -> str:
    """Return a name if tokens may be managed by it; ValueError or TypeError if not."""
    if not is_manageable(_validators.text("name", name)):
        allowed = f"1 to {LONGEST} characters, no space at its ends and no mark of the manager's"
        raise ValueError(f"name must have {allowed}")
    return name
