"""Many names, night after night: what is skipped, what is due, and what an operator sees."""

import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest
from managed_tokens import DAY, HOUR, NAME, Actor, Connect, Service, create, nothing

import stcloud
from stcloud import TokenManager
from stcloud.sandbox import Fault
from stcloud.token_manager import Event, names

Api = stcloud.TokensApiControllerApi


class Moved:
    """A clock that is ahead of the machine's."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


async def coroutine(_: stcloud.TokenDto) -> None: ...


async def asynchronous_generator(_: stcloud.TokenDto) -> AsyncIterator[None]:
    yield None


def generator(_: stcloud.TokenDto) -> Iterator[None]:
    yield


@pytest.mark.parametrize(
    ("publish", "text"),
    [
        ("file", "publish must be"),
        (None, "publish must be"),
        (coroutine, "publish must be a plain function"),
        (asynchronous_generator, "publish must be a plain function"),
        (generator, "publish must be a plain function"),
    ],
)
def test_publish_is_checked_before_anything_is_made(
    manager: TokenManager, service: Service, publish: Any, text: str
) -> None:
    """Nothing is sent."""
    manager.ensure(NAME)
    before = len(service.sandbox.requests)
    with pytest.raises(TypeError, match=text):
        manager.rotate(NAME, publish)
    assert len(service.sandbox.requests) == before


@pytest.mark.parametrize("run", [coroutine, asynchronous_generator, generator])
def test_what_has_not_run_has_not_published(
    manager: TokenManager, service: Service, run: Callable[[stcloud.TokenDto], object]
) -> None:
    """A plain function may return a coroutine or a generator, which nobody runs."""
    manager.ensure(NAME)
    publish = partial(lambda function, token: function(token), run)
    with pytest.raises(TypeError, match="plain function"):
        manager.rotate(NAME, publish)
    assert service.kinds == [("named", True), ("next", True)]


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("clock", "noon"),
        ("observer", "print"),
        ("observer", coroutine),
        ("keep_disabled", 60),
    ],
)
def test_arguments_are_checked(api: Api, argument: str, value: object) -> None:
    """Where they are passed."""
    with pytest.raises(TypeError, match=f"{argument} must be"):
        TokenManager(api, 7, **{argument: value})  # type: ignore[arg-type]


def test_clock_has_a_time_zone(api: Api) -> None:
    """Else nothing could be compared with the service's dates."""
    with pytest.raises(ValueError, match="time zone"):
        TokenManager(api, 7, clock=datetime.now)
    with pytest.raises(ValueError, match="time zone"):
        TokenManager(api, 7, clock=lambda: "noon")  # type: ignore[arg-type, return-value]


def test_clock_may_have_any_time_zone(api: Api, service: Service) -> None:
    """Steps and names have UTC."""
    zone = timezone(timedelta(hours=9))
    manager = TokenManager(api, service.sandbox.app_id, clock=lambda: datetime.now(zone))
    manager.ensure(NAME)
    rotation = manager.rotate(NAME, nothing, overlap=HOUR)
    assert {step.at.tzinfo for step in rotation.done + rotation.due} == {UTC}
    assert str(rotation).splitlines()[1].endswith(f" at {rotation.done[0].at:%Y-%m-%d %H:%M:%SZ}")
    assert HOUR * 0.9 < rotation.due[0].at - datetime.now(UTC) < HOUR * 1.1


def test_clock_is_moved(api: Api, service: Service) -> None:
    """What is due in an hour is done two hours later."""
    clock = Moved()
    manager = TokenManager(api, service.sandbox.app_id, clock=clock)
    service.publish(manager.ensure(NAME))
    manager.rotate(NAME, service.publish, overlap=HOUR)
    manager.finish_rotations()
    assert service.kinds == [("named", True), ("old", True)]
    clock.ahead = 2 * HOUR
    manager.finish_rotations()
    assert service.kinds == [("named", True), ("off", False)]


PROGRAM = """
import sys
from datetime import UTC, datetime, timedelta, timezone
import stcloud
from stcloud.sandbox import Sandbox

host, key, app_id = sys.argv[1:]
before = datetime.now(UTC)
with {library}(datetime.now(UTC) + timedelta(hours=2)):
    with stcloud.ApiClient(stcloud.Configuration(host=host, api_key=key)) as client:
        api = stcloud.TokensApiControllerApi(client)
        (rotation,) = stcloud.TokenManager(api, app_id).finish_rotations()
        assert [step.step for step in rotation.done] == ["disable"]
        with Sandbox() as own:  # and so does that, if it has no clock
            with stcloud.ApiClient(stcloud.Configuration(host=own.url, api_key=own.api_key)) as c:
                token = stcloud.TokensApiControllerApi(c).create_app_token({}, own.app_id).token
        assert token.created_at >= before + timedelta(hours=1)
"""


@pytest.mark.parametrize("library", ["freezegun.freeze_time", "time_machine.travel"])
def test_time_is_moved_by_libraries(manager: TokenManager, service: Service, library: str) -> None:
    """The manager asks for the time again at each step."""
    service.publish(manager.ensure(NAME))
    manager.rotate(NAME, service.publish, overlap=HOUR)
    sandbox = service.sandbox
    # In a process of its own: freezegun replaces datetime in all modules, and some keep it.
    program = f"import {library.partition('.')[0]}\n" + PROGRAM.replace("{library}", library)
    command = [sys.executable, "-W", "ignore", "-c", program]
    arguments = [sandbox.url, sandbox.api_key, str(sandbox.app_id)]
    subprocess.run([*command, *arguments], check=True, timeout=60)
    assert service.kinds == [("named", True), ("off", False)]


def test_young_token_is_left_and_what_is_due_is_done(api: Api, service: Service) -> None:
    """A night after night: rotated once in thirty days."""
    clock = Moved()
    service.sandbox.clock = clock
    manager = TokenManager(api, service.sandbox.app_id, clock=clock)
    service.publish(manager.ensure(NAME))
    rotated = []
    for _ in range(65):
        clock.ahead += DAY
        rotation = manager.rotate(NAME, service.publish, older_than=30 * DAY)
        rotated += [step.token_id for step in rotation.done if step.step == "publish"]
    assert rotated == [1002, 1003]
    assert service.kinds == [("named", True)]


def test_zero_never_skips(api: Api, service: Service) -> None:
    """Also where the service's clock is ahead."""
    service.sandbox.clock = lambda: datetime.now(UTC) + DAY
    manager = TokenManager(api, service.sandbox.app_id)
    manager.ensure(NAME)
    rotation = manager.rotate(NAME, service.publish, older_than=timedelta(0))
    assert [step.step for step in rotation.done][:2] == ["create", "publish"]


def test_rotate_that_is_overtaken_publishes_the_newer_token(
    manager: TokenManager, api: Api, service: Service
) -> None:
    """Its own would be one more, which the next rotation uses."""
    manager.ensure(NAME)
    slow = Actor(api, service.sandbox.app_id)
    handed: list[int | None] = []
    slow.begin("rotate", lambda one: one.rotate(NAME, lambda token: handed.append(token.id)))
    slow.go_on()  # it has read the list
    manager.rotate(NAME, lambda token: handed.append(token.id))
    while slow.work:
        slow.go_on()
    assert handed == [1002, 1002]


def test_status_changes_nothing(
    manager: TokenManager, api: Api, service: Service, connect: Connect
) -> None:
    """It reads one list, and has each name: due, published half-way, lost, replaced."""
    for name in ("a", "b"):
        manager.ensure(name)
    with pytest.raises(ZeroDivisionError):
        manager.rotate("b", lambda _: 1 / 0)
    create(api, service.sandbox, names.OLD.format("c", 1, datetime.now(UTC)))
    create(api, service.sandbox, "x [new]")
    create(api, service.sandbox, "y" * 81)
    before = len(service.sandbox.requests)
    status = {each.name: each for each in TokenManager(connect(), service.sandbox.app_id).status()}
    (request,) = service.sandbox.requests[before:]
    assert request.method == "GET"
    assert status.keys() == {"a", "b", "c", "x"}
    assert [(step.step, step.token_id) for step in status["b"].due] == [("publish", 1003)]
    assert status["b"].due[0].at <= datetime.now(UTC)
    assert (status["a"].due, status["a"].warnings, status["a"].done) == ((), (), ())
    assert "no token is named 'c', though its marks are on 1004" in status["c"].warnings[0]


def test_printed_rotation_fits_a_screen(manager: TokenManager, service: Service) -> None:
    """With what was done and is due, and without a value."""
    service.publish(manager.ensure(NAME))
    rotation = manager.rotate(NAME, service.publish, overlap=HOUR)
    lines = str(rotation).splitlines()
    assert lines[0] == "shipper: token 1002"
    assert [line.split()[:3] for line in lines[1:]] == [
        ["done:", "create", "1002"],
        ["done:", "publish", "1002"],
        ["done:", "retire", "1001"],
        ["done:", "promote", "1002"],
        ["due:", "disable", "1001"],
    ]
    assert max(map(len, lines)) < 80
    assert not any(str(token["token"]) in str(rotation) for token in service.tokens)


def test_warnings_name_the_name(
    manager: TokenManager, api: Api, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """A token that is off, and that somebody has enabled."""
    service.publish(manager.ensure(NAME))
    manager.rotate(NAME, service.publish)
    api.update_app_token({"enabled": True}, service.sandbox.app_id, 1001)
    with caplog.at_level(logging.WARNING, "stcloud"):
        manager.finish_rotations()
    (record,) = caplog.records
    assert record.getMessage().startswith("finish_rotations 'shipper': token 1001, ")
    assert "is enabled: disable it, or rename it if it is in use" in record.getMessage()
    assert vars(record)["stcloud_manager_name"] == NAME


def test_lines_come_in_the_order_of_what_happened(
    api: Api, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """The request, then the step that it was for, then the observer's failure, with the name."""

    def observer(_: object) -> None:
        raise OSError("no network")

    manager = TokenManager(api, service.sandbox.app_id, observer=observer)
    with caplog.at_level(logging.INFO, "stcloud"):
        manager.ensure(NAME)
    lines = [record.getMessage() for record in caplog.records]
    (first,) = [number for number, line in enumerate(lines) if line.startswith("create_app_token ")]
    assert lines[first + 1 : first + 3] == [
        "ensure 'shipper': create of token 1001: done",
        "ensure 'shipper': the observer failed",
    ]


def test_existing_tokens_are_adopted(manager: TokenManager, api: Api, service: Service) -> None:
    """One that has the name is current; a rotation replaces it."""
    create(api, service.sandbox, NAME)
    assert manager.ensure(NAME).id == 1001
    rotation = manager.rotate(NAME, nothing)
    assert rotation.token is not None
    assert rotation.token.id == 1002


def test_name_with_a_line_break_is_printed_in_one_line(manager: TokenManager) -> None:
    """Else it could look like a warning."""
    manager.ensure("a\n  warning: b")
    assert str(manager.status()[0]) == r"a\n  warning: b: token 1001"


def test_deleted_token_is_not_due_any_more(connect: Connect, service: Service) -> None:
    """Where a later step of the same call fails."""
    clock = Moved()

    def observe(event: Event) -> None:
        if event.step == "delete":
            service.sandbox.fail_next("update_app_token", Fault.status(500), 9)

    manager = TokenManager(connect(), service.sandbox.app_id, clock=clock, observer=observe)
    manager.ensure(NAME)
    manager.rotate(NAME, nothing)
    clock.ahead = 2 * DAY
    rotation = manager.rotate(NAME, nothing)
    service.sandbox.clear_faults()
    assert ("delete", 1001) in {(step.step, step.token_id) for step in rotation.done}
    assert [(step.step, step.token_id) for step in rotation.due] == [("disable", 1002)]
