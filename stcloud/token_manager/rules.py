"""What follows from the names of an app's tokens: pure functions, without requests or a clock.

The protocol, in short. ``rotate`` makes a token [next] and publishes it. When ``publish`` has
returned, it names the predecessors [old, next is <id>]: each of these *successors* was published.
Then the new token gets the plain name. Nothing is undone: an exception of ``publish`` does not show
who has the token, so the next ``rotate`` publishes the same one again.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from stcloud.exceptions import TokenDriftException, TokenManagerException
from stcloud.models import TokenDto
from stcloud.token_manager.names import Kind, ParsedName, parse_name

ABANDONED = timedelta(hours=1)  # no call of ensure takes as long


class Step(NamedTuple):
    """What was done, or is due, with a token.

    Attributes:
        step: ``create``, ``publish``, ``retire``, ``promote``, ``enable``, ``disable`` or
            ``delete``.
        token_id: the token's id; None if no response had it, though a token may have been made.
        at: when it was done, or from when on it is due, in UTC.
    """

    step: str
    token_id: int | None
    at: datetime

    def __str__(self) -> str:
        return f"{self.step} {self.token_id} at {self.at:%Y-%m-%d %H:%M:%SZ}"


class Rotation(NamedTuple):
    """How far the rotation of a name is; ``print`` shows it without the token's value.

    Attributes:
        name: the name, without a mark.
        token: the current token, its value included; None if no token is current.
        done: what this call has done, in order.
        due: what is still to be done. ``finish_rotations`` leaves ``publish`` and ``retire`` to
            ``rotate``.
        warnings: what a person has to look at.
    """

    name: str
    token: TokenDto | None
    done: tuple[Step, ...]
    due: tuple[Step, ...]
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        current = f"token {self.token.id}" if self.token else "no token"
        head = f"{repr(self.name)[1:-1]}: {current}"  # in one line, whatever the name holds
        rows = ("done", self.done), ("due", self.due), ("warning", self.warnings)
        return "\n  ".join([head, *(f"{kind}: {each}" for kind, row in rows for each in row)])


class TokenGroup:
    """The tokens that belong to one name, the oldest first."""

    def __init__(self, name: str, tokens: Iterable[TokenDto]) -> None:
        self.name = name
        self._all: list[tuple[TokenDto, ParsedName]] = [
            (token, parse_name(token.name or "")) for token in sorted(tokens, key=id_of)
        ]
        self.successors: list[tuple[int, datetime]] = [
            (mark.successor, mark.date) for _, mark in self._all if mark.successor and mark.date
        ]

    def of_kind(self, *kinds: Kind) -> list[TokenDto]:
        """Return the tokens with such marks."""
        return [token for token, mark in self._all if mark.kind in kinds]

    def dated(self, kind: Kind) -> list[tuple[TokenDto, datetime]]:
        """Return the tokens with such a mark, each with the date in its name."""
        return [(token, mark.date) for token, mark in self._all if mark.kind == kind and mark.date]

    @property
    def current(self) -> TokenDto | None:
        """The newest enabled token that was published; if all are disabled, the newest of those.

        A [next] that an [old] token names was published, though it lacks the name yet.
        """
        published = {successor for successor, _ in self.successors}
        named = self.of_kind("named")
        lacking = [token for token in self.of_kind("next") if token.id in published]
        enabled = [token for token in named + lacking if token.enabled]
        return max(enabled or lacking or named, key=id_of, default=None)

    def candidate(self, wanted: Mapping[str, bool]) -> TokenDto | None:
        """Return the token to publish next: of those that fit, the oldest.

        It is as wanted, and newer than the current one and all successors.
        """
        current = id_of(self.current) if self.current else 0
        newest = max(current, *(successor for successor, _ in self.successors), 0)
        newer = (token for token in self.of_kind("next") if id_of(token) > newest)
        return next((token for token in newer if not drift(token, wanted)), None)

    def unused(self, wanted: Mapping[str, bool]) -> TokenDto | None:
        """Return the oldest [new] token as wanted: nobody has it."""
        return next((token for token in self.of_kind("new") if not drift(token, wanted)), None)


def due_steps(group: TokenGroup, now: datetime) -> list[Step]:
    """Return what is to be done with a name's tokens, each with its date, in this order.

    Without an enabled current token, nothing is disabled or deleted; and it must have the name
    first.
    """
    current = group.current
    if current is None:  # a first publication has failed, or is in flight
        first = [token for token in group.of_kind("next") if token.enabled]
        return [Step("publish", token.id, token.created_at or now) for token in first]
    if not current.enabled:
        return []
    if current.name != group.name:
        return [Step("promote", current.id, min(current.created_at or now, now))]
    dated: list[tuple[str, TokenDto, datetime]] = [
        ("delete", token, date) for token, date in group.dated("off") if not token.enabled
    ]
    for token in group.of_kind("new"):
        if token.created_at is not None:
            dated.append(("disable", token, token.created_at + ABANDONED))
    wanted = {"readable": current.readable, "writeable": current.writeable}
    for token in group.of_kind("next"):  # before the [old] ones, whose names say what was published
        date = max((end for newer, end in group.successors if newer > id_of(token)), default=None)
        if date:
            dated.append(("disable", token, date))
        elif token.enabled:  # any other is retired by the next rotation, which need not come soon
            fits = id_of(token) > id_of(current) and not drift(token, wanted)
            dated.append(("publish" if fits else "retire", token, token.created_at or now))
    dated += [("disable", token, date) for token, date in group.dated("old")]
    dated += [("retire", token, now) for token in group.of_kind("named") if token is not current]
    return [Step(step, token.id, date) for step, token, date in dated]


def warnings(group: TokenGroup) -> list[str]:
    """Return what a person has to look at in a name's tokens, and what to do."""
    name, current = repr(group.name), group.current
    if current is None:
        if any(token.enabled for token in group.of_kind("next")):
            return []  # its publication is due
        ids = ", ".join(str(token.id) for token in group.of_kind("new", "next", "old", "off"))
        advice = f"rename the one in use, or rotate({name}, ..., create=True)"
        return [f"no token is named {name}, though its marks are on {ids}: {advice}"]
    of_current = f"token {current.id}, the current {name}, is disabled: find out why"
    found = [] if current.enabled else [f"{of_current}, then {enabling(group.name, current)}"]
    found += [
        f"token {token.id} ({'en' if token.enabled else 'dis'}abled) has the name {name}, too; "
        f"{current.id} is current: rename the other one, or the next rotation retires it"
        for token in group.of_kind("named")
        if token is not current
    ]
    return found + [
        f"token {token.id}, {token.name!r}, is enabled: disable it, or rename it if it is in use"
        for token in group.of_kind("off")
        if token.enabled
    ]


def rotation(group: TokenGroup, done: Sequence[Step], due: Sequence[Step]) -> Rotation:
    """Return how far the rotation of a name is."""
    return Rotation(group.name, group.current, tuple(done), tuple(due), tuple(warnings(group)))


def group_tokens(tokens: Iterable[TokenDto]) -> dict[str, TokenGroup]:
    """Return the tokens by the names that they belong to."""
    by_name: dict[str, list[TokenDto]] = {}
    for token in tokens:
        by_name.setdefault(parse_name(token.name or "").name, []).append(token)
    return {name: TokenGroup(name, members) for name, members in by_name.items()}


def id_of(token: TokenDto) -> int:
    """Return a token's id; ids grow."""
    return token.id or 0


def rights(token: TokenDto) -> dict[str, bool]:
    """Return what a successor must be; TokenManagerException if the service leaves it out."""
    if token.readable is None or token.writeable is None:
        raise TokenManagerException(f"the service leaves out the rights of token {token.id}")
    return {"readable": token.readable, "writeable": token.writeable}


def drift(token: TokenDto, wanted: Mapping[str, object]) -> dict[str, Any]:
    """Return what of a token differs from what is wanted."""
    return {name: getattr(token, name) for name in wanted if getattr(token, name) != wanted[name]}


def require_rights(token: TokenDto, wanted: Mapping[str, bool]) -> None:
    """Raise TokenDriftException if a token has other rights."""
    rights(token)
    found = drift(token, wanted)
    if found:
        made = ", ".join(f"{name}={value}" for name, value in found.items())
        text = f"token {token.id}, {token.name!r}, was made with {made}, which cannot be changed"
        text += f": pass {made}, or choose another name"
        raise TokenDriftException(text, {name: wanted[name] for name in found}, found)


def enabling(name: str, token: TokenDto) -> str:
    """Return the call that enables a token of a name; it has the token's rights."""
    missing = [right for right in ("readable", "writeable") if getattr(token, right) is False]
    return f"ensure({name!r}, enable=True{''.join(f', {right}=False' for right in missing)})"


def require_enabled(token: TokenDto, advice: str) -> None:
    """Raise TokenDriftException if a token is disabled."""
    if token.enabled is None:
        raise TokenManagerException(f"the service leaves out whether token {token.id} is enabled")
    if not token.enabled:
        text = f"token {token.id}, {token.name!r}, is disabled: find out why, then {advice}"
        raise TokenDriftException(text, {"enabled": True}, {"enabled": token.enabled})
