"""Single values: how JSON's are checked and read, how ours are checked and written, how shown."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from operator import attrgetter
from types import NoneType
from typing import Any, TypeAlias, TypeGuard, cast

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECRET_NAMES = frozenset({"token"})
_tzinfo = attrgetter("tzinfo")
_UUID = r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}"


class Mismatch(ValueError):
    """A value that does not fit its field; ``str()`` names the place and what was expected."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.place: str = ""

    def within(self, place: str) -> None:
        """Say where the place known so far lies, one level further out."""
        joint = "." if self.place and not self.place.startswith("[") else ""
        self.place = place + joint + self.place

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}" if self.place else self.problem


class WrongType(Mismatch):
    """A value of another type than its field's."""


def expected(what: str, value: object) -> WrongType:
    """Return the mismatch of a value that has the wrong type; it does not repeat the value."""
    return WrongType(f"expected {what}, got {type(value).__name__}")


Column: TypeAlias = "tuple[Any, ...] | list[Any]"


def _no_column(_: Column) -> Column | None:
    return None


class Codec:
    """How values of one type are read from JSON and written to it; all check.

    ``column`` reads many values at once, at the speed of C, or returns None if one of them is
    not of the ordinary kind, so that each has to be looked at. JSON values of the very type
    ``plain`` are right as they are.
    """

    def __init__(
        self,
        type_name: str,
        decode: Callable[[Any], Any],
        encode: Callable[[Any], Any],
        column: Callable[[Column], Column | None] = _no_column,
        plain: type | None = None,
    ) -> None:
        self.type_name = type_name
        self.decode = decode
        self.encode = encode
        self.column = column
        self.plain = plain


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise expected("str", value)


def _encode_text(value: object) -> str:
    text = _text(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Mismatch("has lone surrogates, which UTF-8 cannot hold") from None
    return text


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise expected("bool", value)


def _int64(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise expected("int", value)
    if -(2**63) <= value < 2**63:
        return value
    raise Mismatch("does not fit 64 bits")


def _only(*kinds: type) -> Callable[[Column], Column | None]:
    """Return the reader of a column whose values are all of these types."""
    allowed = frozenset(kinds)
    return lambda column: column if allowed.issuperset(map(type, column)) else None


_INTS, _TEXTS = _only(int), _only(str)


def _int64_column(column: Column) -> Column | None:
    return column if _INTS(column) and min(column) >= -(2**63) and max(column) < 2**63 else None


def _datetime_column(column: Column) -> Column | None:
    if not _TEXTS(column):
        return None
    try:
        moments = list(map(datetime.fromisoformat, column))
    except ValueError:
        return None
    return moments if all(map(_tzinfo, moments)) else None  # digits alone, too, have none


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether the value is a JSON object."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[Any]]:
    """Whether the value is a JSON array."""
    return isinstance(value, list)


def json_object(value: object) -> dict[str, Any]:
    """Return the value if it is a JSON object."""
    if isinstance(value, dict):
        return value  # pyright: ignore[reportUnknownVariableType]  # the keys of JSON's are str
    raise expected("an object", value)


def json_array(value: object) -> list[Any]:
    """Return the value if it is a JSON array."""
    if is_array(value):
        return value
    raise expected("a list", value)


def _anything(value: Any) -> Any:
    return value


def _decode_datetime(value: object) -> datetime:
    """Read RFC 3339 text in its variants, or epoch milliseconds; no offset means UTC."""
    if not isinstance(value, (str, int, float)) or isinstance(value, bool):
        raise expected("a date", value)
    if isinstance(value, str) and value.isdigit():  # more likely a number of something
        raise Mismatch("unreadable date")
    try:
        if not isinstance(value, str):
            return _EPOCH + timedelta(milliseconds=value)
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = _isoparse()(value)
        if moment.tzinfo is UTC:
            return moment
        offset = moment.utcoffset()
    except (ValueError, OverflowError) as error:
        raise Mismatch("unreadable date") from error
    return moment.replace(tzinfo=timezone(offset) if offset else UTC)


@cache
def _isoparse() -> Callable[[str], datetime]:
    """Import dateutil, which is slow and rarely needed."""
    with warnings.catch_warnings():  # its older versions use what newer Pythons deprecate
        warnings.simplefilter("ignore", DeprecationWarning)
        from dateutil.parser import isoparse
    return isoparse


def _encode_datetime(value: object) -> str:
    if not isinstance(value, datetime):
        raise expected("datetime", value)
    if value.utcoffset() is None:
        raise Mismatch("a datetime needs a time zone")
    return value.isoformat()


CODECS: dict[object, Codec] = {
    str: Codec("str", _text, _encode_text, _only(str, NoneType), str),
    bool: Codec("bool", _flag, _flag, _only(bool, NoneType), bool),
    int: Codec("int", _int64, _int64, _int64_column),
    datetime: Codec("datetime", _decode_datetime, _encode_datetime, _datetime_column),
    dict: Codec("dict(str, object)", json_object, json_object),
    Any: Codec("object", _anything, _anything),
}


def list_codec(item: Codec) -> Codec:
    """Return the codec of a list of such items; an item may be None."""

    def each(convert: Callable[[Any], Any], values: list[Any]) -> list[Any]:
        result: list[Any] = []
        try:
            for value in values:
                result.append(None if value is None else convert(value))
        except Mismatch as error:
            error.within(f"[{len(result)}]")
            raise
        return result

    def decode(values: object) -> list[Any]:
        values = json_array(values)
        column = item.column(values)
        return each(item.decode, values) if column is None else list(column)

    def encode(values: object) -> list[Any]:
        return each(item.encode, json_array(values))

    return Codec(f"list[{item.type_name}]", decode, encode)


def mask(secret: str) -> str:
    """Return a secret as it may be shown: its last four characters, none of a short one."""
    return "****" + (secret[-4:] if len(secret) >= 12 else "")


def mask_uuids(text: str) -> str:
    """Return a text as it may be shown: what looks like a key or a token is masked."""
    return re.sub(_UUID, lambda found: mask(found[0]), text)


def masked(value: Any, name: object = None) -> Any:
    """Return JSON-like data as it may be shown: secrets are masked, by name and by look."""
    if is_object(value):
        return {key: masked(item, key) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked(item, name) for item in cast("Iterable[Any]", value)]
    if isinstance(value, (str, bytes)) and str(name).lower() in _SECRET_NAMES:
        return mask(str(value))
    return mask_uuids(value) if isinstance(value, str) else value
