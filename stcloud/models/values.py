"""Single values: how JSON's are checked and read, how ours are checked and written, how shown."""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any, NamedTuple, TypeGuard

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_SECRET_NAMES = frozenset({"token"})


class Mismatch(ValueError):
    """A value that does not fit its field; ``str()`` names the place and what was expected."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.place = ""

    def within(self, place: str) -> None:
        """Say where the place known so far lies, one level further out."""
        joint = "." if self.place and not self.place.startswith("[") else ""
        self.place = place + joint + self.place

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}" if self.place else self.problem


def expected(what: str, value: object) -> Mismatch:
    """Return the mismatch of a value that has the wrong type; it does not repeat the value."""
    return Mismatch(f"expected {what}, got {type(value).__name__}")


class Codec(NamedTuple):
    """How values of one type are read from JSON and written to it; both check."""

    type_name: str
    decode: Callable[[Any], Any]
    encode: Callable[[Any], Any]


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise expected("str", value)


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


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether the value is a JSON object."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[Any]]:
    """Whether the value is a JSON array."""
    return isinstance(value, list)


def json_object(value: object) -> dict[str, Any]:
    """Return the value if it is a JSON object."""
    if is_object(value):
        return value
    raise expected("an object", value)


def _anything(value: Any) -> Any:
    return value


def _decode_datetime(value: object) -> datetime:
    """Read RFC 3339 text in its variants, or epoch milliseconds; no offset means UTC."""
    if not isinstance(value, (str, int, float)) or isinstance(value, bool):
        raise expected("a date", value)
    try:
        if not isinstance(value, str):
            return _EPOCH + timedelta(milliseconds=value)
        moment = _parse_iso(value)
        offset = moment.utcoffset()
    except (ValueError, OverflowError) as error:
        raise Mismatch("unreadable date") from error
    return moment.replace(tzinfo=timezone(offset) if offset else timezone.utc)


def _parse_iso(value: str) -> datetime:
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        from dateutil.parser import isoparse  # rarely needed, slow to import

        return isoparse(value)


def _encode_datetime(value: object) -> str:
    if not isinstance(value, datetime):
        raise expected("datetime", value)
    if value.utcoffset() is None:
        raise Mismatch("a datetime needs a time zone")
    return value.isoformat()


CODECS: dict[object, Codec] = {
    str: Codec("str", _text, _text),
    bool: Codec("bool", _flag, _flag),
    int: Codec("int", _int64, _int64),
    datetime: Codec("datetime", _decode_datetime, _encode_datetime),
    dict: Codec("dict(str, object)", json_object, json_object),
    Any: Codec("object", _anything, _anything),
}


def list_codec(item: Codec) -> Codec:
    """Return the codec of a list of such items; an item may be None."""

    def each(convert: Callable[[Any], Any], values: object) -> list[Any]:
        if not is_array(values):
            raise expected("a list", values)
        result: list[Any] = []
        try:
            for value in values:
                result.append(None if value is None else convert(value))
        except Mismatch as error:
            error.within(f"[{len(result)}]")
            raise
        return result

    return Codec(f"list[{item.type_name}]", partial(each, item.decode), partial(each, item.encode))


def mask(secret: str) -> str:
    """Return a secret as it may be shown: its last four characters, none of a short one."""
    return "****" + (secret[-4:] if len(secret) >= 12 else "")


def masked(value: Any, name: object = None) -> Any:
    """Return JSON-like data as it may be shown: text under a secret's name is masked."""
    if is_object(value):
        return {key: masked(item, key) for key, item in value.items()}
    if is_array(value):
        return [masked(item, name) for item in value]
    return mask(value) if isinstance(value, str) and name in _SECRET_NAMES else value
