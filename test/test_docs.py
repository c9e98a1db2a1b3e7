"""The documentation: its links lead somewhere, its examples run, it agrees with the code."""

import ast
import inspect
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode
from operations import IDEMPOTENT, OPERATIONS

import stcloud
from stcloud import models
from stcloud.sandbox import Sandbox

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]
API_PAGE = ROOT / "docs" / "TokensApiControllerApi.md"
RELIABILITY_PAGE = ROOT / "docs" / "reliability.md"
REFERENCE = Path(__file__).with_name("reference")
"""The programs of the reference document, as they stand there; they are to run unchanged."""

MARKDOWN = MarkdownIt().enable("table")


class Example(NamedTuple):
    page: Path
    line: int
    code: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def nodes(page: Path, kind: str) -> Iterator[SyntaxTreeNode]:
    tree = SyntaxTreeNode(MARKDOWN.parse(page.read_text(encoding="utf-8")))
    return (node for node in tree.walk() if node.type == kind)


def text(node: SyntaxTreeNode) -> str:
    return "".join(part.content for part in node.walk() if part.type in {"text", "code_inline"})


def rows(page: Path) -> list[list[str]]:
    return [[text(cell) for cell in row.children] for row in nodes(page, "tr")]


def anchors(page: Path) -> set[str]:
    """Return what GitHub makes of the page's headings."""
    headings = (text(node).lower().replace(" ", "-") for node in nodes(page, "heading"))
    return {re.sub(r"[^\w-]", "", heading) for heading in headings}


def examples(*, tests: bool) -> list[Example]:
    """Return the Python examples that are test files, or those that are programs."""
    return [
        Example(page, fence.map[0] + 2, fence.content)
        for page in PAGES
        for fence in nodes(page, "fence")
        if fence.info == "python" and fence.map and ("def test_" in fence.content) == tests
    ]


@pytest.fixture(scope="module")
def documented_sandbox() -> Iterator[Sandbox]:
    """A sandbox with the key and the app that the documentation uses."""
    with Sandbox(api_key="YOUR_API_KEY", app_id=789) as sandbox:
        yield sandbox


@pytest.fixture
def documented_setting(documented_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the documentation's programs run: app 789 has a token 1001."""
    documented_sandbox.reset()
    monkeypatch.setenv("SEMATEXT_HOST", documented_sandbox.url)
    monkeypatch.setenv("SEMATEXT_API_KEY", documented_sandbox.api_key)
    with stcloud.ApiClient(stcloud.Configuration(api_key="YOUR_API_KEY")) as client:
        stcloud.TokensApiControllerApi(client).create_app_token({}, 789)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link to a file of this project, or to a heading of one, finds it."""
    for link in nodes(page, "link"):
        path, _, anchor = str(link.attrs["href"]).partition("#")
        if "://" not in path:
            target = page.parent / path if path else page
            assert target.is_file(), path
            assert not anchor or anchor in anchors(target), f"{path}#{anchor}"


@pytest.mark.usefixtures("documented_setting")
@pytest.mark.parametrize("example", examples(tests=False), ids=str)
def test_example_runs(example: Example) -> None:
    """Every Python example of the documentation runs as it is pasted."""
    source = "\n" * (example.line - 1) + example.code  # so that a traceback shows the page's line
    exec(compile(source, example.page, "exec"), {"__name__": "__main__"})  # noqa: S102 - our own


@pytest.mark.parametrize("example", examples(tests=True), ids=str)
def test_test_file_passes(example: Example, tmp_path: Path) -> None:
    """The documentation's example of a user's test passes."""
    file = tmp_path / "test_pasted.py"
    file.write_text(example.code, encoding="utf-8")
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q", str(file)]
    # Other plugins of this project's tests take seconds to load.
    plugins = "pytest_stcloud,pytest_httpserver.pytest_plugin"
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": plugins}
    result = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert "1 passed" in result.stdout, result.stdout + result.stderr


@pytest.mark.parametrize("program", sorted(REFERENCE.glob("*.py")), ids=lambda path: path.stem)
def test_reference_program_runs_unchanged(program: Path, tmp_path: Path) -> None:
    """Each program of the reference document gets its response, and ends quietly."""
    database = tmp_path / "tokens.sqlite3"
    with Sandbox(database=database):
        pass  # makes the tables
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE sqlite_sequence SET seq = 788")  # the programs' token is 789
    command = [sys.executable, "-X", "dev", "-W", "error", str(program)]
    with Sandbox(api_key="YOUR_API_KEY", database=database) as sandbox:
        configuration = stcloud.Configuration(host=sandbox.url, api_key=sandbox.api_key)
        with stcloud.ApiClient(configuration) as client:
            stcloud.TokensApiControllerApi(client).create_app_token({}, 789)
        environment = {**os.environ, "SEMATEXT_HOST": sandbox.url}
        result = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False
        )
    assert (result.returncode, result.stderr) == (0, "")
    assert "'success': True" in result.stdout
    assert "Exception when calling" not in result.stdout


@pytest.mark.parametrize("name", models.__all__)
def test_model_page_lists_the_fields(name: str) -> None:
    """A model's page has its fields with their types, and the JSON names that differ."""
    model = getattr(models, name)
    _, *table = rows(ROOT / "docs" / f"{name}.md")
    assert {field: type_name for field, type_name, *_ in table} == model.swagger_types
    for field, _, _, notes in table:
        json_name = model.attribute_map[field]
        assert (f"{json_name} in JSON" in notes) == (json_name != field)


@pytest.mark.parametrize("page", [README, API_PAGE], ids=lambda page: page.name)
def test_page_lists_the_operations(page: Path) -> None:
    """The table of operations has each with its HTTP request, and no other."""
    listed = {row[0]: row[1] for row in rows(page) if re.match("[A-Z]+ /", row[1])}
    assert listed == {each.name: f"{each.method} {each.path}" for each in OPERATIONS.values()}


@pytest.mark.parametrize("name", OPERATIONS)
def test_page_has_the_call(name: str) -> None:
    """The section of an operation states what it returns and takes."""
    _, *parameters, _ = inspect.signature(getattr(stcloud.TokensApiControllerApi, name)).parameters
    call = f"{OPERATIONS[name].response} {name}({', '.join(parameters)})"
    assert call in API_PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", OPERATIONS)
def test_docstring_has_the_request(name: str) -> None:
    """The docstring of an operation states its HTTP request."""
    request = f"{OPERATIONS[name].method} {OPERATIONS[name].path}"
    assert request in str(inspect.getdoc(getattr(stcloud.TokensApiControllerApi, name)))


def test_page_tells_which_operations_are_retried() -> None:
    """The head of the table in reliability.md has each operation, in the column of its method."""
    repeated, others = (set(cell.split(", ")) for cell in rows(RELIABILITY_PAGE)[0][1:])
    assert (repeated, others) == (IDEMPOTENT, OPERATIONS.keys() - IDEMPOTENT)


def test_readme_links_the_models() -> None:
    """README has a link to each model's page."""
    links = {str(link.attrs["href"]) for link in nodes(README, "link")}
    assert {f"docs/{name}.md" for name in models.__all__} <= links


def test_readme_lists_the_exceptions() -> None:
    """README's table of errors has every exception class."""
    listed = [re.search(r"\w+Exception$", row[0]) for row in rows(README)]
    classes = inspect.getmembers(stcloud.exceptions, inspect.isclass)
    assert {match[0] for match in listed if match} == {
        name for name, kind in classes if issubclass(kind, stcloud.ApiException)
    }


def test_readme_names_settings_that_exist() -> None:
    """What its examples pass to a configuration is a setting."""
    code = "".join(fence.content for fence in nodes(README, "fence") if fence.info == "python")
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    made = [call for call in calls if "Configuration" in ast.unparse(call.func)]
    keywords = {keyword.arg or "" for call in made for keyword in call.keywords}
    assert keywords
    assert all(hasattr(stcloud.Configuration, keyword) for keyword in keywords)


def test_tests_named_in_pages_exist() -> None:
    """A page that points to a test by its name points to one that is there."""
    page = RELIABILITY_PAGE.read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", page))
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "test").rglob("*.py"))
    assert named
    assert {name for name in named if f"def {name}(" not in sources} == set()
