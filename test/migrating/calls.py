"""Makes the same calls with whichever ``stcloud`` the interpreter has; prints the facts as JSON.

Both clients have the same import name, so each one runs this file in an interpreter of its own.
"""

# Lambdas that keep a loop's value in a default have no type for mypy.
# mypy: disable-error-code="no-untyped-call, misc"

import importlib
import inspect
import json
import multiprocessing
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from client_cases import clients, models
from common import CLASSES, KEY, METHODS, MODULES, SECRET, Case, Server, Setting, running
from operation_cases import arguments, operations, replies
from setting_cases import settings

import stcloud as installed

stcloud: Any = installed  # no type of this client, since the other one has none


def shown(value: Any) -> str:
    """Return a value as text; of what is not built in, the class."""
    if isinstance(value, tuple):
        return f"({', '.join(map(shown, value))})"
    if value is None or type(value) in (str, bytes, int, float, bool, list, dict):
        return repr(value)
    return type(value).__name__


def fields(result: Any) -> Iterator[tuple[str, str]]:
    """Yield the fields of a result that is a model, those of the models in it too."""
    model = result[0] if isinstance(result, tuple) and result else result
    if hasattr(model, "swagger_types"):
        yield from leaves("`result.to_dict()", model.to_dict())


def leaves(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield the plain values in dicts and lists, by the way to them."""
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from leaves(f"{path}[{name!r}]", item)
    elif isinstance(value, list) and value:
        yield from leaves(f"{path}[0]", value[0])
    else:
        yield f"{path}`", repr(value)


def exception_facts(error: Exception) -> Iterator[tuple[str, str]]:
    """Yield what a caller sees of an exception."""
    found: Any = error
    if not isinstance(error, importlib.import_module("stcloud.rest").ApiException):
        yield "result", f"raises `{type(error).__name__}`, not an `ApiException`"
        return
    yield "result", f"raises `{type(error).__name__}`, status {found.status}"
    text = found.body.decode() if isinstance(found.body, bytes) else found.body
    yield "`.reason` of the error", repr(found.reason)
    yield "`.body` of the error", repr(text)
    yield "type of `.body` of the error", type(found.body).__name__
    yield "type of `.headers` of the error", type(found.headers).__name__


def facts(case: Case, server: Server) -> dict[str, str]:
    """Do what a case says, and return what was sent and what came of it."""
    stcloud.Configuration.set_default(None)
    configuration = stcloud.Configuration()
    configuration.host = server.url
    configuration.api_key["Authorization"] = KEY
    configuration.api_key_prefix["Authorization"] = "apiKey"
    client = stcloud.ApiClient(configuration)
    api = stcloud.TokensApiControllerApi(client)
    server.expect(*case.replies)
    found: dict[str, str] = {}
    try:
        result = case.act(Setting(api, client, configuration, server))
        found |= {"result": shown(result), **dict(fields(result))}
    except Exception as error:  # noqa: BLE001  # whatever a client may raise is a fact
        found |= dict(exception_facts(error))
    methods = [request["method"] for request in server.requests]
    found["requests"] = ", ".join(methods) if len(set(methods)) > 1 else str(len(methods))
    for request in server.requests[:1]:
        found |= request
    return {name: steady(text) for name, text in found.items()}


def steady(text: str) -> str:
    """Return a text without what differs from run to run or from one Python to the next."""
    text = text.replace(KEY, "KEY").replace(SECRET, "SECRET")
    return re.sub(r"\d+(\.\d+){2}", "x.y.z", re.sub(r"127\.0\.0\.1:\d+", "server", text))


def names() -> Iterator[tuple[str, list[str]]]:
    """Yield what can be imported or read, by where it is."""
    classes = {name: kind for name, kind in vars(stcloud).items() if inspect.isclass(kind)}
    yield "`stcloud`", sorted(classes)
    for name in MODULES:
        own = vars(importlib.import_module(f"stcloud.{name}"))
        covered = classes if name in ("api", "models") else ()
        others = [key for key, value in own.items() if key not in covered and is_own(value)]
        yield f"`stcloud.{name}`", sorted(others)
    for name in CLASSES:
        yield f"`{name}`", public(getattr(stcloud, name)())
    yield "`ApiException`", public(importlib.import_module("stcloud.rest").ApiException())
    yield "modules of these classes", sorted(getattr(stcloud, name).__module__ for name in CLASSES)


def is_own(value: object) -> bool:
    """Whether a class or function is the client's own."""
    return str(getattr(value, "__module__", "")).startswith("stcloud")


def public(owner: object) -> list[str]:
    """Return the names that do not begin with an underscore, without those of any exception."""
    known = {name for name in dir(BaseException) if isinstance(owner, BaseException)}
    return [name for name in dir(owner) if not name.startswith("_") and name not in known]


def signatures() -> Iterator[tuple[str, list[str]]]:
    """Yield the names of the parameters that methods of both clients take."""
    api, client = stcloud.TokensApiControllerApi, stcloud.ApiClient
    for name in METHODS:
        yield f"`{name}`", parameters(getattr(api, name))
        yield f"`{name}_with_http_info`", parameters(getattr(api, f"{name}_with_http_info"))
    for name in ("call_api", "sanitize_for_serialization", "set_default_header"):
        yield f"`{name}`", parameters(getattr(client, name))
    yield "`ApiClient`", parameters(client)


def parameters(function: Callable[..., Any]) -> list[str]:
    """Return the parameters' names."""
    found = inspect.signature(function).parameters.values()
    return ["**" if one.kind is one.VAR_KEYWORD else one.name for one in found]


GROUPS = {
    "Operations and options": operations,
    "Responses": replies,
    "Arguments": arguments,
    "Settings": settings,
    "The client": clients,
    "Models and exceptions": models,
}


def main() -> None:
    """Print all facts."""
    os.environ["TZ"] = "CET-1"  # dateutil reads a date otherwise where the local time is UTC
    time.tzset()
    multiprocessing.cpu_count = lambda: 7  # so that a default made from it is the same everywhere
    time.sleep = lambda _: None  # no client needs to wait before it retries
    with running() as server:
        seen = {
            title: {case.name: facts(case, server) for case in cases()}
            for title, cases in GROUPS.items()
        }
    document = {"names": dict(names()), "parameters": dict(signatures()), "cases": seen}
    json.dump(document, sys.stdout)
    sys.stdout.flush()
    os._exit(0)  # a client's threads may keep the interpreter from ending


if __name__ == "__main__":
    main()
