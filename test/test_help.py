"""What `help()` shows of the public names: what each is, and each of its fields."""

import inspect
import pydoc
import re
from pathlib import Path

import pytest

import stcloud
import stcloud.sandbox
import stcloud.token_manager
from stcloud.models.model import is_model

DOCS = Path(__file__).parents[1] / "docs"
PUBLIC = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in (stcloud, stcloud.token_manager, stcloud.sandbox)
    for name in module.__all__
    if inspect.isclass(getattr(module, name))
}


def described(text: str, name: str) -> bool:
    """Return whether a docstring has an entry for a name: "name: what it is"."""
    return any(line.strip().startswith(f"{name}: ") for line in text.splitlines())


@pytest.mark.parametrize("name", PUBLIC)
def test_class_says_what_it_is(name: str) -> None:
    """Its first sentence is its own, and fits a line."""
    text = inspect.cleandoc(PUBLIC[name].__doc__ or "")
    assert text
    assert not text.startswith(f"{PUBLIC[name].__name__}(")  # what dataclasses and tuples make up
    assert len(text.splitlines()[0]) <= 100


@pytest.mark.parametrize("name", [name for name in PUBLIC if hasattr(PUBLIC[name], "_fields")])
def test_fields_are_described(name: str) -> None:
    """Where Python would say "Alias for field number 0"."""
    missing = {each for each in PUBLIC[name]._fields if not described(PUBLIC[name].__doc__, each)}
    assert missing == set()


@pytest.mark.parametrize("name", [name for name in PUBLIC if is_model(PUBLIC[name])])
def test_fields_of_models_are_described_as_on_their_pages(name: str) -> None:
    """In the same words; a page may add notes."""
    kind = PUBLIC[name]
    page = (DOCS / f"{kind.__name__}.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| \*\*(\w+)\*\* \|[^|]*\| ([^|]+) \|", page, re.MULTILINE))
    assert list(rows) == list(kind.attribute_map)
    for field, description in rows.items():
        assert f"\n    {field}: {description}" in inspect.cleandoc(kind.__doc__), field


@pytest.mark.parametrize("name", PUBLIC)
def test_arguments_are_described(name: str) -> None:
    """Those of a constructor of its own, with their types and defaults in the signature."""
    kind = PUBLIC[name]
    init = vars(kind).get("__init__")
    has_own = init is not None and not is_model(kind) and not issubclass(kind, BaseException)
    if has_own and not hasattr(kind, "__dataclass_fields__") and kind is not stcloud.Configuration:
        parameters = list(inspect.signature(kind).parameters.values())
        assert {each.name for each in parameters if not described(kind.__doc__, each.name)} == set()
        assert inspect.Parameter.empty not in {each.annotation for each in parameters}


def methods() -> list[tuple[str, object]]:
    return [
        (f"{name}.{key}", value)
        for name, kind in PUBLIC.items()
        for key, value in vars(kind).items()
        if not key.startswith("_") and (inspect.isfunction(value) or isinstance(value, property))
    ]


@pytest.mark.parametrize("method", methods(), ids=lambda pair: pair[0])
def test_methods_say_what_they_do(method: tuple[str, object]) -> None:
    """Each public method and property, in its first line."""
    assert inspect.getdoc(method[1])


def test_configuration_shows_its_settings() -> None:
    """With types, defaults and descriptions."""
    text = pydoc.plain(pydoc.render_doc(stcloud.Configuration))
    assert "connect_timeout: float | None = 5" in text
    assert "Seconds that connecting may take." in text
