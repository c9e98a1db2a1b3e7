import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

import pytest
from operations import BODY, OPERATIONS
from pytest_httpserver import HTTPServer
from scripted_server import Reply, ScriptedServer

import stcloud
from stcloud.operation import HttpInfo
from stcloud.sandbox import Sandbox

Api = stcloud.TokensApiControllerApi
TOKENS = "/users-web/api/v3/apps/5/tokens"
SUCCESS = '{"success": true}'

BODIES = {"create_app_token": stcloud.CreateTokenDto, "update_app_token": stcloud.UpdateTokenDto}
every_operation = pytest.mark.parametrize("name", OPERATIONS)


def arguments(name: str) -> tuple[Any, ...]:
    return OPERATIONS[name].arguments(5, 7)


def call(api: Api, name: str, **options: Any) -> Any:
    return getattr(api, name)(*arguments(name), **options)


def test_methods_are_those_of_the_description() -> None:
    """Each operation of openapi.yaml has a method and its `_with_http_info`; no other is public."""
    public = {name for name in vars(Api) if not name.startswith("_")}
    assert public == set(OPERATIONS) | {f"{name}_with_http_info" for name in OPERATIONS}


def test_life_of_a_token(api: Api, sandbox: Sandbox) -> None:
    """Its operations work together on a real server."""
    app_id = sandbox.app_id
    created = api.create_app_token(stcloud.CreateTokenDto(name="n", readable=False), app_id)
    assert created.success is True
    assert created.data is not None
    token = created.data.token
    assert token is not None
    assert token.id is not None
    assert (token.name, token.readable, token.writeable, token.enabled) == ("n", False, True, True)
    assert token.created_at is not None
    assert token.created_at.tzinfo is not None

    updated = api.update_app_token(stcloud.UpdateTokenDto(enabled=False), app_id, token.id)
    regenerated = api.regenerate_app_token1(app_id, token.id)
    listed = api.get_app_tokens1(app_id)
    assert updated.data is not None
    assert updated.data.token is not None
    assert regenerated.data is not None
    assert regenerated.data.token is not None
    assert listed.data is not None
    assert updated.data.token.token == token.token
    assert regenerated.data.token.token != token.token
    assert listed.data.tokens == [regenerated.data.token]

    assert api.delete_app_token1(app_id, token.id).success is True
    assert api.get_app_tokens1(app_id) == stcloud.TokensResponse.from_json(
        {"data": {"tokens": []}, "errors": [], "success": True}
    )
    with pytest.raises(stcloud.NotFoundException):
        api.delete_app_token1(app_id, token.id)


@every_operation
def test_operation_sends_what_the_contract_says(
    name: str, remote: Api, respond: Callable[..., None], httpserver: HTTPServer
) -> None:
    """Method, path, body and headers are the contract's; no body, no Content-Type."""
    respond(SUCCESS)
    call(remote, name)
    expected = OPERATIONS[name]
    request, _ = httpserver.log[-1]
    assert (request.method, request.path) == (expected.method, expected.url_path(5, 7))
    assert request.query_string == b""
    assert request.headers["Accept"] == "application/json"
    assert request.headers["Authorization"] == "apiKey 0123abcd-made-up-key"
    assert request.headers["User-Agent"].startswith(f"stcloud/{stcloud.__version__} python/3.")
    if expected.body is None:
        assert request.data == b""
        assert "Content-Type" not in request.headers
        assert request.headers.get("Content-Length", "0") == "0"
    else:
        assert request.get_json() == BODY
        assert request.headers["Content-Type"] == "application/json"


@every_operation
def test_options_change_what_a_call_returns(
    name: str, remote: Api, respond: Callable[..., None]
) -> None:
    """Plain, in the background, with status and headers, and raw: all of the same response."""
    respond(SUCCESS, X_Seen="yes")
    plain = call(remote, name)
    assert plain.success is True
    assert call(remote, name, async_req=True).get(10) == plain
    info = getattr(remote, f"{name}_with_http_info")
    data, status, headers = info(*arguments(name))
    assert (data, status, headers["x-seen"]) == (plain, 200, "yes")
    assert info(*arguments(name), _return_http_data_only=True) == plain
    assert info(*arguments(name), async_req=True).get(10)[:2] == (plain, 200)
    for asked in (True, False, None):
        assert call(remote, name, _return_http_data_only=asked) == plain
    raw = call(remote, name, _preload_content=False)
    assert (raw.status, raw.data) == (200, SUCCESS.encode())
    assert call(remote, name, _preload_content=False, async_req=True).get(10).data == raw.data


@every_operation
@pytest.mark.parametrize("status", [201, 204])
def test_response_without_content_is_success(
    name: str, status: int, remote: Api, respond: Callable[..., None]
) -> None:
    """201 and 204 may come empty; the caller still gets the response's class."""
    respond(status=status)
    data, seen, _ = getattr(remote, f"{name}_with_http_info")(*arguments(name))
    assert (type(data).__name__, data.success) == (OPERATIONS[name].response, True)
    assert seen == status


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({}, b"{}"),
        ({"name": None}, b"{}"),
        ({"name": 'caf\u00e9 "\u2028'}, '{"name":"caf\u00e9 \\"\u2028"}'.encode()),
    ],
    ids=repr,
)
def test_body_is_its_fields(
    name: str,
    fields: dict[str, Any],
    sent: bytes,
    remote: Api,
    respond: Callable[..., None],
    httpserver: HTTPServer,
) -> None:
    """A model and a dict of its fields send the same: UTF-8 JSON, no None, {} if empty."""
    respond(SUCCESS)
    for body in (BODIES[name](**fields), fields):
        getattr(remote, name)(body, *arguments(name)[1:])
        assert httpserver.log[-1][0].data == sent


@pytest.mark.parametrize("identifier", ["1", "007", 1, 2**63 - 1, str(2**63 - 1)], ids=repr)
def test_ids_are_ints_or_digits(
    identifier: int | str, remote: Api, respond: Callable[..., None], httpserver: HTTPServer
) -> None:
    """An id goes into the path as the number that it is."""
    respond(SUCCESS)
    remote.delete_app_token1(identifier, token_id=identifier)
    number = int(identifier)
    assert httpserver.log[-1][0].path == f"/users-web/api/v3/apps/{number}/tokens/{number}"


@pytest.mark.parametrize(
    ("identifier", "error"),
    [
        (wrong, ValueError)
        for wrong in (0, -1, 2**63, "", "0", "-1", "1.0", " 1", "1/../2", "\u0661")
    ]
    + [("9" * 5000, ValueError), (None, ValueError)]
    + [(wrong, TypeError) for wrong in (True, 1.0, b"1", [1], object())],
    ids=lambda value: ascii(value)[:20],
)
def test_bad_id_is_refused_before_anything_is_sent(
    identifier: Any, error: type[Exception], remote: Api, httpserver: HTTPServer
) -> None:
    """An id that is none names its parameter, and nothing reaches the network."""
    with pytest.raises(error, match="app_id"):
        remote.get_app_tokens1(identifier)
    with pytest.raises(error, match="token_id"):
        remote.delete_app_token1(5, identifier, async_req=True)
    assert httpserver.log == []


@pytest.mark.parametrize(
    ("name", "arguments", "error", "named"),
    [
        ("create_app_token", (), TypeError, "body"),
        ("create_app_token", (None, 5), ValueError, "body"),
        ("create_app_token", ({},), TypeError, "app_id"),
        ("create_app_token", ({}, 5, 7), TypeError, "3 positional arguments"),
        ("create_app_token", ("{}", 5), TypeError, "CreateTokenDto"),
        ("create_app_token", ([], 5), TypeError, "CreateTokenDto"),
        ("create_app_token", (stcloud.UpdateTokenDto(), 5), TypeError, "CreateTokenDto"),
        ("create_app_token", (stcloud.CreateTokenDto, 5), TypeError, "CreateTokenDto"),
        ("create_app_token", ({"enabled": True}, 5), TypeError, "enabled"),
        ("create_app_token", ({1: True}, 5), TypeError, "1"),
        ("create_app_token", ({"name": b"n"}, 5), TypeError, r"CreateTokenDto\.name"),
        ("create_app_token", ({"readable": 1}, 5), TypeError, r"CreateTokenDto\.readable"),
        ("create_app_token", ({"readable": "no"}, 5), TypeError, r"CreateTokenDto\.readable"),
        ("create_app_token", ({"name": "\ud800"}, 5), ValueError, r"\.name: .*surrogates"),
        ("update_app_token", ({"enabled": 0}, 5, 7), TypeError, r"UpdateTokenDto\.enabled"),
        ("update_app_token", ({}, 5), TypeError, "token_id"),
        ("update_app_token", ({}, 5, None), ValueError, "token_id"),
    ],
    ids=repr,
)
def test_bad_argument_is_refused_before_anything_is_sent(
    name: str,
    arguments: tuple[Any, ...],
    error: type[Exception],
    named: str,
    remote: Api,
    httpserver: HTTPServer,
) -> None:
    """What is missing or of a wrong type is named, and nothing reaches the network."""
    for method in (getattr(remote, name), getattr(remote, f"{name}_with_http_info")):
        with pytest.raises(error, match=named):
            method(*arguments)
    assert httpserver.log == []


@every_operation
def test_unknown_option_is_named(name: str, remote: Api, httpserver: HTTPServer) -> None:
    """A mistyped option is a TypeError that names it and the method."""
    for method in (name, f"{name}_with_http_info"):
        with pytest.raises(TypeError, match=rf"{method}\(\) has no option '_request_timeot'"):
            getattr(remote, method)(*arguments(name), _request_timeot=3)
    with pytest.raises(TypeError, match="multiple values for argument 'app_id'"):
        call(remote, name, app_id=5)
    assert httpserver.log == []


@every_operation
@pytest.mark.parametrize("value", ["False", 1, 0])
@pytest.mark.parametrize("option", ["async_req", "_preload_content", "_return_http_data_only"])
def test_options_are_true_or_false(
    name: str,
    option: str,
    value: object,
    remote: Api,
    respond: Callable[..., None],
    httpserver: HTTPServer,
) -> None:
    """Anything else is refused; None is for an option that is left out."""
    respond(SUCCESS)
    with pytest.raises(TypeError, match=f"{option} must be bool, not"):
        call(remote, name, **{option: value})
    assert httpserver.log == []
    data = call(remote, name, **{option: None})
    assert isinstance(data, stcloud.models.model.Model)


@pytest.mark.parametrize(
    ("limit", "error"),
    [(wrong, ValueError) for wrong in (0, -1, float("inf"), float("nan"), (1, 0), (1,), (1, 2, 3))]
    + [(wrong, TypeError) for wrong in ("3", True, (1, "2"), (True, 1), b"3", {1, 2})],
    ids=repr,
)
def test_bad_time_limit_is_refused(
    limit: Any, error: type[Exception], remote: Api, httpserver: HTTPServer
) -> None:
    """A timeout is a positive number of seconds or a pair of them."""
    with pytest.raises(error, match="_request_timeout"):
        remote.get_app_tokens1(5, _request_timeout=limit)
    assert httpserver.log == []


@pytest.mark.parametrize("timeout", [(None, 0.1), (3, None)], ids=str)
def test_none_in_a_pair_of_timeouts_is_the_configured_one(timeout: Any) -> None:
    """So that one of both can be passed."""
    with ScriptedServer(Reply(b"", "hang")) as server:
        limit = 30 if timeout[1] else 0.1
        configuration = stcloud.Configuration(
            host=server.url, api_key="k", read_timeout=limit, retries=0
        )
        with stcloud.ApiClient(configuration) as client, pytest.raises(stcloud.TimeoutException):
            Api(client).get_app_tokens1(5, _request_timeout=timeout)


@every_operation
def test_method_is_an_ordinary_documented_function(name: str) -> None:
    """Help, signature, hints and name of a method are its own, so that autospec and IDEs work."""
    method = getattr(Api, name)
    with_http_info = getattr(Api, f"{name}_with_http_info")
    ids = ["app_id", "token_id"] if "{tokenId}" in OPERATIONS[name].path else ["app_id"]
    body = ["body"] if name in BODIES else []
    response_model: Any = getattr(stcloud, OPERATIONS[name].response)
    for function, returned in (
        (method, response_model),
        (with_http_info, HttpInfo[response_model]),
    ):
        assert list(inspect.signature(function).parameters) == ["self", *body, *ids, "options"]
        hints = get_type_hints(function)
        assert hints["return"] == returned
        assert hints.get("body") == BODIES.get(name)
    assert method.__qualname__ == f"TokensApiControllerApi.{name}"
    assert with_http_info.__name__ == f"{name}_with_http_info"


def test_wrong_client_is_refused() -> None:
    """Where it is passed, not at the first call."""
    wrong: Any = stcloud.Configuration()
    with pytest.raises(TypeError, match="api_client must be ApiClient, not Configuration"):
        Api(wrong)


def test_call_without_key_says_how_to_give_one(httpserver: HTTPServer) -> None:
    """Without a key nothing is sent, and the error names the three ways to give it."""
    configuration = stcloud.Configuration(host=httpserver.url_for(""))
    with (
        stcloud.ApiClient(configuration) as client,
        pytest.raises(ValueError, match=r"api_key=.*api_key\['Authorization'\].*SEMATEXT_API_KEY"),
    ):
        Api(client).get_app_tokens1(5)
    assert httpserver.log == []


def test_api_makes_its_own_client(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a client the API makes one of the environment's settings."""
    monkeypatch.setenv("SEMATEXT_HOST", sandbox.url)
    monkeypatch.setenv("SEMATEXT_API_KEY", sandbox.api_key)
    api = Api()
    assert api.get_app_tokens1(sandbox.app_id).success is True
    api.api_client.close()


def test_address_in_place_of_an_id_is_explained(api: Api) -> None:
    """An app's address in the browser is what people paste; it is not repeated."""
    with pytest.raises(ValueError, match=r"digits: the number in that URL$"):
        api.get_app_tokens1("https://apps.sematext.com/ui/apps/789")


def test_value_in_place_of_an_id_is_not_repeated(api: Api) -> None:
    """Who mixes up ``token.id`` and ``token.token`` finds no secret in the error."""
    with pytest.raises(ValueError, match="token_id must be") as raised:
        api.regenerate_app_token1(789, "5ec4e7aa-secret")
    assert "5ec4e7aa" not in str(raised.value)
