import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any

import pytest
import werkzeug.wrappers
from pytest_httpserver import HTTPServer
from werkzeug import Response

import stcloud
from stcloud.operation import Request
from stcloud.sandbox import Sandbox

Respond = Callable[..., None]
KEY = "0123abcd-made-up-key"
ENDLESS: dict[str, Any] = {}
ENDLESS["n"] = ENDLESS


@pytest.fixture
def client(remote: stcloud.TokensApiControllerApi) -> stcloud.ApiClient:
    return remote.api_client


def test_call_api_reaches_any_path(
    client: stcloud.ApiClient, respond: Respond, httpserver: HTTPServer
) -> None:
    """Path, query, headers and body are sent as passed, and the response's JSON comes back."""
    respond('{"data": {"apps": []}, "success": true}', 200, X_Seen="yes")
    data, status, headers = client.call_api(
        "/users-web/api/v3/apps/{name}",
        "patch",
        {"name": "a/b c?"},
        {"tag": ["x", "y&z"], "since": date(2026, 1, 2), "all": True, "none": [False]},
        {"X-Extra": "1", "accept": "text/plain"},
        {"when": datetime(2026, 1, 2, tzinfo=UTC), "token": stcloud.CreateTokenDto("n")},
    )
    assert (data, status, headers["X-Seen"]) == (
        {"data": {"apps": []}, "success": True},
        200,
        "yes",
    )
    request, _ = httpserver.log[-1]
    assert request.method == "PATCH"
    assert request.environ["REQUEST_URI"] == (
        "/users-web/api/v3/apps/a%2Fb%20c%3F?tag=x&tag=y%26z&since=2026-01-02&all=true&none=false"
    )
    assert request.headers["X-Extra"] == "1"
    assert request.headers.getlist("Accept") == ["text/plain"]
    assert request.headers["Authorization"] == f"apiKey {KEY}"
    assert request.get_json() == {"when": "2026-01-02T00:00:00+00:00", "token": {"name": "n"}}


def test_call_api_takes_a_class_and_options(client: stcloud.ApiClient, respond: Respond) -> None:
    """The response's class and every call's options work here too."""
    respond('{"data": {"x": 1}, "success": true}')
    kind = stcloud.GenericMapBasedApiResponse
    only_data: dict[str, Any] = {"response_type": kind, "_return_http_data_only": True}
    expected = kind(data={"x": 1}, success=True)
    assert client.call_api("/x", "GET", **only_data) == expected
    assert client.call_api("/x", "GET", **only_data, async_req=True).get(10) == expected
    with closing(client.call_api("/x", "GET", _preload_content=False)[0]) as raw:
        assert raw.status == 200
    for status in (200, 202, 204):
        respond(status=status)
        assert client.call_api("/x", "HEAD", _return_http_data_only=True) is None
    respond('{"data": {"x": 1}, "success": true}')
    by_name = {**only_data, "response_type": "GenericMapBasedApiResponse"}
    assert client.call_api("/x", "GET", **by_name) == expected
    for as_it_is in (object, "object", None):
        plain = client.call_api("/x", "GET", None, None, None, None, [], {}, as_it_is, ["apiKey"])
        assert plain[0] == {"data": {"x": 1}, "success": True}
    for wrong, named in (("Tokens", "no model 'Tokens'"), ("Model", "'Model'"), (dict, "not type")):
        with pytest.raises(TypeError, match=f"response_type must be a model's class or .*{named}"):
            client.call_api("/x", "GET", response_type=wrong)
    with pytest.raises(TypeError, match=f"not {kind.__name__}"):
        client.call_api("/x", "GET", response_type=kind())
    with pytest.raises(TypeError, match="unexpected keyword argument 'resp'"):
        client.call_api("/x", "GET", resp=kind)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", ["post_params", "files", "collection_formats"])
def test_call_api_refuses_what_this_api_has_not(
    name: str, client: stcloud.ApiClient, httpserver: HTTPServer
) -> None:
    """Forms and files would otherwise be lost without a word."""
    settings: dict[str, Any] = {name: {"a": "b"}}
    with pytest.raises(ValueError, match=f"{name} must be empty"):
        client.call_api("/x", "POST", **settings)
    assert httpserver.log == []


@pytest.mark.parametrize("method", ["GET /other", "", "G\u00c9T"])
def test_call_api_refuses_what_is_no_method(client: stcloud.ApiClient, method: str) -> None:
    """One that could end the request's first line, or cannot stand in it."""
    with pytest.raises(ValueError, match="method must be an HTTP method"):
        client.call_api("/x", method)


@pytest.mark.parametrize("wrong", [-5, "a=b", b"x", [1], len], ids=repr)
@pytest.mark.parametrize(
    "name",
    [
        *("resource_path", "method", "path_params", "query_params", "header_params"),
        *("response_type", "async_req", "_preload_content", "_return_http_data_only"),
        "_request_timeout",
    ],
)
def test_call_api_names_an_argument_of_a_wrong_type(
    client: stcloud.ApiClient, httpserver: HTTPServer, name: str, wrong: object
) -> None:
    """Before anything is sent."""
    arguments: dict[str, Any] = {"resource_path": "/x", "method": "GET"}
    with pytest.raises((TypeError, ValueError), match=f"^{name} "):
        client.call_api(**arguments | {name: wrong})
    assert httpserver.log == []


class Region(str, Enum):  # noqa: UP042  # as programs still write it
    EU = "eu"


class Size(Enum):
    LARGE = 5


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Region.EU, "eu"),
        (Size.LARGE, "5"),
        (True, "true"),
        (1.5, "1.5"),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
    ],
    ids=str,
)
def test_value_has_one_text_in_path_and_query(
    value: object, text: str, client: stcloud.ApiClient, respond: Respond, httpserver: HTTPServer
) -> None:
    """Enums give their value, true and false are JSON's, dates are ISO; None is left out."""
    respond("{}")
    query = {"q": value, "list": [value, None], "none": None}
    client.call_api("/x/{value}", "PUT", {"value": value}, query, body={"value": value})
    request, _ = httpserver.log[-1]
    assert request.path == f"/x/{text}"
    assert request.args.to_dict(flat=False) == {"q": [text], "list": [text]}
    assert str(request.get_json()["value"]).lower() == text.lower()


@pytest.mark.parametrize(
    ("value", "error"), [(None, ValueError), ([1], TypeError), ({"a": 1}, TypeError)]
)
def test_path_parameter_is_a_single_value(
    value: object, error: type[Exception], client: stcloud.ApiClient, httpserver: HTTPServer
) -> None:
    """Anything else names the parameter, before anything is sent."""
    with pytest.raises(error, match="path parameter 'value'"):
        client.call_api("/x/{value}", "GET", {"value": value})
    assert httpserver.log == []


def test_call_api_can_leave_the_key_out(
    client: stcloud.ApiClient, respond: Respond, httpserver: HTTPServer
) -> None:
    """An empty list of authorizations sends no key."""
    respond("{}")
    client.call_api("/x", "GET", auth_settings=[])
    client.call_api("/x", "GET", auth_settings=["api_key"])
    assert ["Authorization" in request.headers for request, _ in httpserver.log] == [False, True]


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("x", {}),
        ("https://elsewhere.example/x", {}),
        ("/x\r\nHost: evil", {}),
        ("/x y", {}),
        ("/x?q=1", {}),
        ("/x#f", {}),
        ("/{appId}", {}),
        ("/\u00e9", {}),
        ("/apps/{a}/x", {"a": ".."}),
        ("/apps/{a}/x", {"a": "."}),
        ("/apps/{a}/x", {"a": ""}),
    ],
)
def test_bad_path_is_refused(
    path: str, parameters: dict[str, str], client: stcloud.ApiClient, httpserver: HTTPServer
) -> None:
    """What would be another path, or none, raises before anything is sent."""
    with pytest.raises(ValueError, match="path"):
        client.call_api(path, "GET", parameters)
    assert httpserver.log == []


def test_safe_characters_of_path_parameters(
    client: stcloud.ApiClient, respond: Respond, httpserver: HTTPServer
) -> None:
    """Characters named safe are not quoted."""
    respond("{}")
    client.configuration.safe_chars_for_path_param = "/"
    client.call_api("/{a}", "GET", {"a": "b/c d"})
    assert httpserver.log[-1][0].environ["REQUEST_URI"] == "/b/c%20d"


@pytest.mark.parametrize(
    ("value", "kind", "what"),
    [
        (float("nan"), ValueError, "NaN and infinity have"),
        (float("inf"), ValueError, "NaN and infinity have"),
        ("\ud800", ValueError, "lone surrogates have"),
        (object(), TypeError, "object has"),
        (ENDLESS, ValueError, "what contains itself, or is nested too deeply, has"),
    ],
)
def test_what_json_cannot_hold_is_refused(
    client: stcloud.ApiClient,
    httpserver: HTTPServer,
    value: object,
    kind: type[Exception],
    what: str,
) -> None:
    """Numbers that JSON has not, and what else it cannot hold, are not sent."""
    extended = stcloud.CreateTokenDto("x", additional_properties={"n": value})
    api = stcloud.TokensApiControllerApi(client)
    for call in (
        lambda: client.call_api("/x", "POST", body=[{"n": value}]),
        lambda: api.create_app_token(extended, 5),
    ):
        with pytest.raises(kind, match=f"^{what} no place in JSON$"):
            call()
    assert httpserver.log == []


def test_field_of_ones_own_is_sent_as_others_are(
    remote: stcloud.TokensApiControllerApi, respond: Respond, httpserver: HTTPServer
) -> None:
    """A date, for example."""
    respond('{"success": true}')
    extra = {"until": datetime(2026, 1, 2, tzinfo=UTC)}
    remote.create_app_token(stcloud.CreateTokenDto(additional_properties=extra), 5)
    assert httpserver.log[-1][0].json == {"until": "2026-01-02T00:00:00+00:00"}


def test_key_under_another_name_is_explained(remote: stcloud.TokensApiControllerApi) -> None:
    """It would never be sent."""
    remote.api_client.configuration.api_key = {"apiKey": KEY}
    with pytest.raises(ValueError, match=r"^api_key has no item 'Authorization'"):
        remote.get_app_tokens1(5)
    remote.api_client.configuration.api_key = ""
    with pytest.raises(ValueError, match=r"^there is no API key"):
        remote.get_app_tokens1(5)


def test_sanitize_makes_plain_data(client: stcloud.ApiClient) -> None:
    """Models, dates and containers become what JSON can hold; None in a model is left out."""
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    token = stcloud.TokenDto(id=1, created_at=moment)
    assert client.sanitize_for_serialization(
        {"a": (token, None), 2: [True, 1.5, "x", date(2026, 1, 2)]}
    ) == {
        "a": [{"id": 1, "createdAt": "2026-01-02T00:00:00+00:00"}, None],
        "2": [True, 1.5, "x", "2026-01-02"],
    }


def test_default_headers_are_sent(
    respond: Respond, remote: stcloud.TokensApiControllerApi, httpserver: HTTPServer
) -> None:
    """Header, cookie and user agent of the client go with every request, each once."""
    respond('{"success": true}')
    configuration = remote.api_client.configuration
    with stcloud.ApiClient(configuration, "x-team", "blue", cookie="c=1") as client:
        client.user_agent = "mine/1"
        client.set_default_header("X-Late", "yes")
        client.set_default_header("x-late", "later")
        client.default_headers["X-Gone"] = "x"
        client.set_default_header("X-Gone", None)
        stcloud.TokensApiControllerApi(client).get_app_tokens1(5)
        assert client.user_agent == "mine/1"
    headers = httpserver.log[-1][0].headers
    names = ["X-Team", "Cookie", "User-Agent", "X-Late", "X-Gone"]
    assert [headers.getlist(name) for name in names] == [
        ["blue"],
        ["c=1"],
        ["mine/1"],
        ["later"],
        [],
    ]


def test_authorization_can_be_a_default_header(
    respond: Respond, remote: stcloud.TokensApiControllerApi, httpserver: HTTPServer
) -> None:
    """A client with the header itself needs no key; a configured key goes first."""
    respond('{"success": true}')
    configuration = stcloud.Configuration(host=remote.api_client.configuration.host)
    with stcloud.ApiClient(configuration, "authorization", "apiKey own") as client:
        api = stcloud.TokensApiControllerApi(client)
        api.get_app_tokens1(5)
        configuration.api_key["Authorization"] = "configured"
        api.get_app_tokens1(5)
    sent = [request.headers.getlist("Authorization") for request, _ in httpserver.log]
    assert sent == [["apiKey own"], ["apiKey configured"]]


@pytest.mark.parametrize(
    ("name", "value"), [("X-A", "b\r\nX-C: d"), ("X\n", "b"), ("X-A", "\u0100")]
)
def test_bad_header_is_refused(
    name: str, value: str, client: stcloud.ApiClient, httpserver: HTTPServer
) -> None:
    """A header that would break the request is refused wherever it is passed."""
    for give in (
        lambda: client.set_default_header(name, value),
        lambda: client.default_headers.update({name: value}),
        lambda: client.call_api("/x", "GET", header_params={name: value}),
        lambda: stcloud.ApiClient(client.configuration, name, value),
    ):
        with pytest.raises(ValueError, match="header"):
            give()
    assert httpserver.log == []


def test_header_without_a_text_is_none(
    client: stcloud.ApiClient, respond: Respond, httpserver: HTTPServer
) -> None:
    """None and the empty text take a header out of one request."""
    respond("{}")
    client.set_default_header("X-A", "a")
    empty: Any = {"x-a": None, "X-B": "", "X-C": b""}
    client.call_api("/x", "GET", header_params=empty)
    assert not {"X-A", "X-B", "X-C"} & {name for name, _ in httpserver.log[-1][0].headers}


@pytest.mark.parametrize("value", [0, False, [], {}, 1])
def test_header_whose_value_is_no_text_is_a_type_error(
    value: Any, client: stcloud.ApiClient
) -> None:
    """What is false is no absent value: None and the empty text are."""
    for give in (
        lambda: client.set_default_header("X-A", value),
        lambda: client.configuration.api_key.update(Authorization=value),
        lambda: client.call_api("/x", "GET", header_params={"X-A": value}),
    ):
        with pytest.raises(TypeError, match="must be str or bytes, not"):
            give()


def test_header_name_that_is_no_text_is_a_type_error(client: stcloud.ApiClient) -> None:
    """Before anything else is done with it."""
    name: Any = 5
    with pytest.raises(TypeError, match="header_name"):
        client.set_default_header(name, "x")


def test_fields_of_wrong_types_are_type_errors(client: stcloud.ApiClient) -> None:
    """Wherever a model is passed."""
    name: Any = 3
    body = stcloud.CreateTokenDto(name=name)
    with pytest.raises(TypeError, match=r"CreateTokenDto\.name: expected str"):
        client.call_api("/x", "POST", body=body)
    with pytest.raises(TypeError, match=r"CreateTokenDto\.name: expected str"):
        client.sanitize_for_serialization([body])


@pytest.mark.parametrize("value", ["a/../b", "/a", "a?b", "a#b", "..", "a/"])
def test_no_safe_character_leads_elsewhere(
    client: stcloud.ApiClient, httpserver: HTTPServer, value: str
) -> None:
    """Whatever is not quoted, a parameter stays in its place."""
    client.configuration.safe_chars_for_path_param = "/?#"
    with pytest.raises(ValueError, match="another path"):
        client.call_api("/x/{a}/y", "GET", {"a": value})
    assert httpserver.log == []


def test_base_path_precedes_every_path(
    client: stcloud.ApiClient, respond: Respond, httpserver: HTTPServer
) -> None:
    """A host with a path, and a host changed later, are used as they are now."""
    respond("{}")
    client.call_api("/x", "GET")
    client.configuration.host = httpserver.url_for("/base/") + "/"
    client.call_api("/x", "GET")
    assert [request.path for request, _ in httpserver.log] == ["/x", "/base/x"]


def test_content_type_can_be_another(
    client: stcloud.ApiClient, respond: Respond, httpserver: HTTPServer
) -> None:
    """A header of the request comes before the client's own."""
    respond("{}")
    kind = "application/merge-patch+json"
    client.call_api("/x", "PATCH", header_params={"content-type": kind}, body={})
    assert httpserver.log[-1][0].headers["Content-Type"] == kind


def test_time_limit_of_a_call_allows_as_much_silence(
    client: stcloud.ApiClient, httpserver: HTTPServer
) -> None:
    """A call that may take longer is not ended by the configured read timeout."""

    def respond_late(_: werkzeug.wrappers.Request) -> Response:
        time.sleep(0.5)
        return Response("{}")

    httpserver.expect_request("/x").respond_with_handler(respond_late)
    client.configuration.read_timeout = 0.1
    assert client.call_api("/x", "GET", _request_timeout=20)[1] == 200


def test_raw_responses_use_nothing_up(
    remote: stcloud.TokensApiControllerApi, respond: Respond
) -> None:
    """Raw responses, read or not, closed or not, leave other calls their connections."""
    respond('{"success": true}')
    configuration = remote.api_client.configuration
    configuration.connection_pool_maxsize = 2
    with stcloud.ApiClient(configuration) as client:
        api = stcloud.TokensApiControllerApi(client)
        kept = [api.get_app_tokens1(5, _preload_content=False) for _ in range(5)]
        for raw in kept:
            raw.close()
        assert api.get_app_tokens1(5, _request_timeout=20).success is True


def test_cookie_can_be_set_later(
    client: stcloud.ApiClient, respond: Respond, httpserver: HTTPServer
) -> None:
    """The attribute of the generated client works, None takes it away."""
    respond("{}")
    for cookie in ("a=b", None):
        client.cookie = cookie
        client.call_api("/x", "GET")
        assert httpserver.log[-1][0].headers.get("Cookie") == cookie == client.cookie


def test_configuration_must_be_one(client: stcloud.ApiClient) -> None:
    """Something else than a configuration is refused."""
    with pytest.raises(TypeError, match="configuration must be Configuration, not dict"):
        stcloud.ApiClient({})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="configuration must be Configuration, not dict"):
        client.configuration = {}  # type: ignore[assignment]


def test_configuration_can_be_replaced(api: stcloud.TokensApiControllerApi) -> None:
    """Key and host change together: no key goes to another configuration's host."""
    client = api.api_client
    with Sandbox(app_id=5) as other:
        client.configuration = stcloud.Configuration(host=other.url, api_key=other.api_key)
        assert api.get_app_tokens1(5).success


def test_default_headers_can_be_replaced(
    client: stcloud.ApiClient, respond: Respond, httpserver: HTTPServer
) -> None:
    """They are checked as single ones are."""
    respond("{}")
    client.default_headers = {"X-Only": "1"}
    client.call_api("/x", "GET")
    assert httpserver.log[-1][0].headers["X-Only"] == "1"
    with pytest.raises(ValueError, match="printable ASCII"):
        client.default_headers = {"X-Bad": "a\nb"}


def test_request_shows_no_key() -> None:
    """A request, as a traceback's variables would show it, hides its headers."""
    options: Any = None
    headers = {"Authorization": "apiKey made-up"}
    request = Request("name", {}, "GET", "/apps/5/tokens", headers, None, None, options)
    assert repr(request) == "<Request GET /apps/5/tokens>"


def test_client_works_after_close(api: stcloud.TokensApiControllerApi, sandbox: Sandbox) -> None:
    """Closing ends connections and threads, waits for what runs, and may come twice."""
    later = [api.get_app_tokens1(sandbox.app_id, async_req=True) for _ in range(20)]
    api.api_client.close()
    assert all(result.ready() for result in later)
    api.api_client.close()
    assert api.get_app_tokens1(sandbox.app_id, async_req=True).get(10).success is True


def test_threads_start_at_first_use(api: stcloud.TokensApiControllerApi, sandbox: Sandbox) -> None:
    """A client that never works in the background starts no thread."""
    before = threading.active_count()
    api.get_app_tokens1(sandbox.app_id)
    assert threading.active_count() <= before + 1  # the sandbox may start one for the connection
    assert "multiprocessing.pool" not in run_quietly(
        "import sys, stcloud; stcloud.ApiClient(); print(*sys.modules)"
    )


def run_quietly(script: str) -> str:
    """Run a script with all warnings as errors; nothing may appear on stderr."""
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", script]
    # As users run it: coverage, where it measures, would do work of its own at the end.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_PROCESS")}
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=50, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


SCRIPT = """
import stcloud
api = stcloud.TokensApiControllerApi(
    stcloud.ApiClient(stcloud.Configuration(host={host!r}, api_key={key!r}))
)
"""


AT_EXIT_BEFORE_ALL = """
import atexit
def at_exit():
    api.create_app_token({}, 789)
    api.create_app_token({}, 789)
    api.api_client.close()
atexit.register(at_exit)
api.create_app_token({}, 789)
"""
"""Calls after urllib3 has closed what it had open: it registers for the end at the first call."""

IN_BACKGROUND_AT_EXIT = """
import atexit
def at_exit():
    try:
        api.create_app_token({}, 789, async_req=True)
    except RuntimeError as error:
        assert "without async_req" in str(error), error
        api.create_app_token({}, 789)
        api.api_client.close()
atexit.register(at_exit)
"""


@pytest.mark.parametrize(
    ("rest_of_script", "tokens"),
    [
        ("api.create_app_token({}, 789)", 1),
        ("api.create_app_token({}, 789, async_req=True)", 1),
        ("[api.create_app_token({}, 789, async_req=True) for _ in range(30)]", 30),
        ("api.create_app_token({}, 789, async_req=True).get(10); del api", 1),
        ("kept = api.get_app_tokens1(789, _preload_content=False)", 0),
        ("import atexit; atexit.register(api.create_app_token, {}, 789)", 1),
        (AT_EXIT_BEFORE_ALL, 3),
        (IN_BACKGROUND_AT_EXIT, 1),
        (f"{IN_BACKGROUND_AT_EXIT}api.create_app_token({{}}, 789, async_req=True)", 2),
    ],
)
def test_script_that_closes_nothing_ends_quietly(
    rest_of_script: str, tokens: int, sandbox: Sandbox, api: stcloud.TokensApiControllerApi
) -> None:
    """Nothing is printed at the end, and what was asked in the background is done."""
    run_quietly(SCRIPT.format(host=sandbox.url, key=sandbox.api_key) + rest_of_script)
    listed = api.get_app_tokens1(sandbox.app_id)
    assert listed.data is not None
    assert len(listed.data.tokens or []) == tokens
