"""The manager: it reads the list of tokens, asks the rules, and does what they say."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple, TypeAlias

from stcloud import _validators
from stcloud._redaction import mask_uuids
from stcloud.api import TokensApiControllerApi
from stcloud.exceptions import (
    ApiException,
    MissingTokenException,
    NotFoundException,
    TokenManagerException,
)
from stcloud.logs import logger
from stcloud.models import CreateTokenDto, TokenDto, TokenResponse, UpdateTokenDto
from stcloud.operation import Id
from stcloud.token_manager import names, rules
from stcloud.token_manager.rules import Rotation, Step, TokenGroup, id_of


class Event(NamedTuple):
    """A step that was taken, or failed; it holds no secret.

    Attributes:
        operation: ``ensure``, ``rotate`` or ``finish_rotations``.
        name: the name that the token belongs to, without a mark.
        step: as :attr:`Step.step <stcloud.token_manager.Step>`.
        app_id: the app's id, as it was passed.
        token_id: the token's id; None if no response had it, though a token may have been made.
        fingerprint: the first 12 hex digits of the SHA-256 of the token's value.
        attempts: how often the request was sent; 1 for ``publish``.
        outcome: ``done``, or the class of the exception.
    """

    operation: str
    name: str
    step: str
    app_id: Id
    token_id: int | None
    fingerprint: str | None
    attempts: int
    outcome: str


Publish: TypeAlias = Callable[[TokenDto], object]
Observer: TypeAlias = Callable[[Event], object]
Clock: TypeAlias = Callable[[], datetime]


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _fingerprint(token: TokenDto | None) -> str | None:
    value = token.token if token is not None else None
    return sha256(value.encode()).hexdigest()[:12] if value else None


class _App(NamedTuple):
    """The app whose tokens are managed, and how."""

    api: TokensApiControllerApi
    app_id: Id
    keep_disabled: timedelta
    observer: Observer | None
    clock: Clock

    def now(self) -> datetime:
        """Return the time in UTC, whatever the clock's zone is."""
        return self.clock().astimezone(UTC)

    def tokens(self) -> dict[int, TokenDto]:
        """Read the list; what has no id cannot be managed."""
        try:
            data = self.api.get_app_tokens1(self.app_id).data
        except ApiException as error:
            error.forget_response()
            raise
        if data is None or data.tokens is None:
            raise TokenManagerException("the service returned no list of tokens: call again")
        return {token.id: token for token in data.tokens if token and token.id}


class TokenManager:
    """Makes and replaces an app's tokens by their names.

    Every method may be called again after it failed, or after its process was killed: the next
    call for that name goes on from there.

    Args:
        api: makes the requests.
        app_id: id of the app.
        keep_disabled: how long a replaced token stays, disabled, before it may be deleted.
        observer: gets each step; what it raises is logged, and stops nothing.
        clock: returns the time, with a time zone; tests move it.
    """

    def __init__(
        self,
        api: TokensApiControllerApi,
        app_id: Id,
        *,
        keep_disabled: timedelta = timedelta(days=1),
        observer: Observer | None = None,
        clock: Clock = _utc_now,
    ) -> None:
        if not hasattr(api, "get_app_tokens1_with_http_info"):  # a wrapper of the API has it
            raise _validators.wrong_type("api", "a TokensApiControllerApi", api)
        _validators.identifier("app_id", app_id)
        _validators.duration("keep_disabled", keep_disabled)
        _validators.optional(_validators.plain_function)("observer", observer)
        if getattr(_validators.callable_("clock", clock)(), "tzinfo", None) is None:
            raise ValueError("clock must return a datetime with a time zone: datetime.now(UTC)")
        self._app = _App(api, app_id, keep_disabled, observer, clock)

    def find(self, name: str) -> TokenDto | None:
        """Return the current token of a name, None if no token has it. Changes nothing.

        If all tokens with the name are disabled, it is the newest of them.

        Raises:
            ValueError, TypeError: the name cannot be managed.
            ApiException: the list could not be read.
            TokenManagerException: the response has no list.
        """
        return _ManagerCall(self._app, "find", name).read().current

    def status(self) -> list[Rotation]:
        """Return the state of every name, also of one that is not being rotated. Changes nothing.

        Raises:
            ApiException: the list could not be read.
            TokenManagerException: the response has no list.
        """
        groups = rules.group_tokens(self._app.tokens().values())
        return [
            rules.rotation(group, [], rules.due_steps(group, self._app.now()))
            for name, group in groups.items()
            if names.is_manageable(name)
        ]

    def ensure(
        self, name: str, *, readable: bool = True, writeable: bool = True, enable: bool = False
    ) -> TokenDto:
        """Return the current token of a name; create it if it does not exist.

        Args:
            name: up to 80 characters, without a mark of the manager's at its end.
            readable: whether it may read.
            writeable: whether it may write.
            enable: whether a token that is disabled is enabled again.

        Raises:
            TokenDriftException: it has other rights, or is disabled and ``enable`` is False.
            TokenManagerException: the service changes names or does not list it, for example.
            ApiException: a request failed; the next call goes on from there.
        """
        wanted = {"readable": readable, "writeable": writeable}
        for argument, value in (wanted | {"enable": enable}).items():
            _validators.boolean(argument, value)
        call = _ManagerCall(self._app, "ensure", name)

        def found(group: TokenGroup) -> TokenDto | None:
            return group.current or group.unused({**wanted, "enabled": True})

        token = found(call.read()) or call.create(names.NEW.format(name), wanted, found)
        rules.require_rights(token, wanted)
        if token.name != name:
            call.update("promote", token, name=name)
            token = call.read_current()  # meanwhile another manager may have replaced it
            rules.require_rights(token, wanted)
        if enable and not token.enabled:
            return call.update("enable", token, enabled=True)
        rules.require_enabled(token, rules.enabling(name, token))
        return token

    def rotate(  # noqa: PLR0913  # a first token has what ensure offers
        self,
        name: str,
        publish: Publish,
        *,
        overlap: timedelta = timedelta(0),
        older_than: timedelta = timedelta(0),
        create: bool = False,
        readable: bool = True,
        writeable: bool = True,
    ) -> Rotation:
        """Replace the current token of a name by a new one with the same rights.

        ``publish`` gets the new token, and returns when all who need it have it. If it raises, or
        the process is killed, both tokens stay enabled, and the next call publishes the same one
        again: nothing needs undoing. Afterwards the predecessor stays enabled for the overlap;
        without one it is disabled here. Only one ``rotate`` of a name may run at a time.

        Once the new token has the name, the rotation has succeeded. If a later request fails, its
        step stays due.

        Args:
            name: as for :meth:`ensure`.
            publish: writes the token where it is read. It may get the same token again.
            overlap: how long the predecessor stays enabled after ``publish`` has returned.
            older_than: a current token younger than this is not replaced, and due steps ``publish``
                and ``retire`` wait, too; other due steps are done. An unknown age counts as old.
            create: whether a first token is made and published if no token has the name.
            readable: whether a first token may read; any other has its predecessor's rights.
            writeable: whether a first token may write.

        Raises:
            MissingTokenException: no token has the name, and ``create`` is False; or the new one
                was removed meanwhile.
            TokenDriftException: the current or the new token is disabled, or the new one has other
                rights.
            TokenManagerException: the service leaves out rights or values, for example.
            ApiException: a request failed; the next call goes on from there.
            ValueError, TypeError: an argument is not allowed, or ``publish`` is not a plain
                function.
            Exception: whatever ``publish`` raised.
        """
        _validators.plain_function("publish", publish)
        _validators.duration("overlap", overlap)
        _validators.duration("older_than", older_than)
        wanted = {"readable": readable, "writeable": writeable}
        for argument, value in (wanted | {"create": create}).items():
            _validators.boolean(argument, value)
        call = _ManagerCall(self._app, "rotate", name)
        current = call.read().current if create else call.read_current()
        replaced = 0
        if current is not None:
            rules.require_enabled(current, rules.enabling(name, current))
            if current.name != name:
                call.update("promote", current, name=name)
            made = current.created_at
            if older_than and made is not None and self._app.now() - made < older_than:
                return call.run_due_steps()
            wanted, replaced = rules.rights(current), id_of(current)

        def found(group: TokenGroup) -> TokenDto | None:
            newest = group.current
            if newest is None or id_of(newest) <= replaced:
                return group.candidate({**wanted, "enabled": True})
            rules.require_rights(newest, wanted)  # another call has made it meanwhile
            return newest

        successor = found(call.group) or call.create(names.NEXT.format(name), wanted, found)
        call.publish(successor, publish)
        call.replace_by(successor, overlap)
        try:
            call.read()
            return call.run_due_steps()
        except (ApiException, TokenManagerException) as error:
            call.warn(f"is rotated, but what is due is not done: {error}")
            return rules.rotation(
                call.group, call.done, rules.due_steps(call.group, self._app.now())
            )

    def finish_rotations(self) -> list[Rotation]:
        """Do what is due for all names of the app: disable what is old or abandoned, and delete.

        No token is disabled or deleted unless an enabled one has its name; only disabled tokens are
        deleted. Returns the names for which something was done or is due.

        Raises:
            TokenManagerException: the response has no list.
            ApiException: a request failed; all other names were processed.
        """
        rotations: list[Rotation] = []
        failures: list[ApiException] = []
        tokens: dict[int, TokenDto] | None
        groups = rules.group_tokens((tokens := self._app.tokens()).values())
        for name in [name for name in groups if groups[name].of_kind("new", "next", "old", "off")]:
            call = _ManagerCall(self._app, "finish_rotations", name)
            try:
                call.tokens = self._app.tokens() if tokens is None else tokens
                tokens = None  # requests take time: after them the next name needs a new list
                rotations.append(call.run_due_steps())
                tokens = None if call.has_acted else call.tokens
            except TokenManagerException as error:
                call.warn(f"is left as it is: {error}")
            except ApiException as error:
                failures.append(error)
        if failures:
            raise failures[0]
        return [rotation for rotation in rotations if rotation.done or rotation.due]


class _ManagerCall:
    """A call of one of the manager's methods for a name: its requests, and what was done."""

    def __init__(self, app: _App, operation: str, name: str) -> None:
        self._app = app
        self._operation, self._name = operation, names.check_name(name)
        self.tokens: dict[int, TokenDto] = {}  # of the app, with this call's changes since the list
        self.done: list[Step] = []
        self.has_acted: bool = False

    @property
    def group(self) -> TokenGroup:
        """The tokens of the name, as far as they are known."""
        like = (each for each in self.tokens.values() if str(each.name).startswith(self._name))
        return rules.group_tokens(like).get(self._name) or TokenGroup(self._name, [])

    def read(self) -> TokenGroup:
        """Read the list, and return the tokens of the name."""
        self.tokens = self._app.tokens()
        return self.group

    def read_current(self) -> TokenDto:
        """Read the list, and return the current token; there must be one."""
        current = self.read().current
        if current is None:
            name = repr(self._name)
            advice = f"rotate({name}, ..., create=True) makes and publishes one; or rename one"
            raise MissingTokenException(f"no token is named {name}: {advice}")
        return current

    def create(
        self, name: str, rights: dict[str, bool], find: Callable[[TokenGroup], TokenDto | None]
    ) -> TokenDto:
        """Create a token; return the one to use, from the list, also if no response came.

        Ids grow, and each call lists after it has created. So all that began with the same tokens
        take the same one, whichever call created it.
        """
        failure: Exception = MissingTokenException(f"{name!r} is not listed: call again")
        create = self._app.api.create_app_token_with_http_info
        body = CreateTokenDto(name, rights["readable"], rights["writeable"])
        made = None
        try:
            made = self._request("create", create, None, body)
            if made is not None:
                rules.require_rights(made, rights)
        except ApiException as error:
            failure = error
        token = find(group := self.read())
        if token is None:
            newest = max((successor for successor, _ in group.successors), default=0)
            if made is not None and newest > max(self.tokens, default=0):
                problem = f"a mark of {self._name!r} has the successor {newest}, which is too new"
                raise TokenManagerException(f"{problem}: correct it")
            listed = self.tokens.get(id_of(made)) if made is not None else None
            if listed is not None:  # say why it is not taken, if that is known
                rules.require_rights(listed, rights)
                rules.require_enabled(listed, "enable it")
            raise failure
        return token

    def publish(self, successor: TokenDto, publish: Publish) -> None:
        """Hand the successor out. Whatever is raised goes to the caller, and nothing is changed."""
        if not successor.token:
            raise TokenManagerException(f"the service leaves out the value of {successor.name!r}")
        failure: BaseException | None = None
        try:
            _validators.require_has_run("publish", publish(replace(successor, name=self._name)))
        except BaseException as error:  # noqa: BLE001  # it is raised below
            failure = error
        # Not while it is handled: what an observer raises would be chained to it, and be logged.
        self._emit("publish", successor, 1, failure)
        if failure is not None:
            raise failure

    def replace_by(self, successor: TokenDto, overlap: timedelta) -> None:
        """Name the older tokens old, which records that publish has returned; pass the name on."""
        in_use = self.read().of_kind("named", "next")
        listed = next((token for token in in_use if token.id == successor.id), None)
        if listed is None:
            problem = (
                f"token {successor.id}, the next {self._name!r}, was removed or renamed meanwhile"
            )
            raise MissingTokenException(f"{problem}: call the same rotate() again")
        rules.require_enabled(listed, "enable it, or call the same rotate() again")
        old = names.OLD.format(self._name, listed.id, self._after(overlap))
        for token in in_use:  # no newer one: another call may have published that
            if id_of(token) < id_of(listed):
                self.update("retire", token, name=old)
        if listed.name != self._name:
            self.update("promote", listed, name=self._name)

    def run_due_steps(self) -> Rotation:
        """Do what is due by now, and return how far the rotation is."""
        group, now = self.group, self._app.now()
        due: list[Step] = []
        for warning in rules.warnings(group):
            self.warn(warning)
        for step in rules.due_steps(group, now):
            token = self.tokens[step.token_id or 0]
            if step.at > now or step.step in ("publish", "retire"):
                due.append(step)
            elif step.step == "promote":
                self.update("promote", token, name=self._name)
                return self.run_due_steps()
            elif step.step == "delete":
                with suppress(NotFoundException):  # another manager was quicker
                    self._request("delete", self._app.api.delete_app_token1_with_http_info, token)
                del self.tokens[id_of(token)]
            else:  # disable
                end = self._after(self._app.keep_disabled)
                off = names.OFF.format(self._name, end)
                with suppress(NotFoundException):  # another manager was quicker
                    self.update(step.step, token, enabled=False, name=off)
                    due.append(Step("delete", token.id, end))
        return rules.rotation(group, self.done, due)

    def update(self, step: str, token: TokenDto, **fields: Any) -> TokenDto:
        """Change a token, and return it as it is then."""
        body = UpdateTokenDto(**fields)
        self._request(step, self._app.api.update_app_token_with_http_info, token, body)
        self.tokens[id_of(token)] = changed = replace(token, **fields)
        return changed

    def _request(
        self, step: str, method: Callable[..., Any], token: TokenDto | None, body: Any = None
    ) -> TokenDto | None:
        """Make a request, report it, and return the token of its response."""
        self.has_acted = True
        arguments = ([body] if body else []) + [self._app.app_id] + ([token.id] if token else [])
        try:
            info = method(*arguments)
        except ApiException as error:
            error.forget_response()
            self._emit(step, token, error.attempts, error)
            raise
        data = info[0].data if isinstance(info[0], TokenResponse) else None
        returned = data.token if data and data.token and data.token.id else None
        self._emit(step, token or returned, info.attempts)
        if returned and body and body.name not in (None, returned.name):
            problem = f"the service calls token {returned.id} {returned.name!a}, not {body.name!a}"
            raise TokenManagerException(
                f"{problem}: choose a shorter or plainer name; it may be in use"
            )
        return returned

    def _emit(
        self, step: str, token: TokenDto | None, attempts: int, error: BaseException | None = None
    ) -> None:
        """Report a step to the log and the observer."""
        token_id = token.id if token is not None else None
        outcome = "done" if error is None else type(error).__name__
        subject = self._operation, self._name, step
        event = Event(*subject, self._app.app_id, token_id, _fingerprint(token), attempts, outcome)
        if error is None:
            self.done.append(Step(step, token_id, self._app.now()))
        shown = event._replace(name=mask_uuids(self._name))
        extra = {f"stcloud_manager_{name}": value for name, value in shown._asdict().items()}
        logger.info("%s %r: %s of token %s: %s", *shown[:3], token_id, outcome, extra=extra)
        if self._app.observer is not None:
            try:
                self._app.observer(event)
            except Exception:  # noqa: BLE001  # whatever a stranger's code raises
                logger.exception("%s %r: the observer failed", *shown[:2], extra=extra)

    def warn(self, text: str) -> None:
        """Log what a person has to look at."""
        name = mask_uuids(self._name)
        extra = {"stcloud_manager_operation": self._operation, "stcloud_manager_name": name}
        logger.warning("%s %r: %s", self._operation, name, mask_uuids(text), extra=extra)

    def _after(self, delay: timedelta) -> datetime:
        """Return the moment after a delay in whole seconds; rounded up, unless it is now."""
        moment = self._app.now() + delay
        return moment.replace(microsecond=0) + timedelta(seconds=bool(delay and moment.microsecond))
