"""What travels: paths, JSON text, and the plain data that it is made of."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from enum import Enum
from typing import Any, NoReturn, cast
from urllib.parse import quote, urlencode

from stcloud import _validators
from stcloud._redaction import mask_uuids
from stcloud.models._codecs import FieldError, FieldTypeError
from stcloud.models.model import Model


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_decode = json.JSONDecoder(parse_constant=_refuse).decode
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def from_json(content: bytes) -> Any:
    """Return the data of JSON text; ValueError or RecursionError if it is none.

    RFC 8259 lets a reader pass over a byte order mark.
    """
    return _decode(content.removeprefix(BOM_UTF8).decode())


def to_json(data: object) -> bytes:
    """Return the JSON text of plain data; ValueError if JSON cannot hold it."""
    try:
        return _encode(data).encode()
    except UnicodeEncodeError:
        raise ValueError("lone surrogates have no place in JSON") from None
    except ValueError:
        raise ValueError("NaN and infinity have no place in JSON") from None


def to_jsonable(value: Any) -> Any:
    """Return what JSON can hold of models, dates and containers of them.

    Raises:
        TypeError: something else is among them, or a model's field has the wrong type.
        ValueError: a field has a value that cannot be sent, or a container contains itself.
    """
    try:
        return _plain(value)
    except RecursionError:
        raise ValueError(
            "what contains itself, or is nested too deeply, has no place in JSON"
        ) from None


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):  # also one that is a str, which shows its name
        return _plain(value.value)
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, Model):
        return _model_to_json(value, type(value).__name__)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in cast("Mapping[object, Any]", value).items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in cast("Iterable[Any]", value)]
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def serialize_body(model: type[Model], value: object) -> dict[str, Any]:
    """Return the data of a request's body, passed as its model or as a dict of the same fields.

    Raises:
        TypeError: it is something else, or one of its fields is.
        ValueError: a field has a value that cannot be sent.
    """
    if isinstance(value, Mapping):
        value = model.from_dict(cast("Mapping[str, Any]", value))
        for name in value.additional_properties:
            known = ", ".join(model.attribute_map)
            raise TypeError(
                f"body: {model.__name__} has no field {mask_uuids(repr(name))}; it has {known}"
            )
    if not isinstance(value, model):
        raise _validators.wrong_type("body", f"{model.__name__} or a dict of its fields", value)
    return _model_to_json(value, f"body: {model.__name__}")


def _model_to_json(value: Model, place: str) -> dict[str, Any]:
    try:
        document = value.to_json()
    except FieldError as error:
        kind = TypeError if isinstance(error, FieldTypeError) else ValueError
        raise kind(f"{place}.{error}") from None
    plain: dict[str, Any] = to_jsonable(document)  # additional_properties may hold anything
    return plain


def path(
    template: str,
    parameters: Mapping[str, object] | None,
    query: Mapping[str, object] | Iterable[tuple[str, object]] | None,
    safe: str,
) -> str:
    """Return a path with quoted parameters for its ``{name}`` places, and a query if any.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: a parameter would change the path's shape, or the path is none.
    """
    filled = _validators.text("resource_path", template)
    if "?" in template or "#" in template:
        raise ValueError("resource_path must not have a query or a fragment; give query_params")
    for name, value in _validators.pairs("path_params", parameters):
        text = quote(_parameter_text(f"path parameter {name!r}", value), safe=safe)
        if not {"", ".", ".."}.isdisjoint(text.split("/")) or "?" in text or "#" in text:
            raise ValueError(f"path parameter {name!r} would lead to another path")
        filled = filled.replace(f"{{{name}}}", text)
    if "{" in filled:
        raise ValueError(f"path_params lacks a parameter of {template!r}")
    if not filled.startswith("/") or not _validators.is_printable_ascii(filled):
        raise ValueError("resource_path must be an ASCII path from '/' on")
    encoded = urlencode(list(_query_pairs(_validators.pairs("query_params", query))))
    return f"{filled}?{encoded}" if encoded else filled


def _query_pairs(pairs: Iterable[tuple[str, object]]) -> Iterator[tuple[str, str]]:
    """Yield a pair for each value, and for each item of a list; None is left out."""
    for name, value in pairs:
        values = cast("Iterable[object]", value) if isinstance(value, (list, tuple)) else [value]
        for each in values:
            if each is not None:
                yield name, _parameter_text(f"query parameter {name!r}", each)


def _parameter_text(what: str, value: object) -> str:
    """Return the text of a single value in a path or a query; what JSON writes, without quotes."""
    plain = to_jsonable(value)
    if plain is None:
        raise ValueError(f"{what} is None")
    if isinstance(plain, bool):
        return "true" if plain else "false"
    if isinstance(plain, (str, int, float)):
        return str(plain)
    raise TypeError(f"{what} must be a single value, not {type(value).__name__}")
