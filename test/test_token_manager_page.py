"""docs/token_manager.md: its names, its tables, its program and its steps by hand are true."""

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from managed_tokens import nothing
from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

import stcloud
from stcloud import TokenManager
from stcloud.sandbox import Sandbox
from stcloud.token_manager import Event, names

PAGE = SyntaxTreeNode(
    MarkdownIt()
    .enable("table")
    .parse((Path(__file__).parents[1] / "docs" / "token_manager.md").read_text(encoding="utf-8"))
)
NAME = "shipper"
DATE = datetime(2026, 12, 1, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)

Edge = tuple[str, str, str, str]
"""From where, in which step, to where, in which method."""


def inline(node: SyntaxTreeNode) -> str:
    """Return what a table's cell or a list's item says, as it is written."""
    return "".join(part.content for part in node.walk() if part.type == "inline")


def table(first: str) -> list[list[str]]:
    """Return the rows of the table whose first heading this is."""
    found = [
        [[inline(cell) for cell in row.children] for row in node.walk() if row.type == "tr"]
        for node in PAGE.walk()
        if node.type == "table"
    ]
    ((_, *rows),) = [rows for rows in found if rows[0][0] == first]
    return rows


def coded(text: str) -> list[str]:
    return re.findall(r"`(.+?)`", text)


class Moving:
    """A clock that is put forward."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class Observed:
    """The tokens of the sandbox's app, and each way that one of them goes from name to name."""

    def __init__(self, api: stcloud.TokensApiControllerApi, sandbox: Sandbox) -> None:
        self.api = api
        self.app_id = sandbox.app_id
        self.sandbox = sandbox
        self.events: list[Event] = []
        self.edges: set[Edge] = set()
        self.clock = Moving()
        self.manager = TokenManager(api, self.app_id, observer=self.observe, clock=self.clock)
        self._seen: dict[int | None, str] = {}

    @property
    def tokens(self) -> list[stcloud.TokenDto]:
        data = self.api.get_app_tokens1(self.app_id).data
        return [token for token in (data and data.tokens) or [] if token is not None]

    @property
    def kinds(self) -> dict[int | None, str]:
        return {token.id: names.parse_name(token.name or "").kind for token in self.tokens}

    def observe(self, event: Event) -> None:
        self.events.append(event)
        before, self._seen = self._seen, self.kinds
        for number in before.keys() | self._seen.keys():
            start, end = before.get(number, ""), self._seen.get(number, "")
            if start != end:
                self.edges.add((start, event.step, end, event.operation))

    def start(self, *made: str) -> TokenManager:
        """Start again with tokens as if earlier calls had left them."""
        self.sandbox.reset()
        self.clock.ahead = timedelta(0)
        for name in made:
            self.api.create_app_token({"name": name}, self.app_id)
        self.look_away()
        return self.manager

    def look_away(self) -> None:
        """Pass over what others than the manager have done."""
        self._seen = self.kinds


@pytest.fixture
def observed(api: stcloud.TokensApiControllerApi, sandbox: Sandbox) -> Observed:
    """A manager of the sandbox's app, and what it does."""
    return Observed(api, sandbox)


def test_names_are_those_that_the_manager_writes() -> None:
    """And the page's date is one that it reads."""
    date = f"{DATE:%Y-%m-%dT%H:%M:%SZ}"
    assert date in coded("".join(inline(node) for node in PAGE.walk() if node.type == "paragraph"))
    written = [names.NEW.format(NAME), names.NEXT.format(NAME)]
    dated = [names.OLD.format(NAME, 1002, DATE), names.OFF.format(NAME, DATE)]
    written += [name.replace(date, "<date>").replace("1002", "<id>") for name in dated]
    rows = table("Name")
    assert [coded(row[0]) for row in rows] == [[NAME], *([name] for name in written)]
    assert [row[1] for row in rows] == ["yes", "yes", "yes", "yes", "no"]


def test_lengths_are_those_that_the_manager_checks() -> None:
    """A name's, and that of the longest mark."""
    text = "".join(inline(node) for node in PAGE.walk() if node.type == "paragraph")
    mark = len(names.OLD.format("", 2**63 - 1, DATE))
    assert mark >= len(names.OFF.format("", DATE))
    assert f"1 to {names.LONGEST} characters" in text
    assert f"adds {mark} characters" in text


def test_exceptions_are_listed() -> None:
    """All of the manager's that the package exports, and what else its methods raise."""
    public = {name: getattr(stcloud, name) for name in stcloud.__all__}
    exported = {
        name
        for name, value in public.items()
        if isinstance(value, type) and issubclass(value, stcloud.TokenManagerException)
    }
    assert len(exported) == 3
    listed = {name for row in table("Exception") for name in coded(row[0])}
    assert listed == exported | {"ApiException", "ValueError", "TypeError"}


def drive(observed: Observed) -> None:
    """Let the manager take each of its ways."""
    now = observed.clock()

    observed.start().ensure(NAME)
    observed.manager.rotate(NAME, nothing)
    observed.clock.ahead = timedelta(days=2)
    observed.manager.rotate(NAME, nothing)
    observed.manager.rotate(NAME, nothing, overlap=HOUR)
    for days in (3, 5):
        observed.clock.ahead = timedelta(days=days)
        observed.manager.finish_rotations()
    next_ = names.NEXT.format(NAME)
    for left in (names.NEW.format(NAME), next_):
        ended = names.OLD.format(NAME, 1005, now)  # so 1005 was published, and no [next] before it
        for call in (
            observed.manager.finish_rotations,
            lambda: observed.manager.rotate(NAME, nothing, older_than=timedelta(days=1)),
        ):
            observed.start(left, ended, "other", "unused", NAME)
            observed.clock.ahead = HOUR * 2
            call()
    cut_off = names.OLD.format(NAME, 1002, now + timedelta(days=9)), next_
    observed.start(*cut_off).ensure(NAME)
    observed.start(*cut_off).rotate(NAME, nothing)
    observed.start(*cut_off).finish_rotations()
    observed.start(NAME)
    observed.api.create_app_token({"name": next_, "writeable": False}, observed.app_id)
    observed.look_away()
    observed.manager.rotate(NAME, nothing)
    observed.api.update_app_token({"enabled": False}, observed.app_id, observed.tokens[-1].id or 0)
    observed.manager.ensure(NAME, enable=True)


def test_ways_are_those_that_tokens_go(observed: Observed) -> None:
    """Each one is seen, and no other."""
    drive(observed)
    listed = {
        (start, step, end, method)
        for start, step, end, methods in table("From")
        for method in coded(methods)
    }
    assert observed.edges == listed


def test_fields_of_an_event_are_listed(observed: Observed) -> None:
    """In their order, with all methods and steps that occur."""
    drive(observed)
    fields = {coded(name)[0]: text for name, text in table("Field")}
    assert tuple(fields) == Event._fields
    for field in ("operation", "step"):
        assert set(coded(fields[field])) == {getattr(event, field) for event in observed.events}


def test_nightly_program(
    observed: Observed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails is retried the next night, with the same token, and nothing else is."""
    (program,) = [
        node for node in PAGE.walk() if node.type == "fence" and "rotate_nightly" in node.info
    ]
    (tmp_path / "rotate_nightly.py").write_text(program.content, encoding="utf-8")
    (tmp_path / "targets.py").write_text(
        "import pathlib\n"
        f"APP_ID = {observed.app_id}\n"
        'NAMES = ["shipper", "billing"]\n'
        "def publish(name, token):\n"
        '    with open("published", "a") as file:\n'
        '        file.write(f"{name} {token.id}\\n")\n'
        '    if name == "billing" and not pathlib.Path("unsealed").exists():\n'
        '        raise OSError("vault is sealed")\n',
        encoding="utf-8",
    )
    observed.start()
    observed.sandbox.clock = lambda: datetime.now(UTC) - timedelta(days=40)
    for name in ("shipper", "billing"):
        observed.manager.ensure(name)  # 1001 and 1002
    observed.sandbox.clock = lambda: datetime.now(UTC)
    monkeypatch.setenv("SEMATEXT_HOST", observed.sandbox.url)
    monkeypatch.setenv("SEMATEXT_API_KEY", observed.sandbox.api_key)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)  # the program imports what lies beside it

    def run() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "ignore", "rotate_nightly.py"]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )

    def published() -> list[str]:
        return (tmp_path / "published").read_text(encoding="utf-8").splitlines()

    first = run()
    assert (first.returncode, first.stdout.splitlines()[0]) == (1, "shipper: token 1003")
    assert first.stderr == "billing: vault is sealed\n"
    assert published() == ["shipper 1003", "billing 1004"]
    (tmp_path / "unsealed").touch()
    second = run()
    assert (second.returncode, second.stderr) == (0, "")
    assert second.stdout.splitlines()[0] == "billing: token 1004"
    assert published()[2:] == ["billing 1004"]


def test_calls_are_counted(observed: Observed) -> None:
    """What a rotation costs, in requests."""
    observed.start(NAME)
    before = len(observed.sandbox.requests)
    observed.manager.rotate(NAME, nothing)
    made = [each.method for each in observed.sandbox.requests[before:]]
    assert made.count("GET") - len(observed.events) == 4  # the observer looks after each step
    assert (made.count("POST"), made.count("PUT")) == (1, 3)
    quiet = TokenManager(observed.api, observed.app_id)
    before = len(observed.sandbox.requests)
    quiet.rotate(NAME, nothing, older_than=HOUR)
    assert [each.method for each in observed.sandbox.requests[before:]] == ["GET"]
