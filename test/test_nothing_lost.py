"""Random operations that meet random faults: the database against what callers know."""

import time
from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

import stcloud
from stcloud.sandbox import Fault, Sandbox

Tokens = dict[int, dict[str, Any]]

BOTH = (False, True)
WAYS = (Fault.reset, Fault.hang_up, Fault.cut_body, Fault.garbage)
AMBIGUOUS = (408, 500, 502, 503, 504)
QUICK = [
    *(way(committed=committed) for way in WAYS for committed in BOTH),
    *(Fault.status(s, committed=committed) for s in AMBIGUOUS for committed in BOTH),
    *(Fault.body(b"<html>", committed=committed) for committed in BOTH),
    *(Fault.drip(0, committed=committed) for committed in BOTH),
    *(Fault.status(s) for s in (400, 401, 403, 409, 429)),  # which say that nothing was done
]
SLOW = [way(50, committed=committed) for way in (Fault.hang, Fault.drip) for committed in BOTH]
FAULTS = st.lists(st.sampled_from(QUICK * 4 + SLOW), max_size=3)
PICK = st.integers(0, 99)
PATIENCE = 0.1  # seconds until the client gives an attempt up


class Callers(RuleBasedStateMachine):
    """Calls whose attempts meet faults; after each, the database is what the caller may believe."""

    sandbox: Sandbox

    def __init__(self) -> None:
        super().__init__()
        self.sandbox.reset()
        policy = stcloud.RetryPolicy(backoff=0.001, budget=1e9)
        configuration = stcloud.Configuration(
            host=self.sandbox.url,
            api_key=self.sandbox.api_key,
            retries=policy,
            read_timeout=PATIENCE,
        )
        self.client = stcloud.ApiClient(configuration)
        self.api = stcloud.TokensApiControllerApi(self.client)
        self.tokens: Tokens = {}
        self.calls = 0

    def teardown(self) -> None:
        self.client.close()

    def call(
        self,
        operation: str,
        faults: list[Fault],
        arguments: tuple[object, ...],
        is_done: Callable[[Tokens, Tokens], bool],
    ) -> None:
        """Make a call; compare the tokens before and after it with what the caller learns."""
        for fault in faults:  # those left over are met by later calls
            self.sandbox.fail_next(operation, fault)
        before = self.tokens
        begin = time.monotonic()
        result, error = self.outcome(operation, arguments)
        if time.monotonic() - begin >= PATIENCE:  # by a fault, or on a slow machine
            with self.sandbox.refusing():  # what the client gave up has its effect before this ends
                pass
        after = {token["id"]: token for token in self.sandbox.tokens()}
        self.tokens = after
        if error is None:
            assert is_done(before, after)
            assert said(result) <= {(key, token["token"]) for key, token in after.items()}
        elif error.outcome_unknown:
            assert after == before or is_done(before, after)
        else:
            assert after == before
            missing = isinstance(error, stcloud.NotFoundException)
            assert not missing or arguments[-1] not in before

    def outcome(
        self, operation: str, arguments: tuple[object, ...]
    ) -> tuple[Any, stcloud.ApiException | None]:
        try:
            return getattr(self.api, operation)(*arguments), None
        except stcloud.ApiException as error:
            return None, error

    def pick(self, number: int) -> int:
        """Return the id of a token that is or was there."""
        return 1001 + number % (max(self.tokens, default=1001) - 1000)

    @rule(faults=FAULTS)
    def create(self, faults: list[Fault]) -> None:
        self.calls += 1
        name = f"number {self.calls}"

        def is_done(before: Tokens, after: Tokens) -> bool:
            added = [after[key] for key in after.keys() - before.keys()]
            kept = {key: after.get(key) for key in before}
            return kept == before and [token["name"] for token in added] == [name]

        self.call("create_app_token", faults, ({"name": name}, 789), is_done)

    @rule(faults=FAULTS)
    def look(self, faults: list[Fault]) -> None:
        self.call("get_app_tokens1", faults, (789,), lambda before, after: before == after)

    @precondition(lambda self: self.tokens)
    @rule(faults=FAULTS, number=PICK, enabled=st.booleans())
    def update(self, faults: list[Fault], number: int, enabled: bool) -> None:
        key = self.pick(number)
        self.calls += 1
        change: dict[str, Any] = {"name": f"number {self.calls}", "enabled": enabled}

        def is_done(before: Tokens, after: Tokens) -> bool:
            return key in before and after == {**before, key: {**before[key], **change}}

        self.call("update_app_token", faults, (change, 789, key), is_done)

    @precondition(lambda self: self.tokens)
    @rule(faults=FAULTS, number=PICK)
    def regenerate(self, faults: list[Fault], number: int) -> None:
        key = self.pick(number)

        def is_done(before: Tokens, after: Tokens) -> bool:
            value = after.get(key, {}).get("token")
            changed = key in before and value != before[key]["token"]
            return changed and after == {**before, key: {**before[key], "token": value}}

        self.call("regenerate_app_token1", faults, (789, key), is_done)

    @precondition(lambda self: self.tokens)
    @rule(faults=FAULTS, number=PICK)
    def delete(self, faults: list[Fault], number: int) -> None:
        key = self.pick(number)

        def is_done(before: Tokens, after: Tokens) -> bool:
            return after == {other: before[other] for other in before if other != key}

        self.call("delete_app_token1", faults, (789, key), is_done)


def said(result: Any) -> set[tuple[int, str]]:
    """Return the ids and values of the tokens in a result."""
    if isinstance(result, stcloud.GenericMapBasedApiResponse):
        return set()
    data = result.data
    tokens = data.tokens if isinstance(result, stcloud.TokensResponse) else [data.token]
    return {(token.id, token.token) for token in tokens}


def test_no_token_is_lost_or_there_unknown(sandbox: Sandbox) -> None:
    """What a caller learns happened; else it may have if the caller is warned; else it did not."""
    Callers.sandbox = sandbox
    run_state_machine_as_test(
        Callers,
        settings=settings(
            derandomize=True, database=None, deadline=None, max_examples=35, stateful_step_count=30
        ),
    )
