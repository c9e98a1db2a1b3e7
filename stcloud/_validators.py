"""What a setting or an argument may be: each check returns the value to keep, or raises.

ValueError for what is not allowed, TypeError for a wrong type; none repeats what may be secret.
"""

import operator
import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from string import ascii_letters, digits
from threading import TIMEOUT_MAX
from types import AsyncGeneratorType, GeneratorType
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from stcloud._redaction import mask_uuids

T = TypeVar("T")

_NAME = frozenset(ascii_letters + digits + "!#$%&'*+-.^_`|~")  # a token of RFC 9110


def wrong_type(name: str, allowed: str, value: object) -> TypeError:
    """Return the error of a value whose type is not allowed; it does not repeat the value."""
    return TypeError(f"{name} must be {allowed}, not {type(value).__name__}")


def plain_function(name: str, value: Any) -> Any:
    """A function that runs when it is called: no coroutine's, no generator's."""
    from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction

    lazy = (isasyncgenfunction, iscoroutinefunction, isgeneratorfunction)
    if any(is_lazy(value) for is_lazy in lazy):
        raise _not_run(name)
    return callable_(name, value)


def require_has_run(name: str, result: object) -> None:
    """Refuse a coroutine or a generator that a function returned: its code has not run."""
    kind = type(result)  # a stranger's object may raise whatever it is asked for
    if kind in (GeneratorType, AsyncGeneratorType) or hasattr(kind, "__await__"):
        getattr(result, "close", bool)()  # or Python warns that nobody awaited it
        raise _not_run(name)


def _not_run(name: str) -> TypeError:
    return TypeError(f"{name} must be a plain function: not async, and without yield")


def duration(name: str, value: timedelta) -> timedelta:
    """A timedelta from 0 to a hundred years."""
    if not isinstance(value, timedelta):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise wrong_type(name, "a timedelta", value)
    if not timedelta(0) <= value <= timedelta(days=36_500):
        raise ValueError(f"{name} must be from 0 to 36,500 days, not {value}")
    return value


def header_text(name: str, value: object) -> str:
    """Text or bytes that an HTTP header can carry."""
    if not isinstance(value, (str, bytes)):
        raise wrong_type(name, "str or bytes", value)
    text = value if isinstance(value, str) else _decoded(value)
    if text and text.isascii() and text.isprintable() and text == text.strip():
        return text
    raise ValueError(f"{name} must be printable ASCII, without spaces or line breaks at its ends")


def optional_header_text(name: str, value: object) -> str:
    """The same, or the empty text for None and for what is empty."""
    is_none = value is None or (isinstance(value, (str, bytes)) and not value)
    return "" if is_none else header_text(name, value)


def _decoded(value: bytes) -> str:
    from six import ensure_str  # needed only where a secret store gives bytes

    try:
        return ensure_str(value)
    except UnicodeDecodeError:
        return ""


def is_printable_ascii(value: str) -> bool:
    """Whether the text is of the characters that a URL may have: ASCII that is seen."""
    return value.isascii() and value.isprintable() and " " not in value


def header_name(name: str, value: object) -> str:
    """The name of an HTTP header."""
    if not isinstance(value, str):
        raise wrong_type(name, "str", value)
    if value and _NAME.issuperset(value):
        return value
    raise ValueError(f"{name} must be a header's name")


def url(name: str, value: object, *, credentials: bool = False) -> str:
    """An absolute http(s) URL; the slash at its end is dropped."""
    if not isinstance(value, str):
        raise wrong_type(name, "str", value)
    absolute = has_port = False
    with suppress(ValueError):
        parts = urlsplit(value)
        absolute = parts.scheme in ("http", "https") and "\\" not in value
        absolute = absolute and _is_host(parts.hostname or "", "[" in parts.netloc)
        has_port = parts.port != 0
    before_at = value.partition("://")[2].rpartition("@")[0]
    problems = {
        "has spaces, control or non-ASCII characters": not is_printable_ascii(value),
        "has credentials": "@" in value and not credentials,
        "has a /, ? or # before its @: write %2F, %3F or %23": re.search("[/?#]", before_at),
        "has a query or a fragment": re.search("[?#]", value),
        "does not begin with http:// or https:// and a host": not absolute,
        "has no port from 1 to 65535": not has_port,
    }
    for problem, found in problems.items():
        if found:
            raise ValueError(f"{name} must be a URL such as https://example.com; this {problem}")
    scheme, _, rest = value.partition(":")
    return f"{scheme.lower()}:{rest.rstrip('/')}"


def proxy_url(name: str, value: object) -> str:
    """The URL of a proxy; it may have credentials."""
    if isinstance(value, str) and value.lower().startswith("socks"):
        raise ValueError(f"{name} is a SOCKS proxy, which stcloud has no support for: use http(s)")
    if isinstance(value, str) and "://" not in value:
        raise ValueError(f"{name} must be a URL: put http:// before the host and port")
    return url(name, value, credentials=True)


def _is_host(name: str, in_brackets: bool) -> bool:
    """Whether a URL may have this as its host: an IPv6 address in brackets, or another name."""
    return (
        bool(ip_address(name))
        if in_brackets
        else bool(re.fullmatch(r"([\w-]{1,63}\.)*[\w-]{1,63}\.?", name))
    )


def is_plain_http(address: str) -> bool:
    """Whether requests to the URL cross a network unencrypted."""
    parts = urlsplit(address)
    if parts.scheme != "http" or parts.hostname is None:
        return False
    try:
        return not ip_address(parts.hostname).is_loopback
    except ValueError:
        return parts.hostname.rstrip(".").split(".")[-1] != "localhost"


def one_of(name: str, value: object, allowed: Iterable[str]) -> str:
    """One of these words, also in small letters."""
    if isinstance(value, str) and value.upper() in allowed:
        return value.upper()
    raise ValueError(f"{name} must be {' or '.join(allowed)}")  # the value may be a key


def instance(name: str, value: object, kind: type[T]) -> T:
    """An object of a class."""
    if isinstance(value, kind):
        return value
    raise wrong_type(name, kind.__name__, value)


def boolean(name: str, value: object) -> bool:
    """True or False."""
    if isinstance(value, bool):
        return value
    raise wrong_type(name, "bool", value)


def text(name: str, value: object) -> str:
    """Any text."""
    if isinstance(value, str):
        return value
    raise wrong_type(name, "str", value)


def path(name: str, value: object) -> str:
    """A path, of a file or a folder that need not exist."""
    try:
        return text(name, os.fspath(value))  # type: ignore[call-overload]  # raises TypeError
    except TypeError:
        raise wrong_type(name, "a path", value) from None


def new_file(name: str, value: object) -> str:
    """The path of a file that can be made, in a folder that exists."""
    wanted = path(name, value)
    if Path(wanted).is_dir():
        raise ValueError(f"{name} must be a file, and {mask_uuids(wanted)!r} is a folder")
    if Path(wanted).parent.is_dir():
        return wanted
    raise ValueError(f"{name} must be in a folder that exists, not {mask_uuids(wanted)!r}")


def file(name: str, value: object) -> str:
    """The path of a file that exists."""
    found = path(name, value)
    if Path(found).is_file():
        return found
    raise ValueError(f"{name} must be a file that exists, not {mask_uuids(found)!r}")


def file_or_folder(name: str, value: object) -> str:
    """The path of a file or a folder that exists."""
    found = path(name, value)
    if Path(found).exists():
        return found
    raise ValueError(f"{name} must be a file or a folder that exists, not {mask_uuids(found)!r}")


def name_or_false(name: str, value: object) -> str | bool:
    """A host name, or False."""
    if isinstance(value, str) or value is False:
        return value
    raise wrong_type(name, "a host name or False", value)


def callable_(name: str, value: object) -> Any:
    """Something that can be called."""
    if callable(value):
        return value
    raise wrong_type(name, "callable", value)


def positive_int(name: str, value: object, *, minimum: int = 1) -> int:
    """An int that is not too small."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong_type(name, "int", value)
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, not {value}")
    return value


def seconds(name: str, value: object) -> float:
    """A timeout: a positive, finite number of seconds."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise wrong_type(name, "a number of seconds", value)
    if 0 < value <= TIMEOUT_MAX:
        return float(value)
    raise ValueError(f"{name} must be a positive number of seconds below {TIMEOUT_MAX:.0f}")


def non_negative(name: str, value: object) -> float:
    """A number that is not negative; it may be infinite."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise wrong_type(name, "a number", value)
    if value >= 0:
        return value
    raise ValueError(f"{name} must not be negative, but is {value}")


def optional(check: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    """None, or what the check allows; empty text, as of an empty variable, is None."""
    return lambda name, value: None if value is None or value == "" else check(name, value)


def identifier(name: str, value: object) -> int:
    """The id of an app or a token: a positive 64-bit int, or its digits as text."""
    allowed = "a positive 64-bit int or its digits"
    if isinstance(value, str):
        if not re.fullmatch("[0-9]{1,19}", value):
            hint = ": the number in that URL" if "://" in value else ""
            raise ValueError(f"{name} must be {allowed}{hint}")  # the text may be a token's value
        value = int(value)
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # raises TypeError
    except TypeError:
        raise wrong_type(name, allowed, value) from None
    if isinstance(value, bool):
        raise wrong_type(name, allowed, value)
    if 0 < number < 2**63:
        return number
    raise ValueError(f"{name} must be {allowed}")


def method(name: str, value: object) -> str:
    """An HTTP method, also in small letters."""
    verb = text(name, value)
    if verb.isascii() and verb.isalpha():
        return verb.upper()
    raise ValueError(f"{name} must be an HTTP method, not {mask_uuids(verb[:40])!r}")


def empty(name: str, value: object) -> None:
    """Nothing: this API has no use for it."""
    if value:
        raise ValueError(f"{name} must be empty: this API takes JSON in the body")


def pairs(name: str, value: object) -> list[tuple[str, Any]]:
    """A mapping, or pairs of names and values; none for None."""
    error = wrong_type(name, "a mapping or pairs of names and values", value)
    items = cast("Any", value.items() if isinstance(value, Mapping) else value or ())
    try:
        return [(key, item) for key, item in items]
    except (TypeError, ValueError):
        raise error from None


def time_limits(name: str, value: object) -> float | tuple[float | None, float | None]:
    """Seconds for a complete call, or a pair of connect and read timeout; None as configured."""
    if not isinstance(value, (tuple, list)):
        return seconds(name, value)
    pair = cast("tuple[object, ...]", value)
    if len(pair) != 2:
        raise ValueError(f"{name} must be a number or a pair (connect, read), in seconds")
    limit = optional(seconds)
    return limit(name, pair[0]), limit(name, pair[1])
