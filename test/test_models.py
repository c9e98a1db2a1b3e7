import copy
import inspect
import pickle
import typing
from dataclasses import asdict, dataclass, field, fields, is_dataclass, make_dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, NamedTuple, Optional

import fastapi
import pydantic
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

import stcloud
from stcloud import (
    CreateTokenDto,
    Error,
    GenericMapBasedApiResponse,
    TokenDto,
    TokenResponse,
    TokenResponseEntry,
    TokensResponse,
    TokensResponseEntry,
    UpdateTokenDto,
    models,
)
from stcloud.models._codecs import FieldError
from stcloud.models.model import Model
from stcloud.sandbox import Sandbox

SECRET = "5ec4e7aa-0000-4000-8000-00000000cafe"
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
TOKEN_JSON = {
    "createdAt": "2026-01-02T12:00:00Z",
    "enabled": True,
    "id": 789,
    "name": "shipper",
    "readable": False,
    "token": SECRET,
    "writeable": True,
}
TOKEN = TokenDto(NOON, True, 789, "shipper", False, SECRET, True)
ENVELOPE: dict[str, Any] = {
    "errors": [{"code": "C", "message": "M"}],
    "message": "m",
    "success": True,
}


class Case(NamedTuple):
    """A model, its fields in order with their types, JSON that fills them, the same as object."""

    model: type[Model]
    types: dict[str, str]
    document: dict[str, Any]
    example: Model


CASES = [
    Case(
        CreateTokenDto,
        {"name": "str", "readable": "bool", "writeable": "bool"},
        {"name": "n", "readable": True, "writeable": False},
        CreateTokenDto("n", True, False),
    ),
    Case(
        UpdateTokenDto,
        {"enabled": "bool", "name": "str"},
        {"enabled": False, "name": "n"},
        UpdateTokenDto(False, "n"),
    ),
    Case(
        TokenDto,
        {
            "created_at": "datetime",
            "enabled": "bool",
            "id": "int",
            "name": "str",
            "readable": "bool",
            "token": "str",
            "writeable": "bool",
        },
        TOKEN_JSON,
        TOKEN,
    ),
    Case(
        TokenResponseEntry,
        {"token": "TokenDto"},
        {"token": TOKEN_JSON},
        TokenResponseEntry(TOKEN),
    ),
    Case(
        TokensResponseEntry,
        {"tokens": "list[TokenDto]"},
        {"tokens": [TOKEN_JSON, TOKEN_JSON]},
        TokensResponseEntry([TOKEN, TOKEN]),
    ),
    Case(
        TokenResponse,
        {
            "data": "TokenResponseEntry",
            "errors": "list[Error]",
            "message": "str",
            "success": "bool",
        },
        {"data": {"token": TOKEN_JSON}, **ENVELOPE},
        TokenResponse(TokenResponseEntry(TOKEN), [Error("C", "M")], "m", True),
    ),
    Case(
        TokensResponse,
        {
            "data": "TokensResponseEntry",
            "errors": "list[Error]",
            "message": "str",
            "success": "bool",
        },
        {"data": {"tokens": [TOKEN_JSON]}, **ENVELOPE},
        TokensResponse(TokensResponseEntry([TOKEN]), [Error("C", "M")], "m", True),
    ),
    Case(
        GenericMapBasedApiResponse,
        {"data": "dict(str, object)", "errors": "list[Error]", "message": "str", "success": "bool"},
        {"data": {"any": ["thing", None]}, **ENVELOPE},
        GenericMapBasedApiResponse({"any": ["thing", None]}, [Error("C", "M")], "m", True),
    ),
    Case(Error, {"code": "str", "message": "str"}, {"code": "C", "message": "M"}, Error("C", "M")),
]
every_model = pytest.mark.parametrize("case", CASES, ids=[case.model.__name__ for case in CASES])


def test_every_model_is_here() -> None:
    """The tests below check each model."""
    assert {case.model.__name__ for case in CASES} == set(models.__all__)


@every_model
def test_model_has_the_contracts_fields(case: Case) -> None:
    """Names, types and JSON names are those of the contract, in the order of the names."""
    assert list(case.types) == sorted(case.types)
    assert list(case.model.swagger_types.items()) == list(case.types.items())
    assert list(case.model.attribute_map.values()) == list(case.document)


@every_model
def test_model_reads_and_writes_json(case: Case) -> None:
    """JSON becomes the model with the fields it names, and the model becomes that JSON."""
    assert case.model.from_json(case.document) == case.example
    assert case.model.from_json(case.example.to_json()) == case.example


@every_model
def test_model_may_lack_every_field(case: Case) -> None:
    """A field that is null or missing is None, and None is not written."""
    nulls = dict.fromkeys(case.document)
    assert case.model.from_json(nulls) == case.model.from_json({}) == case.model()
    assert case.model.from_json(nulls).additional_properties == {}
    assert case.model().to_json() == {}
    assert case.model().to_dict() == dict.fromkeys(case.types)


@every_model
def test_model_copies_and_pickles(case: Case) -> None:
    """Copies are equal and independent."""
    unknown = case.model.from_json({**case.document, "later": [1]})
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):  # older ones know no slots
        assert pickle.loads(pickle.dumps(unknown, protocol)) == unknown
    assert copy.copy(unknown) == unknown
    deep = copy.deepcopy(unknown)
    deep.additional_properties["later"].append(2)
    assert deep != unknown
    assert unknown.additional_properties == {"later": [1]}


@every_model
def test_model_keeps_unknown_fields(case: Case) -> None:
    """What a newer service adds is kept, compared, and returned."""
    newer = case.model.from_json({**case.document, "later": {"x": 1}})
    assert newer.additional_properties == {"later": {"x": 1}}
    assert newer != case.example
    assert newer.to_dict()["later"] == newer.to_json()["later"] == {"x": 1}


@every_model
def test_no_model_shows_a_secret(case: Case) -> None:
    """However deep a token lies, its value is shown by at most its last four characters."""
    shown = f"{case.example!r} {case.example} {case.example.to_str()} {[case.example]}"
    assert SECRET[:-4] not in shown
    assert SECRET[-5:] not in shown
    assert (SECRET[-4:] in shown) == (SECRET in repr(case.example.to_dict()))


@every_model
@pytest.mark.parametrize("wrong", [7, "text", True, 1.5, [], {}, [None, 5], {"id": "x"}])
def test_mistyped_field_is_named(case: Case, wrong: Any) -> None:
    """JSON of another type than the field's raises an error that begins with the field's name."""
    for json_name, fitting in case.document.items():
        if type(wrong) is not type(fitting) and json_name != "createdAt":
            with pytest.raises(FieldError, match=f"^{json_name}: expected"):
                case.model.from_json({json_name: wrong})


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-01-02T12:00:00Z", NOON),
        ("2026-01-02T12:00:00z", NOON),
        ("2026-01-02t12:00:00Z", NOON),
        ("2026-01-02 12:00:00Z", NOON),
        ("2026-01-02T12:00:00.5Z", NOON + timedelta(milliseconds=500)),
        ("2026-01-02T12:00:00.123456789Z", NOON + timedelta(microseconds=123456)),
        ("2026-01-02T13:00:00+01:00", NOON),
        ("2026-01-02T13:00:00.000+0100", NOON),
        ("2026-01-02T12:00:00+0000", NOON),
        ("2026-01-02T12:00:00-00:00", NOON),
        ("2026-01-02T12:00:00", NOON),
        ("2026-01-02", NOON - timedelta(hours=12)),
        (1767355200000, NOON),
        (1767355200000.5, NOON + timedelta(microseconds=500)),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (-1, datetime(1970, 1, 1, tzinfo=UTC) - timedelta(milliseconds=1)),
    ],
)
def test_dates_are_read_in_every_form(written: str | float, read: datetime) -> None:
    """Every form of such servers gives an aware datetime of the standard library's zones."""
    created_at = TokenDto.from_json({"createdAt": written}).created_at
    assert created_at == read
    assert isinstance(created_at.tzinfo, timezone)


@pytest.mark.parametrize(
    "written",
    [
        *(
            "",
            "now",
            "12",
            "2026-13-01T00:00:00Z",
            "2026-01-02T25:00:00Z",
            "\ud800",
            "1767355200000",
            "2026",
        ),
        *(10**30, -(10**30), float("inf"), float("nan"), True, [2026, 1, 2], {}),
    ],
)
def test_unreadable_date_is_refused(written: object) -> None:
    """What is no date raises a FieldError, whatever it is."""
    with pytest.raises(FieldError, match="createdAt: "):
        TokenDto.from_json({"createdAt": written})


def test_mismatch_tells_the_way_to_the_field() -> None:
    """The error names each level down to the field, with the place in a list."""
    with pytest.raises(FieldError, match=r"^data\.tokens\[1\]\.id: expected int, got str$"):
        TokensResponse.from_json({"data": {"tokens": [{}, {"id": "7"}]}})


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1])
def test_ids_fit_64_bits(number: int) -> None:
    """A larger number is not the contract's int64."""
    with pytest.raises(FieldError, match="64 bits"):
        TokenDto.from_json({"id": number})


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: CreateTokenDto(nmae="x"), "nmae"),  # type: ignore[call-arg]
        (lambda: CreateTokenDto("x", name="y"), "name"),  # type: ignore[misc]
        (lambda: UpdateTokenDto(True, "x", "y"), "positional"),  # type: ignore[call-arg, arg-type]
        (lambda: TokenDto.from_dict({"created_at": NOON, "createdAt": NOON}), "created_at"),
    ],
)
def test_constructor_refuses_what_it_has_no_field_for(make: Any, named: str) -> None:
    """An unknown, repeated or surplus field is a TypeError that names it."""
    with pytest.raises(TypeError, match=named):
        make()


@every_model
def test_model_is_a_dataclass(case: Case) -> None:
    """What Python and other packages know of dataclasses works with models."""
    assert is_dataclass(case.model)
    names = [each.name for each in fields(case.example) if not each.kw_only]
    assert names == list(case.types) == list(case.model.__match_args__)
    assert replace(case.example) == case.example
    assert asdict(case.example).keys() == {*case.types, "additional_properties"}
    parameters = inspect.signature(case.model).parameters
    assert list(parameters) == [*case.types, "additional_properties"]
    assert all(parameters[name].default is None for name in case.types)
    assert not hasattr(case.example, "__dict__")


def test_model_matches_by_position() -> None:
    """The fields come in their order."""
    match UpdateTokenDto(False, "n"):
        case UpdateTokenDto(False, name):
            assert name == "n"
        case _:
            pytest.fail("no match")


@every_model
def test_dict_becomes_the_same_model_again(case: Case) -> None:
    """Nested models, dates, and fields that a newer service added included."""
    newer = case.model.from_json({**case.document, "later": {"x": 1}})
    assert case.model.from_dict(newer.to_dict()) == newer


def test_attribute_that_is_no_field_cannot_be_set() -> None:
    """A mistyped attribute raises rather than being ignored."""
    with pytest.raises(AttributeError):
        CreateTokenDto().nmae = "x"  # type: ignore[attr-defined]


def test_field_named_like_an_attribute_counts() -> None:
    """An unknown JSON field does not vanish behind an attribute of its name."""
    assert TokenDto.from_json({"created_at": "x"}) != TokenDto()


def test_models_of_other_classes_differ() -> None:
    """Equal fields do not make two classes equal, and models cannot be hashed."""
    one: Any = TokenResponse()
    assert one != TokensResponse()
    with pytest.raises(TypeError):
        hash(TokenDto())


@pytest.mark.parametrize("secret", ["", "abcd", "elevenchars"])
def test_short_secret_is_shown_by_nothing(secret: str) -> None:
    """Of a value too short to spare four characters, none is shown."""
    shown = repr(TokenDto(token=secret))
    assert "'****'" in shown
    assert not secret or secret[-4:] not in shown


def test_raw_data_hides_tokens_too() -> None:
    """A token's value in a response without a model of its own is masked as well."""
    short = "no-uuid-but-secret"
    response = GenericMapBasedApiResponse(
        {"tokens": ({"token": short}, {"Token": short}), "token": short, "value": SECRET},
        message=f"use {SECRET}",
    )
    newer = TokenDto.from_json({"later": {"token": short}})
    odd = TokenDto(token=short.encode())  # type: ignore[arg-type]
    shown = repr(response) + repr(newer) + repr(odd)
    assert short[:-4] not in shown
    assert SECRET[:-4] not in shown


FIELDS: dict[str, list[Any]] = {
    "createdAt": ["2026-01-02T12:00:00Z", "2026-01-02T13:00:00+01:00", "2026-01-02", 0, None, "x"],
    "enabled": [True, False, None, 1],
    "id": [1, 2**63 - 1, 2**63, True, None, "1"],
    "name": ["n", "", None, 5],
    "readable": [True, None],
    "token": ["t", None],
    "writeable": [True, None],
    "later": [1],
}
DOCUMENTS = st.lists(
    st.fixed_dictionaries({}, optional={name: st.sampled_from(FIELDS[name]) for name in FIELDS})
    | st.fixed_dictionaries({name: st.sampled_from(FIELDS[name][:2]) for name in list(FIELDS)[:7]})
    | st.sampled_from([None, 5, "text"]),
    max_size=4,
)


@settings(derandomize=True, max_examples=500, database=None, deadline=None)
@given(documents=DOCUMENTS)
def test_columns_read_what_rows_read(documents: list[Any]) -> None:
    """The quick way gives the same models as reading each object, or leaves the list to that."""
    quick = TokenDto.from_columns(documents * 16)
    if quick is not None:
        assert quick == [TokenDto.from_json(document) for document in documents] * 16


@pytest.mark.parametrize("name", FIELDS)
def test_column_of_one_odd_value_is_read_as_rows_are(name: str) -> None:
    """What no ordinary list has is left to the reading of each object, which may refuse it."""
    for value in [*FIELDS[name], "2026-01-02T12:00:00", 2**70]:
        document = {**TOKEN_JSON, name: value}
        quick = TokenDto.from_columns([document] * 16)
        if quick is not None:
            assert quick == [TokenDto.from_json(document)] * 16


def test_models_of_ones_own_may_have_postponed_annotations() -> None:
    """As `from __future__ import annotations` makes them."""
    names: dict[str, Any] = {
        "Model": Model,
        "TokenDto": TokenDto,
        "dataclass": dataclass,
        "__name__": __name__,
    }
    exec(  # noqa: S102  # a module with that import
        "from __future__ import annotations\n"
        "@dataclass(slots=True, repr=False)\n"
        "class Own(Model):\n    name: str | None = None\n    tokens: list[TokenDto] | None = None",
        names,
    )
    own = names["Own"].from_json({"name": "n", "tokens": [{"id": 7}]})
    assert (own.name, own.tokens) == ("n", [TokenDto(id=7)])


@dataclass(kw_only=True)
class ByKeyword(Model):
    name: str | None = None
    id: Optional[int] = None  # noqa: UP045  # as older code has it


@dataclass(init=False)
class WithoutInit(Model):
    name: str | None = None
    id: int | None = None


@dataclass
class OwnInit(Model):
    name: str | None = None
    id: int | None = None

    def __init__(self, label: str) -> None:
        raise AssertionError(label)


@dataclass
class PostInit(Model):
    name: str | None = None
    id: int | None = None

    def __post_init__(self) -> None:
        raise AssertionError("reading is not making")


@dataclass(match_args=False)
class OtherOrder(Model):
    additional_properties: dict[str, Any] = field(default_factory=dict[str, Any])
    id: int | None = None
    name: str | None = None


@pytest.mark.parametrize("model", [ByKeyword, WithoutInit, OwnInit, PostInit, OtherOrder])
def test_models_of_ones_own_are_read_whatever_their_constructor(model: Any) -> None:
    """What a response has been received for is not lost to it; nor is it needed to send or show."""
    documents = [{"name": "n", "id": 7}] * 16
    for read in (*model.from_columns(documents), model.from_json(documents[0])):
        assert (read.name, read.id, read.additional_properties) == ("n", 7, {})
    assert read.to_json() == documents[0]
    assert eval(repr(read)) == read.to_dict() == documents[0]  # noqa: S307  # its own text


@dataclass
class WithSet(Model):
    names: set[str] | None = None


@dataclass
class WithSetInside(Model):
    around: "WithSetAround | None" = None
    again: "WithSetInside | None" = None


@dataclass
class WithSetAround(Model):
    inside: WithSetInside | None = None
    data: list[WithSet] | None = None


@dataclass
class WithEither(Model):
    name: int | str | None = None


WithBareList = make_dataclass("WithBareList", [("names", typing.List)], bases=(Model,))  # noqa: UP006


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (WithSet, r"set\[str\]"),
        (WithSetInside, r"set\[str\]"),
        (WithEither, r".*int.*str.*"),
        (WithBareList, "typing.List"),
    ],
)
def test_model_that_cannot_be_read_is_refused_before_the_call(
    api: stcloud.TokensApiControllerApi, sandbox: Sandbox, model: type[Model], kind: str
) -> None:
    """Afterwards the token would be there, and nobody would know its value."""
    path, body = f"/users-web/api/v3/apps/{sandbox.app_id}/tokens", {"name": "shipper"}
    for each in (model, WithSetInside, WithSetAround, model):
        refused = kind if each is model else r"set\[str\]"
        problem = f"a model's field cannot be {refused}: let it be str, bool"
        with pytest.raises(TypeError, match=problem):
            api.api_client.call_api(path, "POST", body=body, response_type=each)
    assert sandbox.tokens() == []


def test_ordinary_lists_are_read_the_quick_way() -> None:
    """A list as the service returns it does not fall back to reading object by object."""
    assert TokenDto.from_columns([TOKEN_JSON, {**TOKEN_JSON, "name": None}] * 16) is not None


def test_pydantic_and_fastapi_take_models_as_dataclasses() -> None:
    """A model is read and written by a TypeAdapter, and is what an endpoint may return."""
    token = TokenDto(id=1, name="shipper", created_at=datetime(2026, 1, 1, tzinfo=UTC))
    adapter = pydantic.TypeAdapter(TokenDto)
    assert adapter.validate_python(adapter.dump_python(token)) == token
    with pytest.raises(pydantic.ValidationError, match="created_at"):
        adapter.validate_python({"created_at": "yesterday"})
    app = fastapi.FastAPI()

    @app.get("/token")
    def get_token() -> TokenDto:
        return token

    with TestClient(app) as client:
        shown = client.get("/token").json()
    assert (shown["name"], shown["created_at"]) == ("shipper", "2026-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (TokenDto(created_at="yesterday"), "created_at: expected datetime, got str"),  # type: ignore[arg-type]
        (TokenDto(created_at=datetime(2026, 1, 1)), "created_at: a datetime needs a time zone"),  # noqa: DTZ001
        (TokenResponse(data=TokenDto()), "data: expected TokenResponseEntry, got TokenDto"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_sent_is_refused_by_its_place(model: Model, problem: str) -> None:
    """A value that does not fit its field is named with the field."""
    with pytest.raises(FieldError) as raised:
        model.to_json()
    assert str(raised.value) == problem


def test_tokens_and_token_are_unwrapped() -> None:
    """A list, never None; and the token, or an error that says where to look."""
    token = stcloud.TokenDto(id=1)
    entry = stcloud.TokensResponseEntry(tokens=[token])
    assert stcloud.TokensResponse(data=entry).tokens == [token]
    for data in (None, stcloud.TokensResponseEntry()):
        assert stcloud.TokensResponse(data=data).tokens == []
    assert stcloud.TokenResponse(data=stcloud.TokenResponseEntry(token=token)).token is token
    for without in (None, stcloud.TokenResponseEntry()):
        with pytest.raises(AttributeError, match="get_app_tokens1"):
            _ = stcloud.TokenResponse(data=without).token


def test_items_that_are_null_are_left_out() -> None:
    """The service may list one."""
    document = {"data": {"tokens": [None, {"id": 1}]}}
    assert stcloud.TokensResponse.from_json(document).tokens == [stcloud.TokenDto(id=1)]


def test_model_that_is_being_made_can_be_shown() -> None:
    """A debugger or an error tracker meets it in a frame."""
    assert repr(TokenDto.__new__(TokenDto)) == "TokenDto(...)"


def test_model_of_ones_own_masks_secrets_too() -> None:
    """Unless it shows itself in its own way."""

    @dataclass
    class Owned(TokenDto):
        owner: str | None = None

    @dataclass(slots=True)
    class Short(TokenDto):
        def __repr__(self) -> str:
            return "short"

    secret = "12345678-90ab-cdef-1234-567890abcdef"
    assert secret not in repr(Owned(token=secret, owner="x"))
    assert "'owner': 'x'" in repr(Owned(token=secret, owner="x"))
    assert repr(Short(token=secret)) == "short"
