"""How the names of managed tokens tell what each token is, and what of it makes a current one.

A token is *new* when it is made, *next* while it is published, and then has the plain name. The one
before it is *old* until it is disabled, and *off* until it is deleted. docs/token_manager.md shows
each name.

A predecessor is called old when ``publish`` has returned, and then the next one gets the name. So
where no token has the name, the next one that an old one tells is current.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from stcloud.models import TokenDto

LONGEST = 80
"""Characters that a name may have; a mark adds up to 71."""

_DATE = "%Y-%m-%dT%H:%M:%SZ"
_STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
_MARKED = (
    r"(?sa)(?P<name>.+) \["
    r"(?:(?P<new>new)|(?P<next>next)"
    rf"|(?P<old>old), next is (?P<successor>[1-9]\d{{0,18}}), disable after (?P<disable>{_STAMP})"
    rf"|(?P<off>off), delete after (?P<delete>{_STAMP}))\]"
)


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


class Mark(NamedTuple):
    """What a token's name says of it."""

    name: str
    """The name that the token belongs to: its own, without the mark."""
    kind: str
    """``named``, ``new``, ``next``, ``old`` or ``off``."""
    date: datetime | None = None
    """When an old one is to be disabled, or one that is off to be deleted."""
    successor: int | None = None
    """The id of the token that replaces an old one."""


class Family:
    """The tokens that belong to one name, by their marks; the oldest first."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.named: list[TokenDto] = []
        self.new: list[TokenDto] = []
        self.next: list[TokenDto] = []
        self.old: list[tuple[TokenDto, datetime]] = []
        self.off: list[tuple[TokenDto, datetime]] = []
        self._successors: set[int] = set()

    def add(self, token: TokenDto, mark: Mark) -> None:
        """Put a token where its mark says."""
        if mark.date is not None:
            {"old": self.old, "off": self.off}[mark.kind].append((token, mark.date))
        else:
            {"named": self.named, "new": self.new, "next": self.next}[mark.kind].append(token)
        if mark.successor is not None:
            self._successors.add(mark.successor)

    @property
    def is_marked(self) -> bool:
        """Whether any of its tokens has a mark."""
        return bool(self.new or self.next or self.old or self.off)

    @property
    def current(self) -> TokenDto | None:
        """The token that has the name, or is about to get it: its publication has succeeded.

        Raises:
            AmbiguousTokenException: several have it.
        """
        if len(self.named) > 1:
            told = (f"{each.id} ({'en' if each.enabled else 'dis'}abled)" for each in self.named)
            problem = f"several tokens are named {self.name!r}: {', '.join(told)}"
            raise AmbiguousTokenException(f"{problem}; rename or delete all but one")
        published = (token for token in self.next if token.id in self._successors)
        return next(iter(self.named), next(published, None))

    def unused(self, wanted: Mapping[str, bool], since: datetime) -> TokenDto | None:
        """Return the first token as wanted that was made since a moment, and not used."""
        fresh = (
            token for token in self.new if token.created_at is None or token.created_at > since
        )
        return next((token for token in fresh if not drift(token, wanted)), None)

    def handed_out(self, wanted: Mapping[str, bool]) -> TokenDto | None:
        """Return the first token as wanted whose publication was begun."""
        return next((token for token in self.next if not drift(token, wanted)), None)


def families(tokens: Iterable[TokenDto]) -> dict[str, Family]:
    """Return the tokens by the names that they belong to."""
    found: dict[str, Family] = {}
    for token in sorted(tokens, key=lambda token: token.id or 0):
        mark = parsed(token.name or "")
        found.setdefault(mark.name, Family(mark.name)).add(token, mark)
    return found


def parsed(name: str) -> Mark:
    """Return what a name says; one that a person has marked in any other way is a name alone."""
    found = re.fullmatch(_MARKED, name)
    if found is None or not _is_plain(found["name"]):
        return Mark(name, "named")
    kind = next(kind for kind in ("new", "next", "old", "off") if found[kind])
    date, successor = found["disable"] or found["delete"], found["successor"]
    if date is None:
        return Mark(found["name"], kind)
    try:
        moment = datetime.strptime(date, _DATE).replace(tzinfo=UTC)
    except ValueError:  # the 31st of February, say
        return Mark(name, "named")
    return Mark(found["name"], kind, moment, int(successor) if successor else None)


def new(name: str) -> str:
    """Return the name of a token that nobody uses yet."""
    return f"{name} [new]"


def next_(name: str) -> str:
    """Return the name of a token that is being published."""
    return f"{name} [next]"


def old(name: str, successor: int | None, end: datetime) -> str:
    """Return the name of a token that another one replaces."""
    return f"{name} [old, next is {successor}, disable after {end:{_DATE}}]"


def off(name: str, end: datetime) -> str:
    """Return the name of a token that was disabled."""
    return f"{name} [off, delete after {end:{_DATE}}]"


def valid(name: str) -> str:
    """Return a name if tokens may be managed by it; ValueError or TypeError if not."""
    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"name must be str, not {type(name).__name__}")
    if not _is_plain(name):
        allowed = f"1 to {LONGEST} characters, no space at its ends and no mark of the manager's"
        raise ValueError(f"name must have {allowed}")
    return name


def _is_plain(name: str) -> bool:
    bounded = 0 < len(name) <= LONGEST and name == name.strip()
    return bounded and parsed(name).kind == "named"


def drift(token: TokenDto, wanted: Mapping[str, object]) -> dict[str, Any]:
    """Return what of a token differs from what is wanted."""
    found = {name: getattr(token, name) for name in wanted}
    return {name: value for name, value in found.items() if value != wanted[name]}


def require(token: TokenDto, wanted: dict[str, bool]) -> None:
    """Raise TokenDriftException if a token is not as wanted."""
    found = drift(token, wanted)
    if found:
        named = f"token {token.id}, {token.name!r},"
        raise TokenDriftException(named, {name: wanted[name] for name in found}, found)
