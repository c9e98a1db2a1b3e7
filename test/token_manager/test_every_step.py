"""A fault at each request, and kill -9 before and after each."""

import json
import os
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from managed_tokens import (
    DAY,
    FAULTS,
    HOUR,
    NAME,
    Clock,
    Connect,
    Meddled,
    Service,
    assert_settles,
    nothing,
    raise_it,
)

import stcloud
from stcloud import TokenManager


class Operation:
    """What is cut off at each of its steps: how it is prepared, what is done, and how it ends.

    ``leaves`` is what may be left beside that, until it is due.
    """

    def __init__(
        self,
        act: Callable[[TokenManager, Service], object],
        end: list[tuple[str, bool]],
        prepare: Callable[[TokenManager, Service, Clock], object] = nothing,
        leaves: tuple[tuple[str, bool], ...] = (),
    ) -> None:
        self.act = act
        self.end = end
        self.prepare = prepare
        self.leaves = leaves


def prepare_rotation(manager: TokenManager, service: Service, _: Clock) -> None:
    service.publish(manager.ensure(NAME))


def rotate_in_vain(manager: TokenManager, _: Service) -> None:
    with suppress(ZeroDivisionError):
        manager.rotate(NAME, raise_it)


def prepare_overlap(manager: TokenManager, service: Service, clock: Clock) -> None:
    prepare_rotation(manager, service, clock)
    manager.rotate(NAME, service.publish, overlap=HOUR)
    clock.ahead = HOUR * 2


def prepare_end(manager: TokenManager, service: Service, clock: Clock) -> None:
    prepare_overlap(manager, service, clock)
    manager.finish_rotations()
    clock.ahead = DAY * 2


OPERATIONS = {
    "ensure": Operation(lambda manager, _: manager.ensure(NAME), [("named", True)]),
    "rotate": Operation(
        lambda manager, service: manager.rotate(NAME, service.publish),
        [("named", True), ("off", False)],
        prepare_rotation,
    ),
    "rotate or create": Operation(
        lambda manager, service: manager.rotate(NAME, service.publish, older_than=DAY, create=True),
        [("named", True)],
    ),
    "rotate with overlap": Operation(
        lambda manager, service: manager.rotate(NAME, service.publish, overlap=HOUR),
        [("named", True), ("old", True)],
        prepare_rotation,
    ),
    "rotate in vain": Operation(
        rotate_in_vain,
        [("named", True)],
        prepare_rotation,
        (("next", True),),
    ),
    "finish: disable": Operation(
        lambda manager, _: manager.finish_rotations(),
        [("named", True), ("off", False)],
        prepare_overlap,
    ),
    "finish: delete": Operation(
        lambda manager, _: manager.finish_rotations(), [("named", True)], prepare_end
    ),
}


def rerun(operation: Operation, manager: TokenManager, service: Service) -> None:
    """Do again what failed, until it succeeds."""
    for _ in range(3):
        try:
            operation.act(manager, service)
        except (stcloud.ApiException, stcloud.TokenManagerException):
            continue
        return
    raise AssertionError("it fails again and again")


def assert_ended(service: Service, operation: Operation, case: object, *leaves: object) -> None:
    """All is as without a failure, but for what may be left, and a published token is current."""
    left = Counter(service.kinds)
    left.subtract(operation.end)
    assert min(left.values()) >= 0, case
    assert {*left.elements()} <= {*operation.leaves, *leaves}, (case, service.tokens)
    current = [token for token in service.tokens if token["name"] == NAME]
    assert len(current) == 1, case
    assert not service.published or current[0]["token"] in service.published, case


@pytest.mark.parametrize(
    ("fault", "times"),
    # A time-out takes long, and what came as a success is not retried: once is enough.
    [
        (name, times)
        for name, fault in FAULTS.items()
        for times in ([1] if fault.seconds or fault.code == 200 else [1, 9])
    ],
)
@pytest.mark.parametrize("name", OPERATIONS)
def test_fault_at_each_step(
    connect: Connect, service: Service, clock: Clock, name: str, fault: str, times: int
) -> None:
    """A published token is enabled at every moment, and the next call ends in the same place."""
    operation, sandbox = OPERATIONS[name], service.sandbox
    api = connect()
    settings = api.api_client.configuration
    number = failed = 0
    while True:
        service.reset()
        clock.ahead = timedelta(0)
        manager = TokenManager(api, sandbox.app_id)
        operation.prepare(manager, service, clock)

        def fail(at: int, method: str, number: int = number) -> None:
            if at == number:
                sandbox.fail_next(method, FAULTS[fault], times)
            is_hanging = FAULTS[fault].seconds and sandbox.pending_faults
            settings.read_timeout = 0.05 if is_hanging else 30  # in case the machine is slow

        def end(at: int, _: str, number: int = number) -> None:
            if at == number and FAULTS[fault].seconds:
                with sandbox.refusing():  # what the client gave up has its effect before this ends
                    pass

        meddled: Any = Meddled(api, before=fail, after=end)
        try:
            operation.act(TokenManager(meddled, sandbox.app_id), service)
            has_failed = False
        except (stcloud.ApiException, stcloud.TokenManagerException):
            has_failed = True
        service.sandbox.clear_faults()
        settings.read_timeout = 30
        if number >= meddled.requests:
            break  # the complete operation went by without a fault
        if has_failed:
            failed += 1
            rerun(operation, manager, service)
        manager.finish_rotations()  # as a scheduler does, sooner or later
        twice = operation.end[1:]  # a rotation that failed at its last step had published already
        assert_ended(service, operation, number, *(twice if has_failed else []))
        assert_settles(manager, service, clock)
        number += 1
    assert number >= 2
    assert failed or times == 1


# Killed at every step.

KILLED = textwrap.dedent(
    """
    import json, os, signal, sys
    from datetime import UTC, datetime, timedelta
    import stcloud
    import time_machine

    def cut_off(host, key, file, operation, ahead, cut):
        client = stcloud.ApiClient(stcloud.Configuration(host=host, api_key=key))
        api = stcloud.TokensApiControllerApi(client)
        time_machine.travel(datetime.now(UTC) + timedelta(hours=ahead)).start()
        points = iter(range(999))

        def point():
            if next(points) == cut:
                os.kill(os.getpid(), signal.SIGKILL)

        class Killing:
            def __getattr__(self, method):
                def call(*arguments):
                    point()
                    result = getattr(api, method)(*arguments)
                    point()
                    return result
                return call

        def publish(token):
            point()
            if operation == "rotate in vain":
                raise OSError
            with open(file, "a") as published:
                published.write(f"{token.token}\\n")
            point()

        manager = stcloud.TokenManager(Killing(), 789)
        if operation == "ensure":
            manager.ensure("shipper")
        elif operation.startswith("rotate"):
            hours = 1 if "overlap" in operation else 0
            try:
                days = int("create" in operation)
                manager.rotate(
                    "shipper",
                    publish,
                    overlap=timedelta(hours=hours),
                    older_than=timedelta(days=days),
                    create=bool(days),
                )
            except OSError:
                pass
        else:
            manager.finish_rotations()

    for line in sys.stdin:
        child = os.fork()
        if not child:
            cut_off(**json.loads(line))
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        os.write(1, f"{os.waitstatus_to_exitcode(status)}\\n".encode())
    """
)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kill -9 needs POSIX")
@pytest.mark.parametrize("name", OPERATIONS)
def test_kill_at_each_step(connect: Connect, service: Service, clock: Clock, name: str) -> None:
    """A process is killed before and after each request, and before and after publishing."""
    operation, sandbox = OPERATIONS[name], service.sandbox
    source = str(Path(stcloud.__file__).parents[1])
    program = f"import sys; sys.path.insert(0, {source!r})\n{KILLED}"
    command = [sys.executable, "-c", program]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        killed = 0
        while True:
            service.reset()
            clock.ahead = timedelta(0)
            manager = TokenManager(connect(), sandbox.app_id)
            operation.prepare(manager, service, clock)
            case = {
                "host": sandbox.url,
                "key": sandbox.api_key,
                "file": str(service.file),
                "operation": name,
                "ahead": clock.ahead / HOUR,
                "cut": killed,
            }
            process.stdin.write(json.dumps(case) + "\n")
            code = int(process.stdout.readline())
            if code == 0:
                break
            assert code == -9
            rerun(operation, manager, service)
            twice = operation.end[1:]  # a rotation may have succeeded before
            assert_ended(service, operation, killed, *twice)
            assert_settles(manager, service, clock)
            killed += 1
        process.stdin.close()
    assert killed >= 4
