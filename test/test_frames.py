"""Error trackers report the local variables of frames: none of ours holds a key or a token."""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from types import TracebackType
from typing import Any, NoReturn

import pytest
from scripted_server import Reply, ScriptedServer, response, unused_address

import stcloud
from stcloud._redaction import linked_exceptions

Api = stcloud.TokensApiControllerApi
KEY = "made-up-key-of-this-test"
TOKEN = "made-up-token-of-this-test"  # made up
UNREADABLE = json.dumps({"success": True, "data": {"token": {"id": "x", "token": TOKEN}}}).encode()
CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + UNREADABLE


def connected(host: str, **settings: Any) -> Api:
    configuration = stcloud.Configuration(host=host, api_key=KEY, retries=0, **settings)
    return Api(stcloud.ApiClient(configuration))


def refused() -> None:
    with closing((api := connected(f"http://{unused_address()}")).api_client):
        api.create_app_token({"name": "x"}, 5)


def no_such_host() -> None:
    with closing((api := connected("https://nothing.invalid")).api_client):
        api.regenerate_app_token1(5, 7)


def no_tls() -> None:
    with ScriptedServer(b"no TLS\r\n") as server:
        host = server.url.replace("http", "https", 1)
        with closing((api := connected(host)).api_client):
            api.get_app_tokens1(5)


def replied(reply: Reply | bytes, **options: Any) -> Callable[[], None]:
    def call() -> None:
        with ScriptedServer(reply) as server:
            api = connected(server.url, read_timeout=0.2)
            with closing(api.api_client):
                result: Any = api.regenerate_app_token1(5, 7, **options)
                result.get(20)

    return call


def bad_header() -> None:
    stcloud.Configuration(api_key=f"{KEY}\n")


def bad_setting() -> None:
    stcloud.Configuration(api_key=KEY, apikey=KEY)  # type: ignore[call-arg]


def bad_assignment() -> None:
    stcloud.Configuration().api_key = f"{KEY}\n"


def bad_item() -> None:
    stcloud.Configuration().api_key["Authorization"] = f"{KEY}\n"


def bad_option() -> None:
    with closing((api := connected("http://127.0.0.1:9")).api_client):
        api.api_client.call_api("/x", "GET", _request_timeout=-1)


def bad_body() -> None:
    with closing((api := connected("http://127.0.0.1:9")).api_client):
        api.api_client.call_api("/x", "POST", body={"token": TOKEN, "x": float("nan")})


def bad_header_of_a_request() -> None:
    with closing((api := connected("http://127.0.0.1:9")).api_client):
        headers = {"Authorization": f"apiKey {KEY}", "X-Trace": "two\nlines"}
        api.api_client.call_api("/x", "GET", header_params=headers)


def bad_argument_beside_a_key() -> None:
    with closing((api := connected("http://127.0.0.1:9")).api_client):
        headers = {"Authorization": f"apiKey {KEY}"}
        api.api_client.call_api("/x", "GET", header_params=headers, _request_timeout=-1)


def key_of_its_own() -> None:
    reply = response(UNREADABLE, "403 Forbidden")
    with ScriptedServer(reply) as server, closing((api := connected(server.url)).api_client):
        headers = {"Authorization": f"apiKey {KEY}"}
        api.api_client.call_api("/x", "POST", header_params=headers, body={"token": TOKEN})


def no_headers() -> None:
    with closing((api := connected("http://127.0.0.1:9")).api_client):
        wrong: Any = f"Authorization: apiKey {KEY}"
        api.api_client.call_api("/x", "GET", header_params=wrong)


def bad_default_header() -> None:
    with closing((api := connected("http://127.0.0.1:9")).api_client):
        api.api_client.set_default_header("Authorization", f"apiKey {KEY}\n")


def bad_header_of_a_client() -> None:
    stcloud.ApiClient(stcloud.Configuration(), "Authorization", f"apiKey {KEY}\n")


def bad_cookie() -> None:
    stcloud.ApiClient(stcloud.Configuration(), cookie=f"{KEY}\n")


def slip_in_a_setting() -> None:
    stcloud.Configuration().apikey = KEY  # type: ignore[attr-defined]


def bad_update_of_keys() -> None:
    stcloud.Configuration().api_key.update({"Authorization": f"{KEY}\n"})


def bad_default_of_keys() -> None:
    stcloud.Configuration().api_key.setdefault("Authorization", f"{KEY}\n")


def token_as_id() -> None:
    with closing((api := connected("http://127.0.0.1:9")).api_client):
        api.delete_app_token1(5, TOKEN)


def token_as_body() -> None:
    with closing((api := connected("http://127.0.0.1:9")).api_client):
        api.update_app_token_with_http_info({"token": TOKEN}, 5, 7)


def token_in_a_query() -> None:
    with closing((api := connected("http://127.0.0.1:9")).api_client):
        api.api_client.call_api("/x", "GET", query_params={"token": TOKEN, "x": object()})


def token_in_a_path() -> None:
    with closing((api := connected("http://127.0.0.1:9")).api_client):
        api.api_client.call_api("/{a}/{b}", "GET", path_params={"a": TOKEN, "b": None})


def token_that_is_sanitized() -> None:
    with closing((api := connected("http://127.0.0.1:9")).api_client):
        api.api_client.sanitize_for_serialization({"token": TOKEN, "x": object()})


def field_that_comes_twice() -> None:
    stcloud.TokenDto.from_dict({"token": TOKEN, "createdAt": None, "created_at": None})


class Interruption(BaseException):
    """As Ctrl-C, or a worker's soft timeout."""


def interrupted() -> None:
    def interrupt(*_: object) -> None:
        raise Interruption

    handler = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with (
            ScriptedServer(Reply(b"", "hang")) as server,
            closing((api := connected(server.url)).api_client),
        ):
            api.create_app_token({"name": "x"}, 5)
    finally:
        signal.signal(signal.SIGALRM, handler)


def broken_in_the_background() -> None:
    def parse(*_: object) -> NoReturn:
        raise LookupError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stcloud._response.parse_success", parse)
        replied(response(UNREADABLE), async_req=True)()


CASES = {
    "refused": refused,
    "name not found": no_such_host,
    "no TLS": no_tls,
    "unreadable 2xx": replied(response(UNREADABLE)),
    "2xx that is cut off": replied(Reply(CUT, "close")),
    "no JSON": replied(response(TOKEN.encode())),
    "no HTTP": replied(Reply(TOKEN.encode() + b"\r\n\r\n", "close")),
    "bad header": replied(b"HTTP/1.1 200 OK\r\n" + TOKEN.encode() + b"\r\n\r\n"),
    "bad chunk": replied(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + TOKEN.encode() + b"\r\n"
    ),
    "time-out": replied(Reply(b"", "hang")),
    "403": replied(response(UNREADABLE, "403 Forbidden")),
    "unsuccessful": replied(response(b'{"success": false, "message": "%s"}' % TOKEN.encode())),
    "in the background": replied(response(UNREADABLE), async_req=True),
    "key that cannot be sent": bad_header,
    "unknown setting": bad_setting,
    "key that is assigned": bad_assignment,
    "key that is an item": bad_item,
    "option that is not allowed": bad_option,
    "body that cannot be sent": bad_body,
    "header of a request that cannot be sent": bad_header_of_a_request,
    "argument that is not allowed, beside a key": bad_argument_beside_a_key,
    "403 with a key of its own": key_of_its_own,
    "text instead of headers": no_headers,
    "default header that cannot be sent": bad_default_header,
    "header of a client that cannot be sent": bad_header_of_a_client,
    "cookie that cannot be sent": bad_cookie,
    "setting that does not exist": slip_in_a_setting,
    "key that is updated": bad_update_of_keys,
    "key that is a default": bad_default_of_keys,
    "token as an id": token_as_id,
    "token as a body": token_as_body,
    "token in a query": token_in_a_query,
    "token in a path": token_in_a_path,
    "token that is sanitized": token_that_is_sanitized,
    "field that comes twice": field_that_comes_twice,
    "interrupted": interrupted,
    "unexpected, in the background": broken_in_the_background,
}


def frames(error: BaseException) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the local variables of all frames but those of tests, causes' and contexts' too."""
    pending: list[BaseException | None] = [error]
    while pending:
        cause = pending.pop()
        if cause is None:
            continue
        pending += [cause.__cause__, cause.__context__]
        traceback: TracebackType | None = cause.__traceback__
        while traceback is not None:
            name = str(traceback.tb_frame.f_globals.get("__name__"))
            if name.partition(".")[0] in (
                "stcloud",
                "urllib3",
                "http",
                "json",
                "socket",
                "collections",
                "_collections_abc",
            ):
                yield f"{name}:{traceback.tb_lineno}", dict(traceback.tb_frame.f_locals)
            traceback = traceback.tb_next


@pytest.mark.parametrize("name", CASES)
def test_no_frame_holds_a_secret(name: str) -> None:
    """Neither as a local variable, nor within one that a tracker unfolds."""
    mistakes = (ValueError, TypeError, AttributeError, LookupError)
    with pytest.raises((stcloud.ApiException, *mistakes, Interruption)) as raised:
        CASES[name]()
    for place, variables in frames(raised.value):
        for variable, value in variables.items():
            shown = unfolded(value)
            assert KEY not in shown, (place, variable)
            assert TOKEN not in shown, (place, variable)


def test_place_of_an_unexpected_error_is_shown() -> None:
    """Its frames stay, without variables."""

    def refresh(_: object) -> None:
        raise KeyError

    with closing((api := connected("http://127.0.0.1:9")).api_client):
        api.api_client.configuration.refresh_api_key_hook = refresh
        with pytest.raises(KeyError) as raised:
            api.get_app_tokens1(5)
    names = [each.name for each in raised.traceback]
    assert names[-3:] == ["_authorize", "get_api_key_with_prefix", "refresh"]
    assert not raised.traceback[-1].frame.f_locals


@pytest.mark.parametrize("name", CASES)
def test_error_that_the_caller_handles_is_left_alone(name: str) -> None:
    """A call that fails meanwhile takes no frames and no variables from it."""

    def fail() -> None:
        here = "of the caller"
        raise LookupError(here)

    def handle() -> None:
        try:
            fail()
        except LookupError:
            with suppress(BaseException):
                CASES[name]()
            raise

    with pytest.raises(LookupError) as raised:
        handle()
    place = raised.traceback[-1]
    assert (place.name, place.frame.f_locals) == ("fail", {"here": "of the caller"})


def unfolded(value: object) -> str:
    """Return what a tracker shows of a value: mappings and sequences as their items."""
    if isinstance(value, dict):
        return " ".join(f"{unfolded(key)} {unfolded(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple, set)):
        return " ".join(map(unfolded, value))
    return repr(value)


@pytest.mark.parametrize("name", ["refused", "unreadable 2xx", "unknown setting"])
def test_sentry_reports_no_secret(name: str) -> None:
    """Its event has the local variables of each frame."""
    sentry_sdk = pytest.importorskip("sentry_sdk", reason="sentry-sdk reports the errors")
    events: list[Any] = []

    def keep(event: Any, _: object) -> None:
        events.append(event)

    sentry_sdk.init(dsn="http://public@127.0.0.1:9/1", before_send=keep, default_integrations=False)
    try:
        try:
            CASES[name]()
        except (stcloud.ApiException, TypeError) as error:
            sentry_sdk.capture_exception(error)
    finally:
        sentry_sdk.init()
    (event,) = events
    values = event["exception"]["values"]
    ours = [
        frame
        for value in values
        for frame in value.get("stacktrace", {"frames": []})["frames"]
        if str(frame["module"]).partition(".")[0] in ("stcloud", "urllib3", "http")
    ]
    assert ours
    assert any(frame["vars"] for frame in ours)
    assert KEY not in json.dumps(ours, default=repr)
    assert TOKEN not in json.dumps(ours, default=repr)


@pytest.mark.parametrize("name", ["refused", "unreadable 2xx"])
def test_structlog_reports_no_secret(name: str) -> None:
    """``dict_tracebacks`` has the local variables of each frame, too."""
    structlog = pytest.importorskip("structlog", reason="structlog renders the tracebacks")
    try:
        CASES[name]()
    except stcloud.ApiException as error:
        information = type(error), error, error.__traceback__
    fields = structlog.processors.dict_tracebacks(None, "error", {"exc_info": information})
    ours = [
        frame
        for part in fields["exception"]
        for frame in part["frames"]
        if "test_frames" not in frame["filename"]
    ]
    assert ours
    assert KEY not in json.dumps(ours)
    assert TOKEN not in json.dumps(ours)


def test_circle_of_causes_is_walked_once() -> None:
    """Code that raises a cause again may make one."""
    first, second = ValueError("first"), ValueError("second")
    first.__context__, second.__cause__ = second, first
    second.args = (first,)
    assert linked_exceptions(first, None) == [first, second]
