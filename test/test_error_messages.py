"""docs/errors.md has every message that the client raises or warns with."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import stcloud
from stcloud._transport.errors import _EXCEPTION_MAP

SOURCE = Path(stcloud.__file__).parent
PAGE = Path(__file__).parents[1] / "docs" / "errors.md"
NOT_SHOWN = {"__init__.py", "_codecs.py"}  # of Python's own kind; named by the place alone


def constants(node: ast.expr) -> Iterator[str]:
    """Yield the fixed parts of a text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        for value in node.values:
            yield from constants(value)


def messages() -> Iterator[tuple[str, str]]:
    """Yield where something is raised, and each longer part of its message."""
    for path in sorted(SOURCE.rglob("*.py")):
        if "sandbox" in path.parts or path.name in NOT_SHOWN:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                name = ast.unparse(node.exc.func)
                if name.rpartition(".")[2] == "wrong_type":  # "... must be ..., not ..."
                    continue
                for argument in [*node.exc.args, *(each.value for each in node.exc.keywords)]:
                    for text in constants(argument):
                        if len(text.strip(" :;{}()'")) >= 10:
                            yield f"{path.relative_to(SOURCE)}:{node.lineno}", text


@pytest.fixture(scope="module")
def page() -> str:
    """The page's text, without the marks of what varies."""
    text = re.sub(r"\*[^*|]+\*|`", "", PAGE.read_text(encoding="utf-8"))
    return re.sub(r"\s+", " ", text)


def test_page_has_every_message(page: str) -> None:
    """Each fixed part of a text that is raised."""
    found = list(messages())
    assert len(found) > 50
    missing = [
        (place, text)
        for place, text in found
        if re.sub(r"\s+", " ", text).strip(" :;{}()'") not in page
    ]
    assert missing == []


def warning_texts() -> Iterator[str]:
    """Yield each longer part of what the client and the token manager warn with."""
    for path in set(SOURCE.rglob("*.py")) - set((SOURCE / "sandbox").iterdir()):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and (path.name, node.name) == (
                "rules.py",
                "warnings",
            ):
                parts = [part for each in node.body[1:] for part in ast.walk(each)]
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
                ("warnings.warn", "_warn_of_no_verification", ".warn", ".exception")
            ):
                parts = [part for each in node.args[:1] for part in ast.walk(each)]
            else:
                continue
            for part in parts:
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield from re.split("%[sr]", part.value)


def test_page_has_every_warning(page: str) -> None:
    """In the same words."""
    found = [text.strip(" :;{}()'") for text in warning_texts()]
    longer = [text for text in found if len(text) >= 10]
    assert len(longer) > 12
    assert [text for text in longer if text not in page] == []


def test_page_has_what_a_failed_connection_is_called(page: str) -> None:
    """The table of the transport is the page's, too."""
    assert {words for _, _, words in _EXCEPTION_MAP if words not in page} == set()
