"""What the logger reports: one line for each call, with fields, without secrets."""

import logging
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from operations import IDEMPOTENT, OPERATIONS

import stcloud
from stcloud.sandbox import Fault, Sandbox

Connect = Callable[..., stcloud.TokensApiControllerApi]

PAGE = Path(__file__).parents[1] / "docs" / "logging.md"
LOGGER = logging.getLogger("stcloud")
FIELDS = {
    "stcloud_operation": "str",
    "stcloud_app_id": "int or None",
    "stcloud_token_id": "int or None",
    "stcloud_status": "int",
    "stcloud_attempts": "int",
    "stcloud_duration": "float",
    "stcloud_error": "str or None",
}
FAULTS = {
    "refused": (Fault.status(403), 403, "ForbiddenException"),
    "down": (Fault.status(503), 503, "ServiceException"),
    "lost": (Fault.reset(), 0, "ConnectionException"),
    "silent": (Fault.hang(5), 0, "TimeoutException"),
    "no JSON": (Fault.body(b"<html>"), 200, "UnexpectedResponseException"),
    "unsuccessful": (Fault.body(b'{"success": false}'), 200, "UnsuccessfulResponseException"),
}


class RecordingHandler(logging.Handler):
    """Keeps the records of the calls made so far."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == LOGGER.name:  # and not the sandbox's, which is below it
            self.records.append(record)

    def one(self) -> tuple[str, dict[str, Any]]:
        """Return message and fields of the only record; its duration is checked and left out."""
        (record,) = self.records
        assert record.levelno == logging.INFO
        usual = vars(logging.makeLogRecord({})).keys() | {"message", "asctime"}  # of a formatter
        fields = {name: value for name, value in vars(record).items() if name not in usual}
        assert list(fields) == list(FIELDS)
        seconds = fields.pop("stcloud_duration")
        assert 0 < seconds < 30
        message = record.getMessage()
        assert f" after {seconds:.3f} s, " in message
        return re.sub(" after .*? s,", "", message), fields


def ids(operation: str) -> dict[str, int | None]:
    has_token = "{tokenId}" in OPERATIONS[operation].path
    return {"stcloud_app_id": 789, "stcloud_token_id": 1001 if has_token else None}


def shown(operation: str) -> str:
    return operation + "".join(
        f" {name.removeprefix('stcloud_')}={value}"
        for name, value in ids(operation).items()
        if value
    )


@pytest.fixture
def token(sandbox: Sandbox, api: stcloud.TokensApiControllerApi) -> str:
    """The value of the app's only token, whose id is 1001."""
    response: Any = api.create_app_token({"name": "old"}, sandbox.app_id)
    assert response.data.token.id == 1001
    return str(response.data.token.token)


@pytest.fixture
def recorded(
    sandbox: Sandbox, api: stcloud.TokensApiControllerApi, token: str
) -> Iterator[RecordingHandler]:
    """What is logged; in the end, no attribute of it holds the key or a token's value."""
    recorded = RecordingHandler()
    LOGGER.setLevel(logging.INFO)
    LOGGER.addHandler(recorded)
    yield recorded
    LOGGER.removeHandler(recorded)
    response: Any = api.get_app_tokens1(sandbox.app_id)
    secrets = {sandbox.api_key, token, *(entry.token for entry in response.data.tokens)}
    text = repr([(record.getMessage(), vars(record)) for record in recorded.records])
    assert [secret for secret in secrets if secret in text] == []


@pytest.mark.parametrize("form", ["", "_with_http_info"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_success(connect: Connect, recorded: RecordingHandler, operation: str, form: str) -> None:
    """A call that succeeds is logged once, with all fields."""
    getattr(connect(), operation + form)(*OPERATIONS[operation].arguments(789, 1001))
    message, fields = recorded.one()
    assert message == f"{shown(operation)}: 200 attempts: 1"
    assert fields == {
        "stcloud_operation": operation,
        **ids(operation),
        "stcloud_status": 200,
        "stcloud_attempts": 1,
        "stcloud_error": None,
    }


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_failure(
    sandbox: Sandbox, connect: Connect, recorded: RecordingHandler, operation: str, fault: str
) -> None:
    """A call that fails is logged once, after its last attempt, with the exception's name."""
    what, status, error = FAULTS[fault]
    repeated = {"down": 4, "lost": 4, "silent": 3}.get(fault, 1)  # a timeout costs more
    attempts = repeated if operation in IDEMPOTENT else 1
    sandbox.fail_next(operation, what, times=attempts)
    api = connect(read_timeout=0.1 if fault == "silent" else 30)
    with pytest.raises(stcloud.ApiException):
        getattr(api, operation)(*OPERATIONS[operation].arguments(789, 1001))
    message, fields = recorded.one()
    result = f"{status} {error}" if status else error
    assert message == f"{shown(operation)}: {result} attempts: {attempts}"
    assert fields == {
        "stcloud_operation": operation,
        **ids(operation),
        "stcloud_status": status,
        "stcloud_attempts": attempts,
        "stcloud_error": error,
    }


def test_success_after_retries(
    sandbox: Sandbox, connect: Connect, recorded: RecordingHandler
) -> None:
    """Attempts that failed show in the count alone."""
    sandbox.fail_next("get_app_tokens1", Fault.status(503), times=2)
    connect().get_app_tokens1(789)
    message, fields = recorded.one()
    assert message == "get_app_tokens1 app_id=789: 200 attempts: 3"
    assert (fields["stcloud_attempts"], fields["stcloud_error"]) == (3, None)


def test_deleted_by_an_earlier_attempt(
    sandbox: Sandbox, connect: Connect, recorded: RecordingHandler
) -> None:
    """A deletion that an earlier attempt has done is no error, and the message says why."""
    sandbox.fail_next("delete_app_token1", Fault.lost_response())
    connect().delete_app_token1(789, 1001)
    message, fields = recorded.one()
    assert message.endswith(
        ": 404 attempts: 2, deleted by an earlier attempt, whose response was lost"
    )
    assert fields == {
        "stcloud_operation": "delete_app_token1",
        **ids("delete_app_token1"),
        "stcloud_status": 404,
        "stcloud_attempts": 2,
        "stcloud_error": None,
    }


def test_call_of_any_path(connect: Connect, recorded: RecordingHandler, token: str) -> None:
    """`call_api` is named by method and path, as they were before parameters came in."""
    path = f"/users-web/{token}/{{appId}}/{{tokenId}}"
    parameters = {"appId": 789, "tokenId": token}
    with pytest.raises(stcloud.NotFoundException):
        connect().api_client.call_api(path, "get", parameters, {"q": token})
    message, fields = recorded.one()
    name = f"GET /users-web/****{token[-4:]}/{{appId}}/{{tokenId}}"
    assert message == f"{name}: 404 NotFoundException attempts: 1"
    assert fields == {
        "stcloud_operation": name,
        "stcloud_app_id": None,
        "stcloud_token_id": None,
        "stcloud_status": 404,
        "stcloud_attempts": 1,
        "stcloud_error": "NotFoundException",
    }


def test_call_in_the_background(
    sandbox: Sandbox, connect: Connect, recorded: RecordingHandler
) -> None:
    """A call with `async_req` is logged when it ends, by the thread that made it."""
    sandbox.fail_next("get_app_tokens1", Fault.status(403))
    result: Any = connect().get_app_tokens1(789, async_req=True)
    with pytest.raises(stcloud.ForbiddenException):
        result.get(10)
    _, fields = recorded.one()
    assert fields["stcloud_error"] == "ForbiddenException"
    assert recorded.records[0].thread != threading.get_ident()


def test_raw_response(connect: Connect, recorded: RecordingHandler) -> None:
    """A call whose body nobody has read yet has ended."""
    response: Any = connect().get_app_tokens1(789, _preload_content=False)
    with response:
        _, fields = recorded.one()
        assert (fields["stcloud_status"], fields["stcloud_error"]) == (200, None)


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ((), {}),
        ((0,), {}),
        ((7.5,), {}),
        ((789,), {"unknown": 1}),
        ((789,), {"_request_timeout": -1}),
        ((789,), {"_request_timeout": -1, "async_req": True}),
    ],
)
def test_refused_argument_is_no_call(
    connect: Connect,
    recorded: RecordingHandler,
    arguments: tuple[Any, ...],
    options: dict[str, Any],
) -> None:
    """Where nothing could be sent, there is no line."""
    with pytest.raises((ValueError, TypeError)):
        connect().get_app_tokens1(*arguments, **options)
    with pytest.raises(ValueError, match="no API key"):
        connect(api_key=None).get_app_tokens1(789)
    assert recorded.records == []


@pytest.mark.parametrize("place", ["stcloud.rest.RestClient.request", "time.sleep"])
def test_interrupted_call(
    sandbox: Sandbox,
    connect: Connect,
    recorded: RecordingHandler,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    """Ctrl-C, amid an attempt or between two, ends a call without a response."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    api = connect()
    sandbox.fail_next("update_app_token", Fault.status(503))
    with monkeypatch.context() as patched:
        patched.setattr(place, interrupt)
        with pytest.raises(KeyboardInterrupt):
            api.update_app_token({}, 789, 1001)
    message, fields = recorded.one()
    assert message == "update_app_token app_id=789 token_id=1001: KeyboardInterrupt attempts: 1"
    assert (fields["stcloud_status"], fields["stcloud_error"]) == (0, "KeyboardInterrupt")


def test_no_record_is_made_unless_wanted(
    connect: Connect, recorded: RecordingHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above INFO, not even the text is put together."""

    def fail(_: str) -> str:
        raise AssertionError

    LOGGER.setLevel(logging.WARNING)
    monkeypatch.setattr("stcloud.logs.mask_uuids", fail)
    connect().get_app_tokens1(789)
    assert recorded.records == []


@pytest.mark.parametrize(
    ("settings", "level", "levels"),
    [
        ({}, logging.NOTSET, ["INFO"]),
        ({}, logging.WARNING, []),
        ({}, logging.DEBUG, ["DEBUG", "INFO"]),
        ({"debug": True}, logging.NOTSET, ["DEBUG", "INFO"]),
        ({"debug": True}, logging.WARNING, ["DEBUG", "INFO"]),
    ],
)
def test_log_file(
    connect: Connect, tmp_path: Path, settings: dict[str, Any], level: int, levels: list[str]
) -> None:
    """A file gets a line for each call, with debug for each attempt; a level set before stays."""
    LOGGER.setLevel(level)
    file = tmp_path / "log.txt"
    api = connect(logger_file=file, logger_format="%(name)s: %(levelname)s", **settings)
    api.get_app_tokens1(789)
    own = [line for line in file.read_text().splitlines() if line.startswith("stcloud: ")]
    assert own == [f"stcloud: {name}" for name in levels]


def test_clients_share_a_log_file(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line comes once, also where the file is named relative to the working directory."""
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        api = connect(logger_file="log.txt")
    api.get_app_tokens1(789)
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert len([line for line in lines if "get_app_tokens1" in line]) == 1


@pytest.mark.parametrize(
    ("settings", "lines"),
    [
        ("", []),
        ("debug=True", ["DEBUG GET /users-web", "INFO get_app_tokens1"]),
        ("logger_file='log.txt'", []),
    ],
)
def test_standard_error(sandbox: Sandbox, tmp_path: Path, settings: str, lines: list[str]) -> None:
    """Without a listener only debug writes to stderr, a line for each attempt and each call."""
    program = (
        "import stcloud; "
        f"configuration = stcloud.Configuration(host={sandbox.url!r}, api_key={sandbox.api_key!r},"
        f" logger_format='%(levelname)s %(message)s', {settings}); "
        "stcloud.TokensApiControllerApi(stcloud.ApiClient(configuration)).get_app_tokens1(789)"
    )
    command = [sys.executable, "-W", "error", "-c", program]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    for line, start in zip(result.stderr.splitlines(), lines, strict=True):
        assert line.startswith(start)


def test_standard_error_may_be_replaced_later(sandbox: Sandbox) -> None:
    """A client may be made while it is redirected, to what is closed afterwards."""
    program = (
        "import contextlib, io, stcloud\n"
        f"settings = dict(host={sandbox.url!r}, api_key={sandbox.api_key!r}, debug=True)\n"
        "with io.StringIO() as short, contextlib.redirect_stderr(short):\n"
        "    client = stcloud.ApiClient(stcloud.Configuration(**settings))\n"
        "stcloud.TokensApiControllerApi(client).get_app_tokens1(789)\n"
    )
    command = [sys.executable, "-W", "error", "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(result.stderr.splitlines()) == 2
    assert "get_app_tokens1" in result.stderr


def test_page_lists_the_fields() -> None:
    """The documentation has each field with its type, and no other."""
    table = re.findall(r"^\| `(stcloud_\w+)` \| (.+?) \|", PAGE.read_text(encoding="utf-8"), re.M)
    assert dict(table) == FIELDS


def test_value_instead_of_a_name_is_masked(
    sandbox: Sandbox, api: stcloud.TokensApiControllerApi, recorded: RecordingHandler, token: str
) -> None:
    """Someone passes a token's value where its name belongs: no line and no error shows it."""
    manager = stcloud.TokenManager(api, sandbox.app_id)
    with pytest.raises(stcloud.MissingTokenException) as missing:
        manager.rotate(token, print)
    manager.ensure(token)
    manager.rotate(token, lambda _: None)
    api.update_app_token({"enabled": True}, sandbox.app_id, 1002)
    manager.finish_rotations()  # warns of that
    assert any(record.levelno == logging.WARNING for record in recorded.records)
    with pytest.raises(stcloud.TokenDriftException) as drift:
        manager.ensure(token, readable=True, writeable=False)
    misplaced: Any = {token: "shipper"}
    with pytest.raises(TypeError) as unknown:
        api.create_app_token(misplaced, sandbox.app_id)
    texts = [str(raised.value) for raised in (missing, drift, unknown)]
    texts += [record.getMessage() for record in recorded.records]
    assert [text for text in texts if token in text] == []
    assert sum(token[-4:] in text for text in texts) >= 5


@pytest.mark.parametrize("setting", ["ssl_ca_cert", "cert_file", "key_file", "logger_file"])
@pytest.mark.parametrize("place", ["absent/{}", "{}"])
def test_key_instead_of_a_path_is_masked(
    sandbox: Sandbox, setting: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    key = place.format(sandbox.api_key)
    if place == "{}":  # a folder, which ssl_ca_cert may be
        Path(f"{key}-" if setting == "ssl_ca_cert" else key).mkdir()
    misplaced: dict[str, Any] = {setting: key}
    with pytest.raises(ValueError, match=f"^{setting} must be .*{key[-4:]}") as raised:
        stcloud.Configuration(**misplaced)
    assert sandbox.api_key not in str(raised.value)


def test_key_instead_of_other_texts_is_masked(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key, configuration = sandbox.api_key, stcloud.Configuration()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / key))
    nowhere = stcloud.Configuration(host="https://127.0.0.1:9", api_key=key)
    with stcloud.ApiClient(nowhere) as client:
        for misplace in (
            lambda: client.call_api("/x", "GET"),
            lambda: client.call_api("/x", key),
            lambda: client.set_default_header(key, "\n"),
            lambda: configuration.api_key.update({key: "\n"}),
            lambda: setattr(configuration, key, 1),
        ):
            with pytest.raises((ValueError, AttributeError), match=key[-4:]) as raised:
                misplace()
            assert key not in str(raised.value)
    for error in (
        stcloud.MissingTokenException(key),
        stcloud.TokenDriftException(key, {}, {}),
        stcloud.TokenManagerException("two", key),
    ):
        assert key not in f"{error} {error!r}"
        assert key[-4:] in str(error)
