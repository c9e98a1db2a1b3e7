"""Which module may import which, and which package is used where."""

import ast
import importlib
from pathlib import Path

import pytest

import stcloud

SOURCE = Path(stcloud.__file__).parent

# Each module and those that it may import; a folder stands for all of its files.
MODULES: dict[str, set[str]] = {
    "version": set(),
    "_redaction": set(),
    "_signals": set(),
    "logs": {"_redaction"},
    "_validators": {"_redaction"},
    "retry": set(),
    "configuration": {"_redaction", "_validators", "logs", "retry", "version"},
    "models": {"models"},
    "models._codecs": set(),
    "models.model": {"_redaction", "models._codecs"},
    "exceptions": {"_redaction", "models", "retry"},
    "_transport": {
        "_redaction",
        "_transport",
        "_validators",
        "_signals",
        "configuration",
        "exceptions",
        "logs",
        "retry",
    },
    "rest": {"_transport", "operation", "configuration", "exceptions", "retry"},
    "operation": {"_transport", "models"},
    "_serialization": {"_redaction", "_validators", "models"},
    "_response": {"_serialization", "exceptions", "models", "rest", "retry"},
    "api_client": {
        "_redaction",
        "_background",
        "_signals",
        "_response",
        "_validators",
        "configuration",
        "exceptions",
        "logs",
        "models",
        "operation",
        "rest",
        "retry",
        "version",
        "_serialization",
    },
    "_background": set(),
    "api": {"_background", "_validators", "api", "api_client", "models", "operation", "rest"},
    "token_manager": {"token_manager"},
    "token_manager.names": {"_validators"},
    "token_manager.rules": {"exceptions", "models", "token_manager.names"},
    "token_manager.manager": {
        "_redaction",
        "_validators",
        "api",
        "exceptions",
        "logs",
        "models",
        "operation",
        "token_manager",
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
        "version",
    },
}
# What each module may use of the world outside the standard library.
PACKAGES = {
    "_transport": {"urllib3", "certifi"},
    "rest": {"urllib3"},
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


def layer(module: str) -> str:
    """Return the innermost entry of the rules for a module."""
    while module not in MODULES:
        module = module.rpartition(".")[0]
    return module


@pytest.mark.parametrize("module", FILES)
def test_imports_run_downwards_only(module: str) -> None:
    """A module imports of this package what the rules allow, and nothing above it."""
    own = {name for name in imports(FILES[module]) if name.split(".")[0] == "stcloud"}
    found = {layer(name.removeprefix("stcloud").lstrip(".")) for name in own}
    allowed = MODULES[layer(module)]
    assert {name for name in found if not {name, name.split(".")[0]} & allowed} == set()


@pytest.mark.parametrize("module", FILES)
def test_packages_are_used_where_they_belong(module: str) -> None:
    """Each runtime package is used by one layer; nothing else is needed to run."""
    import sys

    outside = {name.split(".")[0] for name in imports(FILES[module])}
    outside -= sys.stdlib_module_names | {"stcloud", "_typeshed"}
    assert outside <= PACKAGES.get(layer(module), set())


def test_modules_exist() -> None:
    """The rules name no module that is gone."""
    assert {name for name in MODULES if not any(file.startswith(name) for file in FILES)} == set()


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
