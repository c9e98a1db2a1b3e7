"""Tokens by name: made once, and replaced without an outage.

All state is in the service, in the names and the enabled flags of an app's tokens, as
:mod:`stcloud.token_names` tells. So a call can stop anywhere, and the next one goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from copy import copy
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import AsyncGeneratorType, GeneratorType
from typing import Any, NamedTuple, TypeAlias

from stcloud import _validators, token_names
from stcloud.api import TokensApiControllerApi
from stcloud.exceptions import ApiException, NotFoundException, UnexpectedResponseException
from stcloud.logs import logger
from stcloud.models import CreateTokenDto, TokenDto, TokenResponse, UpdateTokenDto
from stcloud.operation import Id
from stcloud.token_names import (
    Family,
    MissingTokenException,
    TokenManagerException,
)

_ABANDONED = timedelta(hours=1)  # far more than passes between making a token and using it
_USABLE = _ABANDONED / 2  # an older one may be disabled by finish_rotations in a moment


class Event(NamedTuple):
    """A step that was taken, or failed; it holds no secret."""

    operation: str
    """``ensure``, ``rotate`` or ``finish_rotations``."""
    step: str
    """``create``, ``mark``, ``publish``, ``withdraw``, ``retire``, ``promote``, ``enable``,
    ``disable`` or ``delete``."""
    app_id: Id
    """As it was given."""
    token_id: int | None
    """None if no token was made."""
    fingerprint: str | None
    """The first 12 hex digits of the SHA-256 of the token's value."""
    attempts: int
    """How often the request was sent; 1 for ``publish``."""
    outcome: str
    """``done``, or the class of the exception."""


class Step(NamedTuple):
    """What was done, or is due, with a token."""

    step: str
    """As in :class:`Event`."""
    token_id: int | None
    at: datetime
    """When it was done, or is due, in UTC."""


class Rotation(NamedTuple):
    """How far the rotation of a name is."""

    name: str
    token: TokenDto | None
    """The current token, its value included; None if there is none."""
    done: tuple[Step, ...]
    due: tuple[Step, ...]
    """``publish`` is left to another ``rotate``, all else to ``finish_rotations``."""


Publish: TypeAlias = Callable[[TokenDto], object]
Observer: TypeAlias = Callable[[Event], object]


class TokenManager:
    """Makes and replaces an app's tokens by their names.

    Every method may be called again after it failed, or after its process was killed: the next
    call for that name finishes or undoes what was begun.

    Args:
        api: makes the requests.
        app_id: id of the app.
        keep_disabled: how long a replaced token stays, disabled, before it may be deleted.
        observer: is told each step; what it raises is logged, and stops nothing.
    """

    def __init__(
        self,
        api: TokensApiControllerApi,
        app_id: Id,
        *,
        keep_disabled: timedelta = timedelta(days=1),
        observer: Observer | None = None,
    ) -> None:
        if not hasattr(api, "get_app_tokens1_with_http_info"):  # a wrapper of the API has it
            raise _validators.wrong_type("api", "a TokensApiControllerApi", api)
        self._api = api
        self._app_id = app_id
        self._keep_disabled = _duration("keep_disabled", keep_disabled)
        self._observer = observer

    def find(self, name: str) -> TokenDto | None:
        """Return the current token of a name, None if there is none. Changes nothing.

        Raises:
            AmbiguousTokenException: several tokens have the name.
            ApiException: the list could not be read.
        """
        return self._run("find").family(token_names.valid(name)).current

    def ensure(
        self, name: str, *, readable: bool = True, writeable: bool = True, enable: bool = False
    ) -> TokenDto:
        """Return the current token of a name; make it if there is none.

        Args:
            name: up to 80 characters, without a mark of the manager's at its end.
            readable: whether it may read.
            writeable: whether it may write.
            enable: whether a token that is disabled is enabled again.

        Raises:
            AmbiguousTokenException: several tokens have the name.
            TokenDriftException: it has other rights, which the API cannot change; or it is
                disabled, and ``enable`` is False.
            TokenManagerException: the service does not keep names as they are given, say.
            ApiException: a request failed; the next call goes on from there.
        """
        run, rights = self._run("ensure"), {"readable": readable, "writeable": writeable}
        for right, value in rights.items():
            _validators.boolean(right, value)
        wanted = rights if enable else {**rights, "enabled": True}
        family = run.family(token_names.valid(name))
        token = family.current
        if token is None:
            family, obtained = run.obtain(family, {**rights, "enabled": True})
            token = family.current or obtained
        token_names.require(token, wanted)
        if token.name != name:
            run.update("promote", token, name=name)
            token = run.current(name)  # meanwhile another manager may have replaced it
            token_names.require(token, wanted)
        return token if token.enabled else run.update("enable", token, enabled=True)

    def rotate(self, name: str, publish: Publish, *, overlap: timedelta = timedelta(0)) -> Rotation:
        """Replace the current token of a name by a new one with the same rights.

        ``publish`` gets the new token, and returns when all who need it have it. If a call was
        cut off in it, the next call hands it the same token again. Afterwards the predecessor
        stays enabled for the overlap; without one it is disabled here.

        If ``publish`` raises an ``Exception``, the new token is deleted, so nobody should use it by
        then; but it stays if an earlier call has handed it out too. The predecessor is as it was,
        and what was raised goes on to the caller. Ctrl-C and ``SystemExit`` count as a kill: both
        stay. Only one ``rotate`` of a name may run at a time.

        Once the new token has the name, the rotation has succeeded. If a request fails after that,
        what it was for stays due.

        Raises:
            MissingTokenException: no token has the name, or the new one was removed meanwhile.
            AmbiguousTokenException: several tokens have the name.
            TokenDriftException: the current token, or the new one meanwhile, is disabled.
            TokenManagerException: the service does not tell rights or values, say.
            ApiException: a request failed; the next call goes on from there.
        """
        _duration("overlap", overlap)
        run = self._run("rotate")
        family = run.family(token_names.valid(name))
        if family.current is None:
            raise MissingTokenException(f"no token is named {name!r}; ensure() makes one")
        token_names.require(family.current, {"enabled": True})
        successor, is_first = run.successor(family, family.current)
        run.publish(name, successor, publish, is_first=is_first)
        due = run.replace(name, successor, overlap)
        try:
            return run.settle(run.family(name), self._keep_disabled)
        except (ApiException, TokenManagerException) as error:
            logger.warning("%r is rotated, but what is due is not done: %s", name, error)
            disabled = {step.token_id for step in run.done if step.step == "disable"}
            left = [step for step in due if step.token_id not in disabled]
            return Rotation(name, successor, tuple(run.done), tuple(left))

    def finish_rotations(self) -> list[Rotation]:
        """Do what is due for all names of the app: disable what is old or abandoned, and delete.

        No token is disabled or deleted unless an enabled one has its name; none is deleted that
        was not disabled before. Returns the names for which something was done or is due.

        Raises:
            TokenManagerException: the response has no list.
            ApiException: a request failed, after all other names were seen to.
        """
        rotations: list[Rotation] = []
        failures: list[ApiException] = []
        families = self._run("finish_rotations").families()
        is_fresh = True
        for name in [family.name for family in families.values() if family.is_marked]:
            run = self._run("finish_rotations")
            try:
                if not is_fresh:  # what was done for others has taken time
                    families = run.families()
                is_fresh = False
                family = families.get(name) or Family(name)
                if family.current is not None and family.current.name != name:
                    run.update("promote", family.current, name=name)
                rotations.append(run.settle(family, self._keep_disabled))
                is_fresh = not run.has_acted
            except TokenManagerException as error:
                logger.warning("finish_rotations leaves a name as it is: %s", error)
            except ApiException as error:
                failures.append(error)
        if failures:
            raise failures[0]
        return [rotation for rotation in rotations if rotation.done or rotation.due]

    def _run(self, operation: str) -> _Run:
        return _Run(self._api, self._app_id, operation, self._observer)


class _Run:
    """A call of one of the manager's methods: the steps that it takes, each told."""

    def __init__(
        self, api: TokensApiControllerApi, app_id: Id, operation: str, observer: Observer | None
    ) -> None:
        self._api = api
        self._app_id = app_id
        self._operation = operation
        self._observer = observer
        self.has_acted: bool = False
        self.done: list[Step] = []

    def families(self) -> dict[str, Family]:
        """Read the list."""
        return token_names.families(self._tokens())

    def family(self, name: str) -> Family:
        """Read the list, and return what belongs to a name."""
        return self.families().get(name) or Family(name)

    def current(self, name: str) -> TokenDto:
        """Read the list, and return the current token of a name, which must be there."""
        token = self.family(name).current
        if token is None:
            raise MissingTokenException(f"the token named {name!r} was removed meanwhile")
        return token

    def obtain(self, family: Family, wanted: dict[str, bool]) -> tuple[Family, TokenDto]:
        """Return a token as wanted that nobody uses, made if need be, and the family then.

        If it is unknown whether one was made, the list tells. Of two that are made at once, by
        two managers, both take the first; the other is left for ``finish_rotations``.
        """
        begin = _now()
        token = family.unused(wanted, begin - _USABLE)
        if token is not None:
            return family, token
        name = token_names.new(family.name)
        body = CreateTokenDto(name, wanted["readable"], wanted["writeable"])
        problem = f"{name!r} was made, and is not listed: call again"
        failure: Exception = MissingTokenException(problem)
        made = None
        try:
            create = self._api.create_app_token_with_http_info
            made = self._request("create", None, create, body, self._app_id)
        except ApiException as error:
            if not error.outcome_unknown:
                raise
            failure = error
        if made is not None:
            _require_name(made, name)
        family = self.family(family.name)
        now = _now()  # much later, if this machine has slept
        token = family.unused(wanted, now - _USABLE)
        if token is None and now - begin < _USABLE:
            token = made
        if token is None:
            raise failure
        token_names.require(token, wanted)
        return family, token

    def successor(self, family: Family, current: TokenDto) -> tuple[TokenDto, bool]:
        """Return the token that is to follow, and whether this call is the first to hand it out."""
        if current.name != family.name:  # it was published, and only lacks the name
            return current, False
        if current.readable is None or current.writeable is None:
            raise TokenManagerException(f"the service does not tell the rights of {family.name!r}")
        wanted = {"readable": current.readable, "writeable": current.writeable, "enabled": True}
        handed_out = family.handed_out(wanted)
        if handed_out is None:
            family, token = self.obtain(family, wanted)
            handed_out = family.handed_out(wanted)  # by another manager, meanwhile
            if handed_out is None:
                name = token_names.next_(family.name)
                # enabled, for finish_rotations may have been about to disable it
                return self.update("mark", token, name=name, enabled=True), True
        return handed_out, False

    def publish(self, name: str, successor: TokenDto, publish: Publish, *, is_first: bool) -> None:
        """Hand the successor out; if that fails, delete it, unless others may have it."""
        if not successor.token:
            raise TokenManagerException(
                f"the service does not tell the value of {successor.name!r}"
            )
        handed = copy(successor)
        handed.name = name
        try:
            _require_returned(publish(handed))
        except BaseException as failure:
            # what ends the process, a stop signal say, is as a kill: nobody knows who has it
            if is_first and isinstance(failure, Exception):
                try:
                    self._withdraw(name, successor)
                except (ApiException, TokenManagerException) as error:
                    logger.warning("token %s could not be deleted: %s", successor.id, error)
            self._tell("publish", successor, 1, failure)
            raise
        self._tell("publish", successor, 1)

    def _withdraw(self, name: str, successor: TokenDto) -> None:
        """Delete what was handed out in vain.

        First its name says so, or a late request could meet a token that the next call hands out.
        """
        current = self.family(name).current
        if current is not None and current.enabled and current.id != successor.id:
            now = _now()
            self.update("withdraw", successor, name=token_names.old(name, current.id, now))
            self.update("disable", successor, enabled=False, name=token_names.off(name, now))
            self._delete(successor)

    def replace(self, name: str, successor: TokenDto, overlap: timedelta) -> list[Step]:
        """Call the predecessor old, which records that publish has returned; pass its name on.

        Return what is due then.
        """
        family = self.family(name)
        current = family.current
        listed = next(
            (each for each in [*family.named, *family.next] if each.id == successor.id), None
        )
        if listed is None:
            problem = f"token {successor.id}, the next {name!r}, was removed while it was published"
            raise MissingTokenException(f"{problem}: publish another with rotate()")
        token_names.require(listed, {"enabled": True})
        end = _after(overlap)
        replaced = [
            token for token in [current, *family.next] if token and token.id != successor.id
        ]
        for token in replaced:  # whoever has another one of [next] has got the successor, too
            self.update("retire", token, name=token_names.old(name, successor.id, end))
        self.update("promote", successor, name=name)
        ends = [*family.old, *((token, end) for token in replaced)]
        return [Step("disable", token.id, date) for token, date in ends]

    def settle(self, family: Family, keep_disabled: timedelta) -> Rotation:
        """Do what is due, unless no enabled token has the name, and return how far it is."""
        due: list[Step] = []
        current, now = family.current, _now()
        if current is None or not current.enabled:
            logger.warning("no enabled token is named %r: nothing is done for it", family.name)
            return Rotation(family.name, current, tuple(self.done), ())
        for token, date in family.off:
            if token.enabled:  # a person has taken it back
                continue
            if date > now:
                due.append(Step("delete", token.id, date))
            else:
                self._delete(token)
        made = [(each, each.created_at) for each in family.new]
        abandoned = [(token, date + _ABANDONED) for token, date in made if date is not None]
        for token, date in [*abandoned, *family.old]:
            if date > now:
                due.append(Step("disable", token.id, date))
            else:
                end = _after(keep_disabled)
                name = token_names.off(family.name, end)
                with suppress(NotFoundException):  # another manager was quicker
                    self.update("disable", token, enabled=False, name=name)
                    due.append(Step("delete", token.id, end))
        due += [Step("publish", token.id, now) for token in family.next if token is not current]
        return Rotation(family.name, current, tuple(self.done), tuple(due))

    def update(self, step: str, token: TokenDto, **fields: Any) -> TokenDto:
        """Change a token, and return it as it is then; if that is unknown, the list tells."""
        update, body = self._api.update_app_token_with_http_info, UpdateTokenDto(**fields)
        try:
            returned = self._request(step, token, update, body, self._app_id, token.id)
        except ApiException as error:
            if not error.outcome_unknown:
                raise
            returned = next((each for each in self._tokens() if each.id == token.id), None)
            if returned is None or token_names.drift(returned, fields):
                raise
        for name, value in fields.items():
            setattr(token, name, value)
        if returned is not None:
            _require_name(returned, token.name)
        return token

    def _tokens(self) -> list[TokenDto]:
        try:
            data = self._api.get_app_tokens1(self._app_id).data
        except ApiException as error:
            _forget_values(error)
            raise
        if data is None or data.tokens is None:
            raise TokenManagerException("the service returned no list of tokens: call again")
        return [token for token in data.tokens if token and token.id]

    def _delete(self, token: TokenDto) -> None:
        delete = self._api.delete_app_token1_with_http_info
        with suppress(NotFoundException):  # another manager was quicker
            self._request("delete", token, delete, self._app_id, token.id)

    def _request(
        self, step: str, token: TokenDto | None, method: Callable[..., Any], *arguments: object
    ) -> TokenDto | None:
        """Make a request, tell of it, and return the token of its response."""
        self.has_acted = True
        try:
            info = method(*arguments)
        except ApiException as error:
            _forget_values(error)
            self._tell(step, token, error.attempts, error)
            raise
        response = info[0]
        returned = (
            response.data.token if isinstance(response, TokenResponse) and response.data else None
        )
        returned = returned if returned and returned.id else None
        self._tell(step, token or returned, info.attempts)
        return returned

    def _tell(
        self, step: str, token: TokenDto | None, attempts: int, error: BaseException | None = None
    ) -> None:
        token_id, value = (token.id, token.token) if token is not None else (None, None)
        fingerprint = sha256(value.encode()).hexdigest()[:12] if value else None
        outcome = "done" if error is None else type(error).__name__
        event = Event(self._operation, step, self._app_id, token_id, fingerprint, attempts, outcome)
        if error is None:
            self.done.append(Step(step, token_id, _now()))
        fields = {f"stcloud_manager_{name}": value for name, value in event._asdict().items()}
        logger.info("%s: %s of token %s: %s", *event[:2], token_id, outcome, extra=fields)
        if self._observer is not None:
            try:
                self._observer(event)
            except Exception as failure:  # noqa: BLE001  # whatever a stranger's code raises
                failure.__suppress_context__ = True  # what publish raised may hold the value
                logger.exception("the observer failed")


def _forget_values(error: ApiException) -> None:
    """Drop the response, which may hold the values of tokens, and what failed to read it."""
    error.body = None
    if isinstance(error, UnexpectedResponseException):
        error.__cause__ = error.__context__ = None


def _require_name(token: TokenDto, name: str | None) -> None:
    if token.name != name:
        problem = f"the service calls token {token.id} {token.name!a}, and not {name!a}"
        raise TokenManagerException(f"{problem}: choose a plainer name, and delete the token")


def _require_returned(result: object) -> None:
    """Refuse what a function returns that has not run yet."""
    kind = type(result)  # a stranger's object may raise whatever it is asked for
    if kind in (GeneratorType, AsyncGeneratorType) or hasattr(kind, "__await__"):
        getattr(result, "close", bool)()
        raise TypeError("publish must be a plain function, which runs when it is called")


def _now() -> datetime:
    return datetime.now(UTC)


def _after(delay: timedelta) -> datetime:
    """Return the moment after a delay in whole seconds; rounded up, unless it is now."""
    moment = _now() + delay
    return moment.replace(microsecond=0) + timedelta(seconds=bool(delay and moment.microsecond))


def _duration(name: str, value: timedelta) -> timedelta:
    if not isinstance(value, timedelta):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"{name} must be a timedelta, not {type(value).__name__}")
    if not timedelta(0) <= value <= timedelta(days=36_500):
        raise ValueError(f"{name} must be from 0 to 36,500 days, not {value}")
    return value
