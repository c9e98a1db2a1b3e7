"""Base class of the models: dataclasses whose fields are declared once, each in its own file."""

# No `from __future__ import annotations` here: dataclass gives each subclass's __init__ the hint of
# additional_properties, and as text it would be looked up in the subclass's module.
import types
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from itertools import repeat
from operator import itemgetter
from typing import (
    Any,
    ClassVar,
    Generic,
    Self,
    TypeGuard,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from stcloud._redaction import hides_variables, masked
from stcloud.models._codecs import (
    CODECS,
    Codec,
    Column,
    FieldError,
    is_array,
    is_object,
    json_object,
    list_codec,
    type_mismatch,
)

T = TypeVar("T")

_MANY = 16  # from about here on, a list is read faster by columns
_exhaust = deque[None](maxlen=0).extend  # runs an iterator to its end, without Python code


@dataclass(slots=True, repr=False)
class Model:
    """A JSON object with named fields; every field may be None.

    Models are dataclasses: fields are passed by keyword or in their order, and
    ``dataclasses.replace``, ``asdict`` and ``fields`` work. ``repr``, ``str`` and :meth:`to_str`
    mask secrets; attributes and :meth:`to_dict` have them in full.

    Attributes:
        attribute_map: attribute name -> JSON name, of the class.
        swagger_types: attribute name -> type name, of the class.
        additional_properties: fields of a response that the model does not know, by JSON name.
    """

    additional_properties: dict[str, Any] = field(default_factory=dict[str, Any], kw_only=True)

    def __init_subclass__(cls, **arguments: Any) -> None:
        super(Model, cls).__init_subclass__(**arguments)  # super() knows the class without slots
        if "__repr__" not in vars(cls):  # @dataclass would make one that shows secrets
            cls.__repr__ = Model.__repr__  # type: ignore[method-assign]

    attribute_map: ClassVar[dict[str, str]]
    swagger_types: ClassVar[dict[str, str]]

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Make a model of a JSON object; a ``FieldError`` has the path of what does not fit."""
        document = json_object(value)
        self = cls.__new__(cls)
        known = 0
        for each in schema(cls):
            item = document.get(each.json_name)
            if item is not None:
                known += 1
                if type(item) is not each.plain:
                    try:
                        item = each.codec.decode(item)
                    except FieldError as error:
                        error.prepend_path(each.json_name)
                        raise
            setattr(self, each.name, item)
        self.additional_properties = {} if known == len(document) else _unknown(cls, document)
        return self

    @classmethod
    def from_columns(cls, documents: Column) -> list[Self] | None:
        """Make models of many JSON objects, field by field: an optional fast path.

        It buys a third of the time in which a list of a hundred tokens is read, JSON included.
        It returns None if an object does not have exactly the model's fields with values of the
        usual types, or if the list is short: each object is then read on its own.
        """
        known = schema(cls)
        if len(known) < 2 or len(documents) < _MANY:
            return None
        models = list(map(cls.__new__, repeat(cls, len(documents))))
        try:
            if set(map(len, documents)) != {len(known)}:
                return None
            for each in known:
                values = each.codec.column(list(map(itemgetter(each.json_name), documents)))
                if values is None:
                    return None
                _exhaust(map(setattr, models, repeat(each.name), values))
        except (KeyError, TypeError):  # no object, or not with these fields
            return None
        for model in models:
            model.additional_properties = {}
        return models

    @classmethod
    @hides_variables
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make a model of a mapping from attribute names or JSON names, as :meth:`to_dict` returns.

        Nested models may be mappings. A name that is no field goes into
        ``additional_properties``.

        Raises:
            TypeError: two names are those of the same field.
        """
        by_name = {each.json_name: each for each in schema(cls)}
        by_name |= {each.name: each for each in schema(cls)}
        passed: dict[str, Any] = {}
        unknown: dict[str, Any] = {}
        for key, value in values.items():
            known = by_name.get(key)
            if known is None:
                unknown[key] = value
            elif known.name in passed:
                raise TypeError(f"{cls.__name__} got field {known.name!r} twice")
            else:
                passed[known.name] = None if value is None else known.codec.from_dict(value)
        return cls(**passed, additional_properties=unknown)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object: JSON names, no None.

        A ``FieldError`` has the path of a value that does not fit its field.
        """
        document = dict(self.additional_properties)
        for each in schema(type(self)):
            value = getattr(self, each.name)
            if value is not None:
                try:
                    document[each.json_name] = each.codec.encode(value)
                except FieldError as error:
                    error.prepend_path(each.name)
                    raise
        return document

    def to_dict(self) -> dict[str, Any]:
        """Return all fields by attribute name, nested models as dicts too; secrets in full."""
        return {
            **self.additional_properties,
            **{name: _plain(item) for name, item in self._items()},
        }

    def to_str(self) -> str:
        """Return the fields as readable text, secrets masked."""
        from pprint import pformat  # needed only when a person looks

        return pformat(masked(self.to_dict()))

    def _items(self) -> Iterator[tuple[str, Any]]:
        return ((each.name, getattr(self, each.name)) for each in schema(type(self)))

    def __repr__(self) -> str:
        try:
            return self.to_str()
        except AttributeError:
            return f"{type(self).__name__}(...)"  # it is being made


class _Field:
    """A field as reading and writing need it."""

    __slots__ = ("codec", "json_name", "name", "plain")

    def __init__(self, name: str, json_name: str, codec: Codec) -> None:
        self.name = name
        self.json_name = json_name
        self.codec = codec
        self.plain = codec.plain


_schemas: dict[type[Model], tuple[_Field, ...]] = {}


def schema(model: type[Model], *outer: type[Model]) -> tuple[_Field, ...]:
    """Return the fields of a model, computed when it is first used.

    Args:
        model: the model's class.
        outer: the models whose fields are being computed, which have this one among them.

    Raises:
        TypeError: a field, also of a model within this one, has a type that JSON does not.
    """
    known = _schemas.get(model)
    if known is None:
        hints = get_type_hints(model)
        known = tuple(
            _Field(
                each.name,
                each.metadata.get("json_name", each.name),
                _codec(hints[each.name], model, *outer),
            )
            for each in fields(model)
            if each.name != "additional_properties"
        )
        if not outer:  # one of those may still be refused, and this one with it
            _schemas[model] = known
    return known


def _unknown(model: type[Model], document: dict[str, Any]) -> dict[str, Any]:
    known = {each.json_name for each in schema(model)}
    return {key: item for key, item in document.items() if key not in known}


class _ClassProperty(Generic[T]):
    """An attribute of the class that is computed from its fields."""

    def __init__(self, compute: Callable[[type[Model]], T]) -> None:
        self._compute = compute

    def __get__(self, instance: Model | None, owner: type[Model]) -> T:
        return self._compute(owner)


# Set here, since @dataclass would read them in the class before there are fields.
_of_class: Any = Model
_of_class.attribute_map = _ClassProperty(
    lambda model: {each.name: each.json_name for each in schema(model)}
)
_of_class.swagger_types = _ClassProperty(
    lambda model: {each.name: each.codec.type_name for each in schema(model)}
)


def is_model(kind: object) -> TypeGuard[type[Model]]:
    """Return whether this is the class of a model."""
    return isinstance(kind, type) and issubclass(kind, Model)


def _codec(annotation: Any, *outer: type[Model]) -> Codec:
    """Return the codec of a field's annotation, which may be ``| None`` or ``Optional``."""
    if get_origin(annotation) in (types.UnionType, Union):
        kinds = [kind for kind in get_args(annotation) if kind is not types.NoneType]
        if len(kinds) == 1:
            annotation = kinds[0]
    items = get_args(annotation)
    if get_origin(annotation) is list and items:
        return list_codec(_codec(items[0], *outer))
    if is_model(annotation):
        if annotation not in outer:  # a model may contain itself
            schema(annotation, *outer)
        return _model_codec(annotation)
    try:
        return CODECS[get_origin(annotation) or annotation]
    except KeyError:
        known = "str, bool, int, datetime, dict, Any, a model, or a list of one of them"
        raise TypeError(f"a model's field cannot be {annotation}: let it be {known}") from None


def _model_codec(model: type[Model]) -> Codec:
    def encode(value: object) -> dict[str, Any]:
        if isinstance(value, model):
            return value.to_json()
        raise type_mismatch(model.__name__, value)

    def from_dict(value: object) -> object:
        if isinstance(value, Mapping):
            return model.from_dict(cast("Mapping[str, Any]", value))
        return value

    return Codec(model.__name__, model.from_json, encode, from_dict, model.from_columns)


def _plain(value: Any) -> Any:
    if isinstance(value, Model):
        return value.to_dict()
    if is_array(value):
        return [_plain(item) for item in value]
    if is_object(value):
        return {key: _plain(item) for key, item in value.items()}
    return value
