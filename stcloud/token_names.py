"""How the names of managed tokens tell what each token is, and what of it makes a current one.

===========================================  =======  =============================================
Name                                         Enabled  What it is
===========================================  =======  =============================================
``shipper``                                  yes      the current token
``shipper [new]``                            yes      made; the next call that makes one takes it
``shipper [next]``                           yes      handed to ``publish``, which has not returned
``shipper [old, disable after <date>]``      yes      replaced, and valid for the overlap
``shipper [off, delete after <date>]``       no       replaced; a person can still take it back
===========================================  =======  =============================================

A predecessor is called old when ``publish`` has returned, and then the next one gets the name. So
where no token has the name, but there are an old one and a next one, the next one is current.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

from stcloud.models import TokenDto

LONGEST = 80
"""Characters that a name may have; a mark adds up to 42."""

_DATE = "%Y-%m-%dT%H:%M:%SZ"
_MARKED = r"(?s)(?P<name>.+) \[(?:(?P<kind>new|next)|(?P<dated>old|off), \w+ after (?P<date>.+))\]"


class TokenManagerException(Exception):
    """Tokens are not as a :class:`~stcloud.TokenManager` needs them; a person has to look."""


class AmbiguousTokenException(TokenManagerException):
    """Several tokens have the name."""


class MissingTokenException(TokenManagerException):
    """No token has the name."""


class TokenDriftException(TokenManagerException):
    """A token is not as it is wanted, and is left so.

    ``wanted`` and ``found`` are dicts of what differs among readable, writeable and enabled.
    """

    def __init__(self, token: str, wanted: dict[str, bool], found: dict[str, Any]) -> None:
        super().__init__(token, wanted, found)
        self.wanted: dict[str, bool] = wanted
        self.found: dict[str, Any] = found

    def __str__(self) -> str:
        advice = "enable it, if nobody minds" if "enabled" in self.found else "rename or delete it"
        return f"{self.args[0]} is {self.found}, and not {self.wanted}: {advice}"


class Family:
    """The tokens that belong to one name, by their marks; the oldest first."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.named: list[TokenDto] = []
        self.new: list[TokenDto] = []
        self.next: list[TokenDto] = []
        self.old: list[tuple[TokenDto, datetime]] = []
        self.off: list[tuple[TokenDto, datetime]] = []

    @property
    def is_marked(self) -> bool:
        """Whether any of its tokens has a mark."""
        return bool(self.new or self.next or self.old or self.off)

    @property
    def is_unfinished(self) -> bool:
        """Whether a successor was published, and has not got the name yet."""
        return bool(self.next and self.old and not self.named)

    @property
    def current(self) -> TokenDto | None:
        """The token that has the name.

        Raises:
            AmbiguousTokenException: several have it.
        """
        if len(self.named) > 1:
            ids = ", ".join(str(token.id) for token in self.named)
            problem = f"several tokens are named {self.name!r}: {ids}"
            raise AmbiguousTokenException(f"{problem}; rename or delete all but one")
        return next(iter(self.named), self.next[0] if self.is_unfinished else None)

    def unused(self, wanted: Mapping[str, bool], since: datetime) -> TokenDto | None:
        """Return the first token as wanted that was made since a moment, and not used."""
        fresh = (
            token for token in self.new if token.created_at is None or token.created_at > since
        )
        return next((token for token in fresh if not drift(token, wanted)), None)


def families(tokens: Iterable[TokenDto]) -> dict[str, Family]:
    """Return the tokens by the names that they belong to."""
    found: dict[str, Family] = {}
    for token in sorted(tokens, key=lambda token: token.id or 0):
        name, kind, date = parsed(token.name or "")
        family = found.setdefault(name, Family(name))
        if date is not None:
            {"old": family.old, "off": family.off}[kind].append((token, date))
        else:
            {"named": family.named, "new": family.new, "next": family.next}[kind].append(token)
    return found


def parsed(name: str) -> tuple[str, str, datetime | None]:
    """Return a name without its mark, what the mark says, and its date if it has one."""
    found = re.fullmatch(_MARKED, name)
    if found is None:
        return name, "named", None
    if found["kind"]:
        return found["name"], found["kind"], None
    try:
        date = datetime.strptime(found["date"], _DATE).replace(tzinfo=timezone.utc)
    except ValueError:  # a person has written it
        return name, "named", None
    return found["name"], found["dated"], date


def new(name: str) -> str:
    """Return the name of a token that nobody uses yet."""
    return f"{name} [new]"


def following(name: str) -> str:
    """Return the name of a token that is being published."""
    return f"{name} [next]"


def old(name: str, end: datetime) -> str:
    """Return the name of a token that was replaced."""
    return f"{name} [old, disable after {end:{_DATE}}]"


def off(name: str, end: datetime) -> str:
    """Return the name of a token that was disabled."""
    return f"{name} [off, delete after {end:{_DATE}}]"


def checked(name: str) -> str:
    """Return a name if tokens may be managed by it; ValueError or TypeError if not."""
    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"name must be str, not {type(name).__name__}")
    if not 0 < len(name) <= LONGEST or name != name.strip():
        raise ValueError(f"name must have 1 to {LONGEST} characters, and no space at its ends")
    if parsed(name)[1] != "named":
        raise ValueError(f"name must not end with a mark of the manager's, as {name!r} does")
    return name


def drift(token: TokenDto, wanted: Mapping[str, object]) -> dict[str, Any]:
    """Return what of a token differs from what is wanted."""
    found = {name: getattr(token, name) for name in wanted}
    return {name: value for name, value in found.items() if value != wanted[name]}


def check(token: TokenDto, wanted: dict[str, bool]) -> None:
    """Raise TokenDriftException if a token is not as wanted."""
    found = drift(token, wanted)
    if found:
        named = f"token {token.id}, {token.name!r},"
        raise TokenDriftException(named, {name: wanted[name] for name in found}, found)
