"""The base of every model: a field is stated once, and all else is drawn from that statement."""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from itertools import repeat
from operator import itemgetter
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Self,
    TypeGuard,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from stcloud.models.values import (
    CODECS,
    Codec,
    Column,
    Mismatch,
    expected,
    is_array,
    is_object,
    json_object,
    list_codec,
    masked,
)

_MANY = 16  # from about here on, a list is read faster by columns
_run = deque[None](maxlen=0).extend  # runs an iterator to its end, without Python code


class Field:
    """What a field's line says beyond name and type."""

    def __init__(self, json_name: str) -> None:
        self.json_name = json_name


def field(*, default: None, json_name: str) -> Any:  # noqa: ARG001  # for type checkers
    """State a field whose JSON name is not its attribute name."""
    return Field(json_name)


@dataclass_transform(field_specifiers=(field,))
class ModelType(type):
    """Makes slots of the ``name: type | None = None`` lines of a model.

    Type checkers read the same lines as a dataclass's, so constructors are typed too.
    """

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> ModelType:
        """Make the class, its fields turned into slots."""
        own = {
            key: value.json_name if isinstance(value, Field) else key
            for key, value in namespace.items()
            if isinstance(value, Field) or (value is None and not key.startswith("_"))
        }
        for key in own:
            del namespace[key]  # a class attribute would shut out the slot of that name
        inherited = getattr(bases[0], "attribute_map", {}) if bases else {}
        namespace.setdefault("__slots__", tuple(own.keys() - inherited.keys()))
        namespace["attribute_map"] = inherited | own
        return super().__new__(mcs, name, bases, namespace)


class _Extra:
    """Holds what is no field; outside the model, where type checkers see fields only."""

    __slots__ = ("_additional",)
    _additional: dict[str, Any] | None


class Model(_Extra, metaclass=ModelType):
    """A JSON object with named fields; every field may be None.

    Fields are given by keyword or in their order. Fields of an answer that the model does not
    know are kept in :attr:`additional_properties`. ``repr``, ``str`` and :meth:`to_str` mask
    secrets; attributes and :meth:`to_dict` give them whole.
    """

    __hash__: ClassVar[None]  # type: ignore[assignment]  # mutable, so not hashable

    attribute_map: ClassVar[dict[str, str]]
    """Attribute name -> JSON name."""
    swagger_types: ClassVar[dict[str, str]]
    """Attribute name -> type name."""
    _codecs: ClassVar[dict[str, Codec]]
    _json_names: ClassVar[frozenset[str]]
    _slots: ClassVar[tuple[tuple[str, Callable[[object, object], None], Codec, type | None], ...]]

    def __init_subclass__(cls) -> None:
        names = cls.attribute_map
        kinds = cls.__annotations__
        if any(isinstance(kind, str) for kind in kinds.values()):  # only then: it is slow
            kinds = get_type_hints(cls)
        own = {name: _codec(kind) for name, kind in kinds.items() if name in names}
        cls._codecs = getattr(cls, "_codecs", {}) | own
        cls.swagger_types = {name: codec.type_name for name, codec in cls._codecs.items()}
        cls._json_names = frozenset(cls.attribute_map.values())
        cls._slots = tuple(
            (json_name, getattr(cls, name).__set__, cls._codecs[name], cls._codecs[name].plain)
            for name, json_name in cls.attribute_map.items()
        )

    if not TYPE_CHECKING:  # a type checker draws each model's own signature from its fields

        def __init__(self, *values: Any, **fields: Any) -> None:
            model, names = type(self).__name__, tuple(self.attribute_map)
            if len(values) > len(names):
                raise TypeError(f"{model} takes at most {len(names)} fields, got {len(values)}")
            given = dict(zip(names, values, strict=False))
            for name in fields:
                if name in given:
                    raise TypeError(f"{model} got field {name!r} twice")
                if name not in names:
                    raise _no_field(type(self), name)
            given |= fields
            self._additional = None
            for name in names:
                setattr(self, name, given.get(name))

    @property
    def additional_properties(self) -> dict[str, Any]:
        """The fields that the model does not know, by JSON name."""
        if self._additional is None:
            self._additional = {}
        return self._additional

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Make a model of a JSON object; a ``Mismatch`` names the field that is not its type."""
        document = json_object(value)
        self = cls.__new__(cls)
        json_name = ""
        try:
            for json_name, set_slot, codec, plain in cls._slots:
                item = document.get(json_name)
                if item is not None and type(item) is not plain:
                    item = codec.decode(item)
                set_slot(self, item)
        except Mismatch as error:
            error.within(json_name)
            raise
        known = cls._json_names
        self._additional = (
            None
            if known.issuperset(document)
            else {key: item for key, item in document.items() if key not in known}
        )
        return self

    @classmethod
    def from_columns(cls, documents: Column) -> list[Self] | None:
        """Make models of many JSON objects, field by field rather than object by object.

        Return None if one of them is not ordinary, that is, has not just all fields of the model
        with values of the usual kinds: :meth:`from_json` reads or refuses it.
        """
        if len(cls._slots) < 2 or len(documents) < _MANY:
            return None
        models = list(map(cls.__new__, repeat(cls, len(documents))))
        try:
            if set(map(len, documents)) != {len(cls._slots)}:
                return None
            for json_name, set_slot, codec, _ in cls._slots:
                values = codec.column(list(map(itemgetter(json_name), documents)))
                if values is None:
                    return None
                _run(map(set_slot, models, values))
        except (KeyError, TypeError):  # no object, or not with these fields
            return None
        _run(map(vars(_Extra)["_additional"].__set__, models, repeat(None)))
        return models

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Make a model of a mapping from attribute names or JSON names.

        Raises:
            TypeError: a key names no field, or two keys name the same one.
        """
        attributes = {json_name: name for name, json_name in cls.attribute_map.items()}
        given: dict[str, Any] = {}
        for key, value in fields.items():
            name = attributes.get(key, key)
            if name not in cls.attribute_map:
                raise _no_field(cls, key)
            if name in given:
                raise TypeError(f"{cls.__name__} got field {name!r} twice")
            given[name] = value
        return cls(**given)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object: wire names, no None.

        A ``Mismatch`` names the field that is not its type.
        """
        document = dict(self._additional or {})
        for name, value in self._items():
            if value is not None:
                try:
                    document[self.attribute_map[name]] = self._codecs[name].encode(value)
                except Mismatch as error:
                    error.within(name)
                    raise
        return document

    def to_dict(self) -> dict[str, Any]:
        """Return all fields by attribute name, nested models as dicts too; secrets are whole."""
        return {**(self._additional or {}), **{name: _plain(item) for name, item in self._items()}}

    def to_str(self) -> str:
        """Return the fields as readable text, secrets masked."""
        from pprint import pformat  # needed only when a person looks

        return pformat(masked(self.to_dict()))

    def _items(self) -> Iterator[tuple[str, Any]]:
        return ((name, getattr(self, name)) for name in self.attribute_map)

    def __repr__(self) -> str:
        return self.to_str()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.__getstate__() == other.__getstate__()

    def __getstate__(self) -> dict[str, Any]:
        return {**dict(self._items()), "_additional": self._additional or None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


def is_model(kind: object) -> TypeGuard[type[Model]]:
    """Whether this is the class of a model."""
    return isinstance(kind, type) and issubclass(kind, Model)


def _no_field(model: type[Model], name: object) -> TypeError:
    fields = ", ".join(model.attribute_map)
    return TypeError(f"{model.__name__} has no field {name!r}; it has {fields}")


def _codec(annotation: Any) -> Codec:
    """Return the codec of a field's annotation, ``type | None`` or ``Any``."""
    if isinstance(annotation, types.UnionType):
        annotation = get_args(annotation)[0]
    if get_origin(annotation) is list:
        return list_codec(_codec(get_args(annotation)[0]))
    if is_model(annotation):
        return _model_codec(annotation)
    return CODECS[get_origin(annotation) or annotation]


def _model_codec(model: type[Model]) -> Codec:
    def encode(value: object) -> dict[str, Any]:
        if isinstance(value, model):
            return value.to_json()
        raise expected(model.__name__, value)

    return Codec(model.__name__, model.from_json, encode, model.from_columns)


def _plain(value: Any) -> Any:
    if isinstance(value, Model):
        return value.to_dict()
    if is_array(value):
        return [_plain(item) for item in value]
    if is_object(value):
        return {key: _plain(item) for key, item in value.items()}
    return value
