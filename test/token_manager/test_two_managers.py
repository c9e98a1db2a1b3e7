"""Two managers at once, request by request."""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from managed_tokens import (
    FAULTS,
    HOUR,
    NAME,
    Actor,
    Clock,
    Service,
    assert_settles,
    nothing,
    raise_it,
    travel,
)

import stcloud
from stcloud import TokenManager
from stcloud.sandbox import Fault, Sandbox
from stcloud.sandbox.store import Store


@pytest.fixture(params=[1, -1], ids=["oldest first", "newest first"])
def either_order(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service lists tokens in either order."""
    tokens, order = Store.tokens, request.param
    monkeypatch.setattr(Store, "tokens", lambda store, app_id: tokens(store, app_id)[::order])


@pytest.mark.usefixtures("either_order")
@pytest.mark.parametrize("work", ["ensure", "rotate"])
def test_two_that_make_a_token_at_once_take_the_same(
    api: stcloud.TokensApiControllerApi,
    service: Service,
    clock: Clock,
    work: str,
) -> None:
    """Wherever the one is when the other does all, and in whichever order tokens are listed."""
    sandbox, manager = service.sandbox, TokenManager(api, service.sandbox.app_id)
    for steps in range(9):
        service.reset()
        slow = Actor(api, sandbox.app_id)
        handed: list[int | None] = []
        if work == "ensure":
            slow.begin(work, lambda manager: handed.append(manager.ensure(NAME).id))  # noqa: B023
        else:
            manager.ensure(NAME)
            slow.begin(work, lambda one: one.rotate(NAME, lambda token: handed.append(token.id)))  # noqa: B023
        for _ in range(steps):
            if slow.work:
                slow.go_on()
        if work == "ensure":
            handed.append(manager.ensure(NAME).id)
        else:
            manager.rotate(NAME, lambda token: handed.append(token.id))  # noqa: B023
        while slow.work:
            slow.go_on()
        assert slow.failure is None
        current = manager.find(NAME)
        assert current is not None
        assert current.id == max(handed, key=lambda number: number or 0)
        clock.ahead += HOUR + timedelta(seconds=2)
        manager.finish_rotations()
        manager.rotate(NAME, nothing)  # uses what one of both has made in vain
        left = [kind for kind, is_enabled in service.kinds if is_enabled]
        assert left == ["named"], (steps, service.tokens)
        if work == "ensure":
            assert len(set(handed)) == 1


@pytest.mark.usefixtures("either_order")
@pytest.mark.parametrize("work", ["ensure", "rotate"])
def test_two_that_have_each_made_a_token_take_the_first(
    api: stcloud.TokensApiControllerApi,
    service: Service,
    work: str,
) -> None:
    """The one that made the second one, too, whichever comes to its end first."""
    actors = [Actor(api, service.sandbox.app_id) for _ in range(2)]
    handed: list[int | None] = []
    if work == "rotate":
        TokenManager(api, service.sandbox.app_id).ensure(NAME)
    for actor in actors:
        if work == "ensure":
            actor.begin(work, lambda manager: handed.append(manager.ensure(NAME).id))
        else:
            actor.begin(work, lambda one: one.rotate(NAME, lambda token: handed.append(token.id)))
    for _ in range(2):
        for actor in actors:
            actor.go_on()
    assert service.kinds.count(("new" if work == "ensure" else "next", True)) == 2
    for actor in reversed(actors):
        while actor.work:
            actor.go_on()
    assert handed == [1001, 1001] if work == "ensure" else [1002, 1002]


class TwoManagers(RuleBasedStateMachine):
    """Every operation beside every other; of rotations, one at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        sandbox = self.stack.enter_context(Sandbox())
        patch = self.stack.enter_context(pytest.MonkeyPatch.context())
        folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        self.clock = Clock(self.stack.enter_context(travel()))
        self.service = Service(sandbox, patch, Path(folder, "published"))
        policy = stcloud.RetryPolicy(backoff=0.001)
        configuration = stcloud.Configuration(
            host=sandbox.url, api_key=sandbox.api_key, retries=policy
        )
        client = self.stack.enter_context(stcloud.ApiClient(configuration))
        self.api = stcloud.TokensApiControllerApi(client)
        self.actors = [Actor(self.api, sandbox.app_id) for _ in range(2)]

    @rule(
        number=st.integers(0, 1),
        work=st.sampled_from(["ensure", "finish", "rotate", "rotate", "rotate badly", "overlap"]),
    )
    def begin(self, number: int, work: str) -> None:
        actor, other = self.actors[number], self.actors[1 - number]
        rotates = ("rotate", "rotate badly", "overlap")
        if actor.work or (work in rotates and other.work in rotates):
            return
        calls: dict[str, Callable[[TokenManager], object]] = {
            "ensure": lambda manager: self.service.publish(manager.ensure(NAME)),
            "finish": lambda manager: manager.finish_rotations(),
            "rotate": lambda manager: manager.rotate(NAME, self.service.publish),
            "rotate badly": lambda manager: manager.rotate(NAME, raise_it),
            "overlap": lambda manager: manager.rotate(NAME, self.service.publish, overlap=HOUR),
        }
        actor.begin(work, calls[work])

    @rule(number=st.integers(0, 1), times=st.integers(1, 9))
    def go_on(self, number: int, times: int) -> None:
        for _ in range(times):
            if self.actors[number].work:
                self.actors[number].go_on()

    @rule(number=st.integers(0, 1))
    def kill(self, number: int) -> None:
        if self.actors[number].work:
            self.actors[number].go_on(killed=True)

    @rule(fault=st.sampled_from([fault for fault in FAULTS.values() if not fault.seconds]))
    def fail(self, fault: Fault) -> None:
        self.service.sandbox.fail_next(None, fault)

    @rule(hours=st.sampled_from([1, 2, 30]))
    def wait(self, hours: int) -> None:
        self.clock.ahead += hours * HOUR

    @invariant()
    def holds(self) -> None:
        assert not self.service.broken
        assert not [actor.failure for actor in self.actors if actor.failure]

    def teardown(self) -> None:
        try:
            for actor in self.actors:
                while actor.work:
                    actor.go_on()
            self.holds()
            self.service.sandbox.clear_faults()
            manager = TokenManager(self.api, self.service.sandbox.app_id)
            assert_settles(manager, self.service, self.clock)
            self.holds()
        finally:
            self.stack.close()


TwoManagers.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
test_two_managers_at_once = TwoManagers.TestCase
