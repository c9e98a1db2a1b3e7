"""The rules of the house: who may import whom, and where a fact stands."""

import ast
import importlib
from pathlib import Path

import pytest

import stcloud

SOURCE = Path(stcloud.__file__).parent

# Each room and the rooms that it may import; a folder stands for all of its files.
ROOMS: dict[str, set[str]] = {
    "version": set(),
    "_redaction": set(),
    "logs": {"_redaction"},
    "_validators": set(),
    "retry": set(),
    "configuration": {"_validators", "logs", "retry", "version"},
    "models": {"models"},
    "models._codecs": set(),
    "models.model": {"_redaction", "models._codecs"},
    "exceptions": {"_redaction", "models", "retry"},
    "connection": set(),
    "rest": {"_validators", "configuration", "connection", "exceptions", "retry"},
    "operation": {"models"},
    "_serialization": {"_validators", "models"},
    "api_client": {
        "_background",
        "_validators",
        "configuration",
        "exceptions",
        "logs",
        "models.model",
        "models._codecs",
        "operation",
        "rest",
        "retry",
        "version",
        "_serialization",
    },
    "_background": set(),
    "api": {"_background", "_validators", "api", "api_client", "models", "operation", "rest"},
    "token_names": {"models"},
    "token_manager": {
        "api",
        "operation",
        "_validators",
        "exceptions",
        "logs",
        "models",
        "token_names",
    },
    "sandbox": {"sandbox"},
    "": {
        "_background",
        "api",
        "api_client",
        "configuration",
        "exceptions",
        "models",
        "retry",
        "token_manager",
        "token_names",
        "version",
    },
}
# What each room may use of the world outside the standard library.
PACKAGES = {
    "connection": {"urllib3"},
    "rest": {"urllib3", "certifi"},
    "_validators": {"six"},
    "models._codecs": {"dateutil"},
    "sandbox": {"werkzeug", "jsonschema"},
}
FILES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts)
    .removesuffix("__init__")
    .rstrip("."): path
    for path in [*SOURCE.rglob("*.py"), *SOURCE.rglob("*.pyi")]
}


def imports(path: Path) -> set[str]:
    """Return the full names of the modules that a file imports, wherever it does."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            module = node.module or ""
            nested = {f"{module}.{alias.name}".removeprefix("stcloud.") for alias in node.names}
            inner = {f"stcloud.{name}" for name in nested & FILES.keys()}
            found.update(inner if module == "stcloud" else {module})
    return found


def room(module: str) -> str:
    """Return the innermost room of a module."""
    while module not in ROOMS:
        module = module.rpartition(".")[0]
    return module


@pytest.mark.parametrize("module", FILES)
def test_imports_run_downwards_only(module: str) -> None:
    """A module imports of its own package what its room may, and nothing above it."""
    own = {name for name in imports(FILES[module]) if name.split(".")[0] == "stcloud"}
    rooms = {room(name.removeprefix("stcloud").lstrip(".")) for name in own}
    allowed = ROOMS[room(module)]
    assert {name for name in rooms if not {name, name.split(".")[0]} & allowed} == set()


@pytest.mark.parametrize("module", FILES)
def test_packages_are_used_where_they_belong(module: str) -> None:
    """urllib3, certifi, six and dateutil each have one room; nothing else is needed to run."""
    import sys

    outside = {name.split(".")[0] for name in imports(FILES[module])}
    outside -= sys.stdlib_module_names | {"stcloud", "_typeshed"}
    assert outside <= PACKAGES.get(room(module), set())


def test_rooms_exist() -> None:
    """The rules name no room that is gone."""
    assert {name for name in ROOMS if not any(file.startswith(name) for file in FILES)} == set()


def test_public_names_are_sorted_and_there() -> None:
    """Each ``__all__`` is sorted, and every name in it can be imported."""
    for module in ("stcloud", "stcloud.api", "stcloud.models", "stcloud.rest", "stcloud.sandbox"):
        names = importlib.import_module(module).__all__
        assert list(names) == sorted(names)
        for name in names:
            assert getattr(importlib.import_module(module), name) is not None


def test_every_model_is_exported() -> None:
    """Each file of models but those that all models need has its class in the package's names."""
    from stcloud import models

    files = {name for name in FILES if name.startswith("models.")}
    exported = {
        getattr(models, name).__module__.removeprefix("stcloud.") for name in models.__all__
    }
    assert files - exported == {"models.envelope", "models.model", "models._codecs"}


def test_every_model_and_exception_is_public() -> None:
    """What a user may meet can be imported from the front door."""
    from stcloud import exceptions, models

    kinds = {name for name in vars(exceptions) if name.endswith("Exception")}
    assert kinds | set(models.__all__) <= set(stcloud.__all__)
