"""docs/token_manager.md: its names, its diagram, its tables and its steps by hand are true."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import time_machine
from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

import stcloud
from stcloud import TokenManager, token_names
from stcloud.sandbox import Sandbox
from stcloud.token_manager import Event

DOCS = Path(__file__).parents[1] / "docs"
PAGE = SyntaxTreeNode(
    MarkdownIt().enable("table").parse((DOCS / "token_manager.md").read_text(encoding="utf-8"))
)
SVG = ElementTree.parse(DOCS / "token_manager.svg")  # noqa: S314 - our own
NAME = "shipper"
DATE = datetime(2026, 12, 1, 8, tzinfo=UTC)
WAY_BACK = timedelta(hours=1)

Edge = tuple[str, str, str, str]
"""From where, to where, in which step, in which method or by hand."""


def inline(node: SyntaxTreeNode) -> str:
    """Return what a table's cell or a list's item says, as it is written."""
    return "".join(part.content for part in node.walk() if part.type == "inline")


def table(first: str) -> dict[str, list[str]]:
    """Return the rows of the table whose first heading this is, by their first cells."""
    found = [
        [[inline(cell) for cell in row.children] for row in node.walk() if row.type == "tr"]
        for node in PAGE.walk()
        if node.type == "table"
    ]
    ((_, *rows),) = [rows for rows in found if rows[0][0] == first]
    return {row[0]: row[1:] for row in rows}


def coded(text: str) -> list[str]:
    return re.findall(r"`(.+?)`", text)


def instructions() -> list[list[str]]:
    """Return the page's numbered lists."""
    lists = [node for node in PAGE.walk() if node.type == "ordered_list"]
    return [[inline(item) for item in node.children] for node in lists]


@pytest.fixture
def ahead() -> Iterator[Callable[[timedelta], None]]:
    """Set how far ahead the clock is."""
    begin = datetime.now(UTC)
    with time_machine.travel(begin) as traveller:
        yield lambda delay: traveller.move_to(begin + delay)


class Told:
    """The tokens of the sandbox's app, and what is seen of each as a manager takes its steps."""

    def __init__(self, api: stcloud.TokensApiControllerApi, sandbox: Sandbox) -> None:
        self.api = api
        self.app_id = sandbox.app_id
        self.events: list[Event] = []
        self.edges: set[Edge] = set()
        self.kill_after = ""
        self.manager = TokenManager(api, self.app_id, observer=self.observe)
        self._seen: dict[int | None, str] = {}

    @property
    def tokens(self) -> list[stcloud.TokenDto]:
        data = self.api.get_app_tokens1(self.app_id).data
        return [token for token in (data and data.tokens) or [] if token is not None]

    @property
    def kinds(self) -> dict[int | None, str]:
        return {token.id: token_names.parsed(token.name or "")[1] for token in self.tokens}

    def look(self, step: str, method: str) -> None:
        before, self._seen = self._seen, self.kinds
        for number in before.keys() | self._seen.keys():
            edge = before.get(number, "none"), self._seen.get(number, "deleted"), step, method
            if edge[0] != edge[1]:
                self.edges.add(edge)

    def observe(self, event: Event) -> None:
        self.events.append(event)
        self.look(event.step, event.operation)
        if event.step == self.kill_after:
            raise KeyboardInterrupt  # as the end of the process, it passes the manager by

    def look_away(self) -> None:
        self._seen = self.kinds

    def make(self, name: str) -> None:
        """Add a token as if an earlier call had left it."""
        self.api.create_app_token({"name": name}, self.app_id)
        self.look_away()

    def rename(self, token: stcloud.TokenDto, name: str) -> None:
        step = "enable and rename" if self.kinds[token.id] == "off" else "rename"
        self.api.update_app_token({"name": name}, self.app_id, token.id or 0)
        self.look(step, "by hand")


@pytest.fixture
def told(api: stcloud.TokensApiControllerApi, sandbox: Sandbox) -> Told:
    """A manager of the sandbox's app, and what it does."""
    return Told(api, sandbox)


def nothing(_: stcloud.TokenDto) -> None:
    """Publish at once."""


def test_names_are_those_that_the_manager_writes() -> None:
    """And the page's date is one that it reads."""
    date = f"{DATE:%Y-%m-%dT%H:%M:%SZ}"
    assert date in coded("".join(inline(node) for node in PAGE.walk() if node.type == "paragraph"))
    names = [NAME, token_names.new(NAME), token_names.next_(NAME)]
    ends = token_names.old(NAME, 790, DATE), token_names.off(NAME, DATE)
    names += [name.replace(date, "<date>").replace("790", "<id>") for name in ends]
    assert [coded(name) for name in table("Name")] == [[name] for name in names]
    assert [row[0] for row in table("Name").values()] == ["yes", "yes", "yes", "yes", "no"]


def test_lengths_are_those_that_the_manager_checks() -> None:
    """A name's, and that of the longest mark."""
    text = "".join(inline(node) for node in PAGE.walk() if node.type == "paragraph")
    mark = len(token_names.old("", 2**63 - 1, DATE))
    assert mark >= len(token_names.off("", DATE))
    assert f"1 to {token_names.LONGEST} characters" in text
    assert f"adds {mark} characters" in text
    assert f"names of {token_names.LONGEST + mark}" in text


def test_exceptions_are_listed() -> None:
    """All of the manager's that the package exports, and what else its methods raise."""
    public = {name: getattr(stcloud, name) for name in stcloud.__all__}
    exported = {
        name
        for name, value in public.items()
        if isinstance(value, type) and issubclass(value, stcloud.TokenManagerException)
    }
    assert len(exported) >= 4
    listed = {name for cell in table("Exception") for name in coded(cell)}
    assert listed == exported | {"ApiException", "ValueError", "TypeError"}


# The diagram.


class Second:
    """The API, where another manager makes the same token just before."""

    def __init__(self, told: Told) -> None:
        self._told = told

    def create_app_token_with_http_info(self, body: stcloud.CreateTokenDto, app_id: int) -> Any:
        self._told.make(body.name or "")
        return self._told.api.create_app_token_with_http_info(body, app_id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._told.api, name)


def second(told: Told) -> TokenManager:
    api: Any = Second(told)
    return TokenManager(api, told.app_id, observer=told.observe)


def drive(told: Told, sandbox: Sandbox, ahead: Callable[[timedelta], None]) -> None:
    """Let the manager take each of its ways."""

    def fresh(*names: str) -> TokenManager:
        sandbox.reset()
        ahead(timedelta(0))
        told.look_away()
        for name in names:
            told.make(name)
        return told.manager

    def fail(_: stcloud.TokenDto) -> None:
        raise ZeroDivisionError

    fresh().ensure(NAME)
    told.manager.rotate(NAME, nothing)
    ahead(timedelta(days=2))
    told.manager.rotate(NAME, nothing)
    told.manager.rotate(NAME, nothing, overlap=WAY_BACK)
    for days in (3, 5):
        ahead(timedelta(days=days))
        told.manager.finish_rotations()
    with pytest.raises(ZeroDivisionError):
        told.manager.rotate(NAME, fail)
    fresh()
    second(told).ensure(NAME)
    fresh(NAME)
    second(told).rotate(NAME, nothing)
    for call in (told.manager.finish_rotations, lambda: told.manager.rotate(NAME, nothing)):
        fresh(NAME, token_names.new(NAME))
        ahead(timedelta(hours=2))
        call()
    fresh(NAME)
    told.api.create_app_token({"name": token_names.next_(NAME), "writeable": False}, told.app_id)
    told.look_away()
    told.manager.rotate(NAME, nothing)
    cut_off = token_names.old(NAME, 790, DATE + timedelta(days=999)), token_names.next_(NAME)
    fresh(*cut_off).ensure(NAME)
    fresh(*cut_off).finish_rotations()
    told.api.update_app_token({"enabled": False}, told.app_id, told.tokens[-1].id or 0)
    told.manager.ensure(NAME, enable=True)


def test_arrows_of_the_diagram_are_the_ways_that_tokens_go(
    told: Told, sandbox: Sandbox, ahead: Callable[[timedelta], None]
) -> None:
    """Each one is seen, and no other, also of those by hand."""
    titles = SVG.iterfind(".//{*}path/{*}title")
    drawn = {edge for title in titles for edge in edges(title.text or "")}
    drive(told, sandbox, ahead)
    for overlap in (timedelta(0), WAY_BACK):
        undo(told, sandbox, overlap)
    assert drawn == told.edges


def test_fields_of_an_event_are_listed(
    told: Told, sandbox: Sandbox, ahead: Callable[[timedelta], None]
) -> None:
    """In their order, with all methods and steps that are told."""
    drive(told, sandbox, ahead)
    fields = table("Field")
    assert tuple(coded("".join(fields))) == Event._fields
    for field in ("operation", "step"):
        listed = coded(fields[f"`{field}`"][0])
        assert set(listed) == {getattr(event, field) for event in told.events}


def edges(title: str) -> set[Edge]:
    found = re.fullmatch(r"(\w+) to (\w+): ([\w ]+), (?:in )?([\w, ]+)", title)
    assert found, title
    start, end, step, methods = found.groups()
    return {(start, end, step, method) for method in methods.split(", ")}


def test_diagram_shows_the_names() -> None:
    """Its boxes have the names of the page's table."""
    shown = "".join("".join(text.itertext()) for text in SVG.iterfind(".//{*}text"))
    for cell in table("Name"):
        (name,) = coded(cell)
        _, _, mark = name.partition(" ")
        assert (f"[{mark.strip('[]')}]" if mark else NAME) in shown
    assert SVG.find("{*}title") is not None
    assert SVG.find("{*}desc") is not None


# What a killed rotation leaves.


@pytest.mark.parametrize("method", ["ensure", "rotate", "finish_rotations"])
@pytest.mark.parametrize("row", table("Killed after"))
def test_killed_rotation_goes_on_as_told(
    told: Told, ahead: Callable[[timedelta], None], row: str, method: str
) -> None:
    """The table has the steps of the next call, whichever it is."""
    cells = dict(
        zip(("ensure", "rotate", "finish_rotations"), table("Killed after")[row], strict=True)
    )
    told.manager.ensure(NAME)
    told.kill_after = coded(row)[0]
    with pytest.raises(KeyboardInterrupt):
        told.manager.rotate(NAME, nothing)
    told.kill_after = ""
    told.events.clear()
    if method == "ensure":
        told.manager.ensure(NAME)
    elif method == "rotate":
        told.manager.rotate(NAME, nothing)
    else:
        ahead(timedelta(days=2))
        due = [step.step for rotation in told.manager.finish_rotations() for step in rotation.due]
        assert ("publishing is due" in cells[method]) == ("publish" in due)
    steps = [event.step for event in told.events]
    if "another rotation" in cells[method]:
        assert steps[:5] == ["create", "mark", "publish", "retire", "promote"]
    else:
        assert steps == coded(cells[method])
        assert bool(steps) != cells[method].startswith("none")


def test_every_step_of_a_rotation_has_its_row(told: Told) -> None:
    """Wherever it is killed, the table tells how it goes on."""
    told.manager.ensure(NAME)
    told.events.clear()
    told.manager.rotate(NAME, nothing)
    rows = [coded(row)[0] for row in table("Killed after")]
    assert rows == [event.step for event in told.events]


# By hand.


def follow(told: Told, steps: list[str], old: stcloud.TokenDto, new: stcloud.TokenDto) -> str:
    """Do what a numbered list of the page says; return the value that everyone has then."""
    given = new.token or ""
    for step in steps:
        token = new if "the new token" in step.partition(".")[0] else old
        if step.startswith("Enable"):
            told.api.update_app_token({"enabled": True}, told.app_id, token.id or 0)
        elif step.startswith("Give everyone"):
            given = token.token or ""
        elif step.startswith("Rename"):
            now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
            name = coded(step)[0].replace("<date>", now).replace("<id>", str(old.id))
            told.rename(token, name)
        else:
            assert step.startswith("Delete"), step
            told.api.delete_app_token1(told.app_id, token.id or 0)
        if "refuses to go on" in step:
            before = told.tokens
            told.manager.finish_rotations()
            for call in (told.manager.find, told.manager.ensure):
                with pytest.raises(stcloud.AmbiguousTokenException):
                    call(NAME)
            assert told.tokens == before
        enabled = [token.token for token in told.tokens if token.enabled]
        assert given in enabled
    return given


def undo(told: Told, sandbox: Sandbox, overlap: timedelta, begin_with: int = 0) -> stcloud.TokenDto:
    """Rotate, and take it back as the page says."""
    sandbox.reset()
    TokenManager(told.api, told.app_id).ensure(NAME)
    TokenManager(told.api, told.app_id).rotate(NAME, nothing, overlap=overlap)
    told.look_away()
    old, new = told.tokens
    steps, _ = instructions()
    if begin_with:
        steps.insert(0, steps.pop(begin_with - 1))
    assert follow(told, steps, old, new) == old.token
    return old


@pytest.mark.parametrize(
    ("overlap", "begin_with"),
    [(timedelta(0), 0), (WAY_BACK, 0), (WAY_BACK, 3)],
    ids=["disabled", "overlap", "its end is near"],
)
def test_rotation_is_undone_by_hand(
    told: Told,
    sandbox: Sandbox,
    ahead: Callable[[timedelta], None],
    overlap: timedelta,
    begin_with: int,
) -> None:
    """The old token is the current one again, the new one goes, and the next rotation works."""
    old = undo(told, sandbox, overlap, begin_with)
    assert told.manager.ensure(NAME).token == old.token
    for days in (1, 3):
        ahead(timedelta(days=days))
        told.manager.finish_rotations()
    assert [(token.token, token.name) for token in told.tokens] == [(old.token, NAME)]
    assert told.manager.rotate(NAME, nothing).token != old


def test_cut_off_rotation_is_undone_by_hand(told: Told) -> None:
    """Only the old token is left."""
    told.manager.ensure(NAME)
    told.kill_after = "mark"
    with pytest.raises(KeyboardInterrupt):
        told.manager.rotate(NAME, nothing)
    told.kill_after = ""
    old, new = told.tokens
    _, steps = instructions()
    assert follow(told, steps, old, new) == old.token
    assert told.tokens == [old]
    assert told.manager.finish_rotations() == []
    assert told.manager.rotate(NAME, nothing).token != old
