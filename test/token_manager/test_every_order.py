"""Every way in which a few calls can go: faults, kills, late requests, and calls beside each other.

A call is a function of the responses that it gets. So it is run from its start with the responses
so far, up to the next request, and a breadth-first search goes through all that may happen then.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

import pytest

import stcloud
from stcloud import TokenManager, models
from stcloud.operation import HttpInfo
from stcloud.token_manager.names import parse_name

NAME = "shipper"
START = datetime(2026, 3, 1, 8, tzinfo=UTC)
Row = tuple[int, str, bool, int]
"""A token: id, name, enabled, and the hour in which it was made."""
Request = tuple[Any, ...]
Response = tuple[str, Any, int]
"""``done`` with its result, ``refused``, ``lost``, ``returns`` or ``raises``; and the hour."""


class Paused(BaseException):
    """The call is at a request whose response is not known yet."""


class PublishError(Exception):
    """What publish raises."""


class Service:
    """The API, which returns the responses one by one; then the call stops."""

    def __init__(self, responses: tuple[Response, ...]) -> None:
        self.responses = list(responses)
        self.hour = responses[-1][2] if responses else 0
        self.pending: Request = ()

    def ask(self, *request: Any) -> Any:
        if not self.responses:
            self.pending = self.pending or request  # a handler may make another on the way out
            raise Paused
        outcome, result, self.hour = self.responses.pop(0)
        if outcome == "refused":
            raise stcloud.BadRequestException(400)
        if outcome == "lost":
            error = stcloud.ConnectionException(0)
            error.outcome_unknown = True
            raise error
        return result

    def now(self) -> datetime:
        return START + timedelta(hours=self.hour)

    def get_app_tokens1(self, _: Any) -> models.TokensResponse:
        tokens = [dto(row) for row in self.ask("list")]
        return models.TokensResponse(data=models.TokensResponseEntry(tokens=tokens))

    def create_app_token_with_http_info(self, body: Any, _: Any) -> Any:
        return info(self.ask("create", body.name))

    def update_app_token_with_http_info(self, body: Any, _: Any, number: int) -> Any:
        return info(self.ask("update", number, body.name, body.enabled))

    def delete_app_token1_with_http_info(self, _: Any, number: int) -> Any:
        return info(self.ask("delete", number))

    get_app_tokens1_with_http_info = get_app_tokens1

    def publish(self, token: stcloud.TokenDto) -> None:
        if not self.ask("publish", token.id):
            raise PublishError


def dto(row: Row) -> stcloud.TokenDto:
    number, name, enabled, hour = row
    made = START + timedelta(hours=hour)
    return stcloud.TokenDto(
        id=number, name=name, enabled=enabled, created_at=made, readable=True, writeable=True,
        token=f"value {number}",
    )  # fmt: skip


def info(row: Row | None) -> Any:
    data = models.TokenResponseEntry(token=dto(row)) if row else None
    response = HttpInfo[Any]((models.TokenResponse(data=data), 200, {}))
    response.attempts = 1
    return response


@cache
def next_request(work: str, responses: tuple[Response, ...]) -> Request:
    """Return the request that a call makes after these responses, or how it ends."""
    service: Any = Service(responses)
    manager = TokenManager(service, 7, clock=service.now)
    try:
        if work == "ensure":
            return ("ends", manager.ensure(NAME).id)
        if work == "finish":
            manager.finish_rotations()
        else:
            overlap = timedelta(hours=1) if work == "rotate with overlap" else timedelta(0)
            create = work == "rotate or create"
            manager.rotate(NAME, service.publish, overlap=overlap, create=create)
    except Paused:
        return service.pending  # type: ignore[no-any-return]
    except (stcloud.ApiException, stcloud.TokenManagerException, PublishError):
        return ("ends", None)
    return ("ends", None)


class World(NamedTuple):
    """All that matters for what may happen."""

    tokens: tuple[Row, ...] = ()
    made: int = 0
    hour: int = 0
    held: frozenset[int] = frozenset()
    """The tokens that somebody uses: what publish may have handed out since it last returned."""
    calls: tuple[tuple[str, tuple[Response, ...]] | None, ...] = ()
    plans: tuple[tuple[str, ...], ...] = ()
    """What each caller calls next."""
    late: tuple[Request, ...] = ()
    faults: int = 1
    sleeps: int = 1

    def after(self, request: Request) -> tuple[World, Any]:
        """Return the world after a request was done, and its result."""
        tokens = {row[0]: row for row in self.tokens}
        number = self.made + 1 if request[0] == "create" else request[1] if request[1:] else 0
        if request[0] == "list":
            return self, self.tokens
        if request[0] == "create":
            tokens[number] = (number, request[1], True, self.hour)
        elif request[0] == "delete":
            tokens.pop(number, None)
        elif number in tokens:
            _, name, enabled, hour = tokens[number]
            name = request[2] or name
            tokens[number] = (number, name, enabled if request[3] is None else request[3], hour)
        made = max(self.made, number)
        return self._replace(tokens=tuple(tokens.values()), made=made), tokens.get(number)

    def responded(self, caller: int, outcome: str, result: Any = None) -> World:
        """Return the world after a caller got a response."""
        work, responses = self.calls[caller] or ("", ())
        call = work, (*responses, (outcome, result, self.hour))
        return self._replace(calls=(*self.calls[:caller], call, *self.calls[caller + 1 :]))

    def ended(self, caller: int) -> World:
        """Return the world after a caller's call has ended or was killed: the next one begins."""
        plan = self.plans[caller]
        begun = (plan[0], ()) if plan else None
        plans = (*self.plans[:caller], plan[1:], *self.plans[caller + 1 :])
        calls = (*self.calls[:caller], begun, *self.calls[caller + 1 :])
        return self._replace(calls=calls, plans=plans)


def begin(*plans: tuple[str, ...], faults: int = 1, sleeps: int = 0) -> World:
    """Return a world in which each caller makes these calls, one after the other."""
    world = World(calls=(None,) * len(plans), plans=plans, faults=faults, sleeps=sleeps)
    for caller in range(len(plans)):
        world = world.ended(caller)
    return world


def successors(world: World) -> Iterator[tuple[str, World]]:
    """Yield all that may happen next."""
    if world.sleeps:
        yield "two hours pass", world._replace(hour=world.hour + 2, sleeps=world.sleeps - 1)
    for request in world.late:
        late = tuple(each for each in world.late if each is not request)
        yield f"late: {request}", world.after(request)[0]._replace(late=late)
    for caller, call in enumerate(world.calls):
        if call is not None:
            request = next_request(*call)
            happen = published if request[0] == "publish" else requested
            for what, after in happen(world, caller, request):
                yield f"{call[0]} {caller}: {request} {what}", after


def published(world: World, caller: int, request: Request) -> Iterator[tuple[str, World]]:
    """Yield how publish may go; if it raises or is killed, nobody, some or all have the token."""
    everyone, some = frozenset({request[1]}), world.held | {request[1]}
    yield "returns", world.responded(caller, "done", True)._replace(held=everyone)
    if world.faults:
        failing = world._replace(faults=world.faults - 1)
        for held in {world.held, some, everyone}:
            raised = failing.responded(caller, "done", False)
            yield f"raises, and {set(held)} are used", raised._replace(held=held)
            killed = failing.ended(caller)
            yield f"is killed, and {set(held)} are used", killed._replace(held=held)


def requested(world: World, caller: int, request: Request) -> Iterator[tuple[str, World]]:
    """Yield how a request may go, or that the call has ended."""
    if request[0] == "ends":
        yield "", world.ended(caller)
        return
    after, result = world.after(request)
    yield "", after.responded(caller, "done", result)
    if world.faults:
        failing = world._replace(faults=world.faults - 1)
        lost = failing.after(request)[0]
        yield "is killed before", failing.ended(caller)
        if request[0] != "list":
            yield "is refused", failing.responded(caller, "refused")
            yield "is lost", lost.responded(caller, "lost")
            yield "is killed after", lost.ended(caller)
            late = (*failing.late, request)
            yield "comes late", failing.responded(caller, "lost")._replace(late=late)
            yield "is killed, and comes late", failing.ended(caller)._replace(late=late)


def problems(world: World) -> list[str]:
    """Return what must not be in any world."""
    enabled = {row[0] for row in world.tokens if row[2]}
    found = [f"{number} is used, and off" for number in world.held - enabled]
    kinds = {parse_name(row[1]).kind for row in world.tokens}
    if kinds - {"new", "next"} and current(world.tokens) is None:  # no first publish has returned
        found.append("nothing is current")
    return found


@cache
def current(tokens: tuple[Row, ...]) -> int | None:
    service: Any = Service((("done", tokens, 0),))
    found = TokenManager(service, 7).find(NAME)
    return None if found is None else found.id


def settled(world: World) -> World:
    """Return the world after rotations that succeed, and some days with finish_rotations.

    Each rotation publishes one token that a late request has left.
    """
    world = world._replace(faults=0, sleeps=0, late=())
    for work in ("ensure", "rotate", "rotate", "rotate", "finish", "finish", "finish"):
        world = world._replace(calls=((work, ()),), plans=((),), hour=world.hour + 30)
        while world.calls[0] is not None:
            ((_, world),) = successors(world)
    return world


def explore(start: World) -> int:
    """Go through all worlds; return how many there are. Fail with the shortest way to a problem."""
    came_from: dict[World, tuple[World, str] | None] = {start: None}
    front = [start]
    while front:
        reached = []
        for world in front:
            found = problems(world)
            if not any(world.calls) and not world.late:
                left = [(parse_name(row[1]).kind, row[2]) for row in settled(world).tokens]
                found += [] if left == [("named", True)] else [f"{left} is left"]
            if found:
                pytest.fail("\n".join([*way(world, came_from), *found]))
            for step, after in successors(world):
                if after not in came_from:
                    came_from[after] = (world, step)
                    reached.append(after)
        front = reached
    return len(came_from)


def way(world: World, came_from: dict[World, tuple[World, str] | None]) -> list[str]:
    steps: list[str] = []
    while (before := came_from[world]) is not None:
        world, step = before
        steps.insert(0, step)
    return steps


SCENARIOS = {
    "ensure beside ensure": begin(("ensure",), ("ensure",)),
    "rotations": begin(("ensure", "rotate", "rotate", "rotate"), faults=2),
    "rotations with time": begin(("ensure", "rotate with overlap", "rotate"), faults=1, sleeps=2),
    "ensure beside rotate": begin(("ensure", "rotate"), ("ensure",)),
    "finish beside rotate": begin(("ensure", "rotate", "rotate"), ("finish", "finish"), sleeps=1),
    "first rotations": begin(("rotate or create",) * 3, faults=2),
    "first rotation beside ensure": begin(("rotate or create", "rotate"), ("ensure",)),
    "first rotation beside finish": begin(("rotate or create",) * 2, ("finish",), sleeps=1),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_promises_are_kept_whatever_happens(name: str) -> None:
    """What somebody uses is enabled, something is current, and another rotation tidies up."""
    assert explore(SCENARIOS[name]) > 100
