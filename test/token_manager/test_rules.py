"""The rules, over all groups of up to four tokens: pure functions, without requests."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from stcloud import TokenDto
from stcloud.token_manager import Step, names
from stcloud.token_manager.names import parse_name
from stcloud.token_manager.rules import ABANDONED, TokenGroup, due_steps, warnings

NAME = "shipper"
NOW = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DATES = {"past": NOW - HOUR, "future": NOW + HOUR}
MOST = 4


WANTED = {"readable": True, "writeable": True, "enabled": True}


def token(number: int, name: str, *, enabled: bool = True) -> TokenDto:
    made = NOW - timedelta(days=number)
    return TokenDto(
        id=number, name=name, enabled=enabled, readable=True, writeable=True, created_at=made
    )


def each_token(number: int) -> Iterator[TokenDto]:
    """Yield all that a token may be."""
    for name, enabled in product((NAME, names.NEXT.format(NAME)), (True, False)):
        yield token(number, name, enabled=enabled)
    yield token(number, names.NEW.format(NAME))
    for successor in range(2, MOST + 1):
        yield token(number, names.OLD.format(NAME, successor, DATES["past"]))
    yield token(number, names.OLD.format(NAME, MOST, DATES["future"]))
    for enabled in (True, False):
        yield token(number, names.OFF.format(NAME, DATES["past"]), enabled=enabled)


def groups() -> Iterator[TokenGroup]:
    for size in range(MOST + 1):
        for tokens in product(*(list(each_token(number + 1)) for number in range(size))):
            yield TokenGroup(NAME, tokens)


def ids(tokens: list[TokenDto]) -> set[int | None]:
    return {each.id for each in tokens}


def applied(group: TokenGroup, steps: list[Step]) -> TokenGroup:
    """Return the group after some of the steps."""
    left = {each.id: each for each in group.of_kind("named", "new", "next", "old", "off")}
    for step in steps:
        if step.step == "delete":
            del left[step.token_id]
        elif step.step == "promote":
            left[step.token_id] = token(step.token_id or 0, NAME)
        elif step.step == "disable":
            off = names.OFF.format(NAME, DATES["future"])
            left[step.token_id] = token(step.token_id or 0, off, enabled=False)
    return TokenGroup(NAME, left.values())


def check(group: TokenGroup) -> None:
    """Assert what must be so of any group."""
    current, candidate, steps = group.current, group.candidate(WANTED), due_steps(group, NOW)
    kinds = {each.id: parse_name(each.name or "").kind for each in group.of_kind("new", "next")}
    assert candidate is None or (candidate.enabled and kinds[candidate.id] == "next")
    if current is None or not current.enabled:
        assert {step.step for step in steps} <= {"publish"}, "nothing is disabled or deleted"
        first = [each for each in group.of_kind("next") if each.enabled and current is None]
        assert {step.token_id for step in steps} == ids(first)
        return
    if current.name != NAME:
        assert steps == [Step("promote", current.id, current.created_at or NOW)]
        return
    by_step = {
        kind: [step.token_id for step in steps if step.step == kind]
        for kind in ("promote", "publish", "retire", "disable", "delete")
    }
    assert not by_step["promote"]
    assert current.id not in {step.token_id for step in steps}
    assert len({step.token_id for step in steps}) == len(steps)
    off = group.of_kind("off")
    assert {*by_step["delete"]} == ids([each for each in off if not each.enabled])
    next_ = ids(group.of_kind("next"))
    newest = max((each for each, _ in group.successors), default=0)
    kept = [each for each in group.of_kind("next") if (each.id or 0) >= newest]
    usable = {each.id for each in kept if each.enabled and (each.id or 0) > (current.id or 0)}
    useless = {each.id for each in kept if each.enabled} - usable
    assert {*by_step["publish"]} == usable
    assert {*by_step["retire"]} == (ids(group.of_kind("named")) | useless) - {current.id}
    assert {*by_step["disable"]} >= next_ - ids(kept)
    assert {*by_step["disable"]} - next_ == ids(group.of_kind("new", "old"))
    if candidate is not None:  # whoever has it keeps it
        assert candidate.id in by_step["publish"]
        assert candidate.id == min(number for number in by_step["publish"] if number)
    # Whatever of it is done, in this order, before the call is cut off.
    doable = [step for step in steps if step.step in ("disable", "delete")]
    for count in range(len(doable) + 1):
        after = applied(group, doable[:count])
        assert after.current is not None
        assert (after.current.id, after.current.enabled) == (current.id, True)
        next_one = after.candidate(WANTED)
        assert (next_one and next_one.id) == (candidate and candidate.id)
        assert {*doable[count:]} <= {*due_steps(after, NOW)}, "the next call goes on from there"


def test_rules_hold_for_all_groups() -> None:
    """Of up to four tokens, each of any kind."""
    count = 0
    for group in groups():
        check(group)
        count += 1
    assert count == sum(11**size for size in range(MOST + 1))


@pytest.mark.parametrize(
    ("tokens", "current", "candidate"),
    [
        ([], None, None),
        ([("", True)], 1, None),
        ([("", True), ("", True)], 2, None),
        ([("", True), ("", False)], 1, None),
        ([("", False), ("", False)], 2, None),
        ([(" [next]", True)], None, 1),
        ([(" [next]", False), (" [next]", True), (" [next]", True)], None, 2),
        ([("", True), (" [next]", True), (" [next]", True)], 1, 2),
        ([("", True), (" [next]", False), (" [next]", True)], 1, 3),
        ([(" [next]", True), ("", True)], 2, None),
    ],
)
def test_current_and_candidate(
    tokens: list[tuple[str, bool]], current: int | None, candidate: int | None
) -> None:
    """Of what was not retired: the newest enabled one, and the oldest [next] after it."""
    group = TokenGroup(
        NAME,
        [
            token(number, NAME + mark, enabled=enabled)
            for number, (mark, enabled) in enumerate(tokens, 1)
        ],
    )
    assert (group.current and group.current.id) == current
    found = group.candidate(WANTED)
    assert (found and found.id) == candidate


def test_successor_is_current_before_it_has_the_name() -> None:
    """Its publication has returned; with the name the next call gives it."""
    tokens = [token(1, names.OLD.format(NAME, 2, DATES["past"])), token(2, f"{NAME} [next]")]
    group = TokenGroup(NAME, tokens)
    assert group.current is tokens[1]
    assert due_steps(group, NOW) == [Step("promote", 2, NOW - timedelta(days=2))]
    for unknown in (None, NOW + HOUR):  # of a clock that is ahead
        tokens[1].created_at = unknown
        assert due_steps(TokenGroup(NAME, tokens), NOW) == [Step("promote", 2, NOW)]


def test_next_with_other_rights_is_not_published() -> None:
    """The next rotation makes another, with the rights of the current one."""
    other = token(2, f"{NAME} [next]")
    other.writeable = False
    (step,) = due_steps(TokenGroup(NAME, [token(1, NAME), other]), NOW)
    assert (step.step, step.token_id) == ("retire", 2)


def test_next_is_disabled_at_the_latest_date() -> None:
    """The overlap of each rotation that published a newer one is kept; then the old ones go."""
    tokens = [
        token(1, names.OLD.format(NAME, 4, DATES["future"])),
        token(2, names.OLD.format(NAME, 5, DATES["past"])),
        token(3, names.NEXT.format(NAME)),
        token(5, NAME),
        token(6, names.NEW.format(NAME)),
    ]
    made = tokens[4].created_at
    assert made is not None
    assert due_steps(TokenGroup(NAME, tokens), NOW) == [
        Step("disable", 6, made + ABANDONED),
        Step("disable", 3, DATES["future"]),
        Step("disable", 1, DATES["future"]),
        Step("disable", 2, DATES["past"]),
    ]


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ([token(1, NAME)], []),
        ([token(1, NAME, enabled=False)], ["token 1, the current 'shipper', is disabled"]),
        ([token(1, NAME), token(2, NAME)], ["token 1 (enabled) has the name 'shipper', too"]),
        ([token(1, NAME, enabled=False), token(2, NAME)], ["token 1 (disabled) has the name"]),
        ([token(1, names.NEXT.format(NAME))], []),
        (
            [token(1, names.NEXT.format(NAME), enabled=False), token(2, names.NEW.format(NAME))],
            ["no token is named 'shipper', though its marks are on 1, 2: rename"],
        ),
        (
            [token(1, names.OFF.format(NAME, NOW)), token(2, NAME)],
            ["token 1, 'shipper [off, delete after 2026-03-01T00:00:00Z]', is enabled"],
        ),
    ],
)
def test_warnings(tokens: list[TokenDto], expected: list[str]) -> None:
    """Each says which token, and what to do."""
    found = warnings(TokenGroup(NAME, tokens))
    assert len(found) == len(expected)
    assert all(text in warning for text, warning in zip(expected, found, strict=True))
