"""What logs and observers get."""

import hashlib
import logging
from collections.abc import Callable
from traceback import walk_tb
from typing import Any

import pytest
from managed_tokens import NAME, Connect, Meddled, Service

import stcloud
from stcloud import TokenManager
from stcloud.sandbox import Fault
from stcloud.token_manager import Event


def test_steps_are_told_without_secrets(
    api: stcloud.TokensApiControllerApi, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """To the observer and to the logger, in the same words."""
    events: list[Event] = []
    manager = TokenManager(api, service.sandbox.app_id, observer=events.append)
    with caplog.at_level(logging.DEBUG, "stcloud"):
        manager.ensure(NAME)
        service.sandbox.fail_next("update_app_token", Fault.status(400))
        with pytest.raises(stcloud.BadRequestException):
            manager.rotate(NAME, service.publish)
        manager.rotate(NAME, service.publish)
    values = {token["token"] for token in service.tokens}
    records = [vars(record) for record in caplog.records]
    names = [f"stcloud_manager_{name}" for name in Event._fields]
    logged = [tuple(map(record.get, names)) for record in records if names[0] in record]
    assert logged == events
    assert [(*event[:3], event.token_id, event.outcome) for event in events[:5]] == [
        ("ensure", NAME, "create", 1001, "done"),
        ("ensure", NAME, "promote", 1001, "done"),
        ("rotate", NAME, "create", 1002, "done"),
        ("rotate", NAME, "publish", 1002, "done"),
        ("rotate", NAME, "retire", 1001, "BadRequestException"),
    ]
    digests = {hashlib.sha256(value.encode()).hexdigest()[:12] for value in values}
    assert {event.fingerprint for event in events} == digests
    everything = repr(events) + repr([vars(record) for record in caplog.records])
    assert not any(value in everything for value in values)


def test_attempts_are_told(connect: Connect, service: Service) -> None:
    """Those of the requests, whether they succeed at last or not."""
    events: list[Event] = []
    manager = TokenManager(connect(), service.sandbox.app_id, observer=events.append)
    service.sandbox.fail_next("update_app_token", Fault.status(503), 2)
    manager.ensure(NAME)
    service.sandbox.fail_next("update_app_token", Fault.status(503), 9)
    with pytest.raises(stcloud.ServiceException):
        manager.rotate(NAME, print)
    attempts = [(event.step, event.attempts) for event in events]
    expected = [("create", 1), ("promote", 3), ("create", 1), ("publish", 1), ("retire", 4)]
    assert attempts == expected


def test_observer_that_raises_stops_nothing(
    api: stcloud.TokensApiControllerApi, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged."""

    def observer(_: Event) -> None:
        raise ZeroDivisionError

    manager = TokenManager(api, service.sandbox.app_id, observer=observer)
    assert manager.ensure(NAME).name == NAME
    assert "the observer failed" in caplog.text


def fail(_: Event) -> None:
    raise OSError("no network")


def fail_from_another_failure(_: Event) -> None:
    empty: dict[str, str] = {}
    try:
        del empty["x"]
    except KeyError as error:
        raise OSError("no network") from error


@pytest.mark.parametrize("observer", [fail, fail_from_another_failure])
def test_failed_observer_is_logged_without_what_publish_raised(
    api: stcloud.TokensApiControllerApi,
    service: Service,
    caplog: pytest.LogCaptureFixture,
    observer: Callable[[Event], object],
) -> None:
    """It may hold the value, and is not among the causes."""

    def publish(token: stcloud.TokenDto) -> None:
        raise ValueError(f"cannot write {token.token}")

    manager = TokenManager(api, service.sandbox.app_id, observer=observer)
    manager.ensure(NAME)
    with pytest.raises(ValueError, match="cannot write"):
        manager.rotate(NAME, publish)
    assert "no network" in caplog.text
    assert "cannot write" not in caplog.text


@pytest.mark.parametrize("step", ["look", "disable"])
def test_rotation_that_has_succeeded_is_no_failure(
    api: stcloud.TokensApiControllerApi,
    service: Service,
    caplog: pytest.LogCaptureFixture,
    step: str,
) -> None:
    """Once the name is passed on, what cannot be done stays due."""

    def fail(number: int, method: str) -> None:
        if number >= (6 if step == "look" else 7):  # after the promotion
            service.sandbox.fail_next(method, Fault.status(503), 4)

    manager = TokenManager(api, service.sandbox.app_id)
    service.publish(manager.ensure(NAME))
    meddled: Any = Meddled(api, before=fail)
    rotation = TokenManager(meddled, service.sandbox.app_id).rotate(NAME, service.publish)
    assert rotation.token is not None
    assert (rotation.token.id, rotation.token.name) == (1002, NAME)
    assert [(step.step, step.token_id) for step in rotation.due] == [("disable", 1001)]
    assert "what is due is not done" in caplog.text
    service.sandbox.clear_faults()
    manager.finish_rotations()
    assert service.kinds == [("named", True), ("off", False)]


def test_failed_observer_is_logged_without_the_value(
    api: stcloud.TokensApiControllerApi, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """Error trackers report the local variables of its frames."""
    TokenManager(api, service.sandbox.app_id, observer=fail).ensure(NAME)
    values = [token["token"] for token in service.tokens]
    tracebacks = [record.exc_info[2] for record in caplog.records if record.exc_info]
    assert len(tracebacks) == 2
    for traceback in tracebacks:
        for frame, _ in walk_tb(traceback):
            assert not any(value in repr(frame.f_locals) for value in values)
