"""Convert field values from JSON and to it, and check them: one codec for each type."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from operator import attrgetter
from types import NoneType
from typing import Any, TypeAlias, TypeGuard

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_tzinfo = attrgetter("tzinfo")


class FieldError(ValueError):
    """A value that does not fit its field; ``str()`` has the field's path and the problem."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path: str = ""

    def prepend_path(self, part: str) -> None:
        """Put the name of the object or list around the field before its path."""
        separator = "." if self.path and not self.path.startswith("[") else ""
        self.path = part + separator + self.path

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}" if self.path else self.problem


class FieldTypeError(FieldError):
    """A value of another type than its field's."""


def type_mismatch(what: str, value: object) -> FieldTypeError:
    """Return the error of a value of the wrong type; it does not repeat the value."""
    return FieldTypeError(f"expected {what}, got {type(value).__name__}")


Column: TypeAlias = tuple[Any, ...] | list[Any]


def _no_column(_: Column) -> Column | None:
    return None


class Codec:
    """Converts and checks values of one type.

    Attributes:
        type_name: the type, as ``swagger_types`` names it.
        decode: from JSON.
        encode: to JSON.
        from_dict: from what ``to_dict`` makes of a value.
        column: from JSON, for the values of a field in many objects; an optional fast path. It
            returns None if one of them is unusual, and each is decoded on its own.
        plain: JSON values of exactly this type need no decoding.
    """

    def __init__(
        self,
        type_name: str,
        decode: Callable[[Any], Any],
        encode: Callable[[Any], Any],
        from_dict: Callable[[Any], Any] | None = None,
        column: Callable[[Column], Column | None] = _no_column,
        plain: type | None = None,
    ) -> None:
        self.type_name = type_name
        self.decode = decode
        self.encode = encode
        self.from_dict: Callable[[Any], Any] = from_dict or _anything
        self.column = column
        self.plain = plain


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise type_mismatch("str", value)


def _encode_text(value: object) -> str:
    text = _text(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise FieldError("has lone surrogates, which UTF-8 cannot hold") from None
    return text


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise type_mismatch("bool", value)


def _int64(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise type_mismatch("int", value)
    if -(2**63) <= value < 2**63:
        return value
    raise FieldError("does not fit 64 bits")


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
    return moments if all(map(_tzinfo, moments)) else None  # nor has a text of digits alone


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
    raise type_mismatch("an object", value)


def json_array(value: object) -> list[Any]:
    """Return the value if it is a JSON array."""
    if is_array(value):
        return value
    raise type_mismatch("a list", value)


def _anything(value: Any) -> Any:
    return value


def _decode_datetime(value: object) -> datetime:
    """Read RFC 3339 text in its variants, or epoch milliseconds; no offset means UTC."""
    try:
        if isinstance(value, str):
            moment = _parse_text(value)
            if moment.tzinfo is UTC:
                return moment
            offset = moment.utcoffset()
            return moment.replace(tzinfo=timezone(offset) if offset else UTC)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return _EPOCH + timedelta(milliseconds=value)
    except (ValueError, OverflowError):
        raise FieldError("unreadable date") from None  # its text quotes the value
    raise type_mismatch("a date", value)


def _parse_text(value: str) -> datetime:
    """Read a date as text; a leap second, which RFC 3339 allows, is the start of a minute."""
    if value.isdigit():
        raise ValueError("digits alone are more likely a number of something")
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        before = re.sub(r"(\d\d:\d\d):60", r"\1:59", value)
        if before != value:
            return _parse_text(before) + timedelta(seconds=1)
        return _isoparse()(value)


@cache
def _isoparse() -> Callable[[str], datetime]:
    """Import dateutil, which is slow and rarely needed."""
    with warnings.catch_warnings():  # its older versions use what newer Pythons deprecate
        warnings.simplefilter("ignore", DeprecationWarning)
        from dateutil.parser import isoparse
    return isoparse


def _encode_datetime(value: object) -> str:
    if not isinstance(value, datetime):
        raise type_mismatch("datetime", value)
    if value.utcoffset() is None:
        raise FieldError("a datetime needs a time zone")
    return value.isoformat()


CODECS: dict[object, Codec] = {
    str: Codec("str", _text, _encode_text, column=_only(str, NoneType), plain=str),
    bool: Codec("bool", _flag, _flag, column=_only(bool, NoneType), plain=bool),
    int: Codec("int", _int64, _int64, column=_int64_column),
    datetime: Codec("datetime", _decode_datetime, _encode_datetime, column=_datetime_column),
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
        except FieldError as error:
            error.prepend_path(f"[{len(result)}]")
            raise
        return result

    def decode(values: object) -> list[Any]:
        values = json_array(values)
        column = item.column(values)
        return each(item.decode, values) if column is None else list(column)

    def encode(values: object) -> list[Any]:
        return each(item.encode, json_array(values))

    def from_dict(values: object) -> object:
        return each(item.from_dict, values) if is_array(values) else values

    return Codec(f"list[{item.type_name}]", decode, encode, from_dict)
