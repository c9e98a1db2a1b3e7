import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from scripted_server import Reply, ScriptedServer

import stcloud
from stcloud import exceptions
from stcloud.rest import ApiException

Api = stcloud.TokensApiControllerApi
KEY = "0123abcd-made-up-key"
SECRET = "5ec4e7aa-0000-4000-8000-00000000cafe"
REFUSAL = json.dumps(
    {
        "data": None,
        "errors": [{"code": "C1", "message": "first"}, {"code": "C2"}],
        "message": "all in all",
        "success": False,
    }
)


def failure(remote: Api) -> ApiException:
    with pytest.raises(ApiException) as raised:
        remote.get_app_tokens1(5)
    return raised.value


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (300, "ApiException"),
        (304, "ApiException"),
        (400, "BadRequestException"),
        (401, "UnauthorizedException"),
        (402, "ApiException"),
        (403, "ForbiddenException"),
        (404, "NotFoundException"),
        (409, "ConflictException"),
        (429, "TooManyRequestsException"),
        (499, "ApiException"),
        (500, "ServiceException"),
        (503, "ServiceException"),
        (599, "ServiceException"),
        (600, "ApiException"),
    ],
)
def test_status_chooses_the_exception(
    status: int, kind: str, remote: Api, respond: Callable[..., None]
) -> None:
    """Each status raises its own class, with all that the response said."""
    respond(REFUSAL, status, X_Seen="yes")
    error = failure(remote)
    assert type(error).__name__ == kind
    assert error.status == status
    assert error.reason
    if status != 304:  # has no body by definition
        assert error.body == REFUSAL
        assert error.errors == [stcloud.Error("C1", "first"), stcloud.Error("C2")]
        assert error.message == "all in all"
        assert str(error) == f"({status}) {error.reason}: C1: first; C2; all in all"
    assert error.headers is not None
    assert error.headers["x-seen"] == "yes"


def test_raw_calls_raise_as_well(remote: Api, respond: Callable[..., None]) -> None:
    """A failed call raises even if the raw response was asked for."""
    respond(REFUSAL, 404)
    with pytest.raises(stcloud.NotFoundException, match="C1: first"):
        remote.get_app_tokens1(5, _preload_content=False)
    with pytest.raises(stcloud.NotFoundException, match="C1: first"):
        remote.get_app_tokens1(5, async_req=True).get(10)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<b>Bad Gateway</b>",
        b"\xff\xfe\x00",
        "[1]",
        "null",
        "[" * 100_000,
        '{"errors": "none", "message": 5}',
        '{"errors": [1, {"code": 7}, null], "message": {}}',
    ],
    ids=lambda body: repr(body)[:20],
)
def test_error_response_may_have_any_body(
    body: str | bytes, remote: Api, respond: Callable[..., None]
) -> None:
    """Whatever an error response holds, the exception is that of its status."""
    respond(body, 502)
    error = failure(remote)
    assert type(error) is stcloud.ServiceException
    assert (error.errors, error.message) == ([], None)
    assert str(error) == "(502) BAD GATEWAY"


def test_readable_errors_survive_unreadable_ones(remote: Api, respond: Callable[..., None]) -> None:
    """One malformed entry does not hide the others."""
    respond('{"errors": [5, {"code": "C", "later": 1}]}', 400)
    error = failure(remote)
    assert [entry.code for entry in error.errors] == ["C"]


def test_unsuccessful_response_raises(remote: Api, respond: Callable[..., None]) -> None:
    """``success: false`` in a 200 is a failure with the service's reasons."""
    respond(REFUSAL)
    error = failure(remote)
    assert type(error) is stcloud.UnsuccessfulResponseException
    assert (error.status, error.message) == (200, "all in all")
    with pytest.raises(stcloud.UnsuccessfulResponseException):
        remote.api_client.call_api("/any", "GET")
    respond('{"success": false}')
    assert str(failure(remote)) == '(200) OK: the response says "success": false, without a reason'


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ("", "it has no content"),
        (" \n", "it has no content"),
        ("<html>Sign in</html>", "a page of HTML came"),
        ('{"success": tru', "Expecting value"),
        ('{"success": true} {}', "Extra data"),
        ('{"message": NaN}', "NaN is not JSON"),
        (b'{"message": "\xff"}', "decode"),
        ("[" * 100_000, "^"),  # each Python says it in words of its own
        ("[]", "expected an object, got list"),
        ("null", "expected an object, got NoneType"),
        ('"text"', "expected an object, got str"),
        ('{"data": "text"}', "data: expected an object, got str"),
        ('{"data": []}', "data: expected an object, got list"),
        ('{"data": {"tokens": {}}}', "data.tokens: expected a list, got dict"),
        ('{"data": {"tokens": [5]}}', r"data.tokens\[0\]: expected an object, got int"),
        (
            '{"data": {"tokens": [{"createdAt": "soon"}]}}',
            r"tokens\[0\].createdAt: unreadable date",
        ),
        ('{"data": {"tokens": [{"id": 1e3}]}}', r"data.tokens\[0\].id: expected int, got float"),
        ('{"data": {"tokens": [{"id": 9223372036854775808}]}}', "64 bits"),
        ('{"data": {"tokens": [{"enabled": "no"}]}}', "enabled: expected bool, got str"),
        ('{"success": "false"}', "success: expected bool, got str"),
        ('{"errors": {}}', "errors: expected a list, got dict"),
        ('{"message": ' + "9" * 5000 + "}", "digits|int"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_response_that_is_not_the_contract_raises(
    body: str | bytes, place: str, remote: Api, respond: Callable[..., None]
) -> None:
    """A 2xx that is something else raises one class, which says where it differs."""
    respond(body)
    error = failure(remote)
    assert type(error) is stcloud.UnexpectedResponseException
    assert error.status == 200
    with pytest.raises(stcloud.UnexpectedResponseException, match=place):
        raise error
    assert error.body == (body.decode(errors="replace") if isinstance(body, bytes) else body)
    assert error.__cause__ is not None


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_is_not_followed(
    status: int, remote: Api, respond: Callable[..., None], httpserver: HTTPServer
) -> None:
    """A redirect raises, names the location, and the location is not asked."""
    respond("", status, Location=httpserver.url_for("/elsewhere"))
    for call in (remote.get_app_tokens1, remote.get_app_tokens1_with_http_info):
        with pytest.raises(ApiException, match="/elsewhere is not followed") as raised:
            call(5)
        assert raised.value.status == status
    assert {request.path for request, _ in httpserver.log} == {"/users-web/api/v3/apps/5/tokens"}


def test_location_is_named_beside_a_message(remote: Api, respond: Callable[..., None]) -> None:
    """What the service says of a redirect does not hide where to."""
    respond('{"message": "moved"}', 302, Location="/elsewhere")
    assert failure(remote).message == "moved; the redirect to /elsewhere is not followed"
    respond('{"message": "moved", "errors": [{"message": "moved"}]}', 302, Location="/elsewhere")
    assert str(failure(remote)) == "(302) FOUND: moved; the redirect to /elsewhere is not followed"


def test_location_elsewhere_is_no_redirect(remote: Api, respond: Callable[..., None]) -> None:
    """Only a 3xx sends one on."""
    respond("", 404, Location="/elsewhere")
    assert failure(remote).message is None


@pytest.mark.parametrize("status", [200, 202, 203])
def test_empty_response_is_none(status: int, remote: Api, respond: Callable[..., None]) -> None:
    """Content may be missing only where the description has none."""
    respond("", status)
    with pytest.raises(stcloud.UnexpectedResponseException, match="it has no content"):
        remote.delete_app_token1(5, 7)


@pytest.mark.parametrize("status", [300, 304])
def test_redirect_without_location(status: int, remote: Api, respond: Callable[..., None]) -> None:
    """A 3xx that names no location is reported by its status alone."""
    respond("", status)
    error = failure(remote)
    assert str(error) == f"({status}) {error.reason}"


def test_text_is_bounded_and_printable(remote: Api, respond: Callable[..., None]) -> None:
    """A huge or odd message is cut and escaped, and complete in ``message``."""
    message = "line\nbreak \ud800 \x1b[31m" + "x" * 1_000_000
    respond(json.dumps({"message": message}), 400)
    error = failure(remote)
    assert error.message == message
    assert len(str(error)) <= 500
    assert str(error).isprintable()
    assert r"line\nbreak \ud800 \x1b" in str(error)
    assert str(error).endswith("...")


@pytest.mark.parametrize("padding", range(440, 500, 4))
def test_text_shows_no_secret(padding: int, remote: Api, respond: Callable[..., None]) -> None:
    """An echoed key or token is masked, wherever the text is cut."""
    message = "x" * padding + f" {SECRET} {SECRET} apiKey {KEY}"
    for status in (400, 200):
        respond(json.dumps({"message": message, "success": False}), status)
        error = failure(remote)
        assert SECRET[:9] not in str(error) + repr(error)
        assert KEY not in f"{error} {error!r} {error.body} {error.message} {error.args}"


@pytest.mark.parametrize("key", ["my long secret key", "a=b/c+d", "apiKey withprefix"])
def test_echoed_key_of_any_form_is_masked(
    key: str, remote: Api, respond: Callable[..., None]
) -> None:
    """A key is masked also where JSON escapes it, in the reason and in a location."""
    remote.api_client.configuration.api_key["Authorization"] = key
    bare = key.removeprefix("apiKey ")
    escaped = json.dumps({"message": bare, "errors": [{"code": bare}]}).replace("/", "\\/")
    respond(escaped.replace("=", "\\u003d"), 302, Location=f"/{bare}")
    error = failure(remote)
    shown = f"{error} {error!r} {error.message} {error.errors} {error.reason} {error.args}"
    assert bare not in shown
    assert bare.split(" ")[-1] not in shown


def test_short_key_damages_nothing(remote: Api, respond: Callable[..., None]) -> None:
    """A key too short to be a secret is not searched for in responses."""
    remote.api_client.configuration.api_key["Authorization"] = "s"
    respond(REFUSAL, 400)
    assert failure(remote).body == REFUSAL


def test_exceptions_copy_and_pickle(remote: Api, respond: Callable[..., None]) -> None:
    """An exception crosses process borders completely, that of a connection too."""
    respond(REFUSAL, 409, X_Seen="yes")
    refused = failure(remote)
    lost = stcloud.TimeoutException(reason="too slow")
    for error in (refused, lost):
        for copied in (copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))):
            assert type(copied) is type(error)
            assert copied == error
            assert hash(copied) == hash(error)
            copied.status = 1
            assert copied != error
            copied.status = error.status
            assert str(copied) == str(error)


def test_docstring_draws_the_whole_tree() -> None:
    """The tree in the module's docstring has every class, deeper ones further in."""
    tree = (exceptions.__doc__ or "").splitlines()

    def column(kind: type[Exception]) -> int:
        return next(line.index(kind.__name__) for line in tree if f" {kind.__name__} " in line)

    kinds: list[Any] = [ApiException, *vars(exceptions).values()]
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, ApiException) and kind is not ApiException:
            assert column(kind) > column(kind.__mro__[1])


@pytest.mark.parametrize("kind", [stcloud.TimeoutException, TimeoutError])
def test_failure_is_not_mistaken_for_what_the_caller_handles(kind: type[Exception]) -> None:
    """Python links the two, but only one is the call's."""
    settings: Any = {"api_key": KEY, "retries": 0, "read_timeout": 0.2}
    with (
        ScriptedServer(Reply(b"", "hang")) as slow,
        ScriptedServer(Reply(b"", "close")) as short,
        stcloud.ApiClient(stcloud.Configuration(host=slow.url, **settings)) as first,
        stcloud.ApiClient(stcloud.Configuration(host=short.url, **settings)) as second,
    ):
        try:
            if kind is TimeoutError:
                raise TimeoutError("of the caller")
            Api(first).get_app_tokens1(5)
        except kind:
            error = failure(Api(second))
    assert type(error) is stcloud.ConnectionException
    assert "the server closed the connection without a response" in str(error)


def test_what_the_caller_handles_is_shown(remote: Api, respond: Callable[..., None]) -> None:
    """As Python shows it: during the handling of one, another came."""
    respond("{}", 404)
    earlier = ValueError("of the caller")
    try:
        raise earlier
    except ValueError:
        error = failure(remote)
    assert error.__context__ is earlier
    assert not error.__suppress_context__
