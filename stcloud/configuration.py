"""Where, who and how: the settings of a client, checked when they are set."""

from __future__ import annotations

import logging
import os
import ssl
import sys
import warnings
from collections import UserDict
from collections.abc import Callable, Mapping
from functools import cache
from itertools import pairwise
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Generic,
    Self,
    TypeAlias,
    TypeVar,
    cast,
    dataclass_transform,
    get_args,
    get_type_hints,
    overload,
)

from stcloud import _validators
from stcloud._redaction import hides_variables, mask_uuids
from stcloud.logs import logger
from stcloud.retry import RetryPolicy
from stcloud.version import __version__

API_VERSION = "v3"
AUTHORIZATION = "Authorization"
"""The header that carries the API key, and its name in ``api_key`` and ``api_key_prefix``."""
REGIONS = {"US": "https://apps.sematext.com", "EU": "https://apps.eu.sematext.com"}
"""Region -> address of the service."""

if TYPE_CHECKING:
    import inspect

SetT = TypeVar("SetT", contravariant=True)
GetT = TypeVar("GetT", covariant=True)
T = TypeVar("T")


class InsecureTransportWarning(UserWarning):
    """The API key would cross a network unencrypted, or to a server that nobody verifies."""


class HeaderDict(UserDict[str, str]):
    """A dict of texts that go into HTTP headers: checked when set, masked when shown.

    Bytes are decoded. None and the empty text mean no value.
    """

    @hides_variables
    def __init__(self, owner: str, texts: HeaderMapping) -> None:
        self.owner = owner
        super().__init__(texts)

    @hides_variables
    def __setitem__(self, name: str, value: str | bytes | None) -> None:
        name = _validators.header_name(f"a name in {self.owner}", name)
        place = f"{self.owner}[{mask_uuids(name)!r}]"
        self.data[name] = _validators.optional_header_text(place, value)

    if not TYPE_CHECKING:  # a type checker takes the base class's
        setdefault = hides_variables(UserDict.setdefault)
        update = hides_variables(UserDict.update)

    @hides_variables
    def __ior__(self, other: Any) -> Self:  # type: ignore[override]
        self.update(other)  # UserDict's own would go around the checks
        return self

    @hides_variables
    def __or__(self, other: Any) -> Any:
        return HeaderDict(self.owner, self.data | dict(other))

    def copy(self) -> Self:
        """Return a copy; UserDict's own empties this one for a moment, and threads share it."""
        return type(self)(self.owner, self.data)

    def __repr__(self) -> str:
        return repr({name: text and "****" for name, text in self.data.items()})


class Setting(Generic[SetT, GetT]):
    """An attribute that is checked when it is set."""

    def __init__(
        self, check: Callable[[str, Any], GetT], *, default: Any = None, secret: bool = False
    ) -> None:
        self.check = check
        self.default = default
        self.secret = secret

    def __set_name__(self, owner: type, name: str) -> None:
        self.owner = owner
        self.name = name

    if not TYPE_CHECKING:  # a type checker knows __doc__ as text

        def __init_subclass__(cls) -> None:
            super().__init_subclass__()
            cls.__doc__ = vars(Setting)["__doc__"]  # its own docstring would hide the property

        @property
        def __doc__(self) -> str | None:
            """The text below the setting, where editors look for it; help() shows it, too."""
            return _descriptions(self.owner).get(self.name)

    if TYPE_CHECKING:  # at run time the value is found where __set__ puts it

        @overload
        def __get__(self, instance: None, owner: type) -> Self: ...
        @overload
        def __get__(self, instance: object, owner: type) -> GetT: ...
        def __get__(self, instance: object, owner: type) -> object: ...

    def __set__(self, instance: object, value: SetT) -> None:
        instance.__dict__[self.name] = self.check(self.name, value)


class SimpleSetting(Setting[T, T]):
    """A setting that is kept as the type in which it is passed."""


class Region(Setting["str | None", Any]):
    """The region whose address ``host`` is; setting it sets ``host``."""

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        return next((name for name, host in REGIONS.items() if host == instance.host), None)

    def __set__(self, instance: Any, value: str | None) -> None:
        if value is not None:
            instance.host = REGIONS[self.check(self.name, value)]


@cache
def _descriptions(owner: type) -> dict[str, str]:
    """Return attribute name -> the text below it; none where the source is not at hand."""
    import ast  # needed only for help(), slow to import
    import inspect

    try:
        body = ast.parse(inspect.getsource(owner)).body[0]
    except (OSError, TypeError):
        return {}
    return {
        attribute.target.id: inspect.cleandoc(text.value.value)
        for attribute, text in pairwise(cast("ast.ClassDef", body).body)
        if isinstance(attribute, ast.AnnAssign) and isinstance(attribute.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
        if isinstance(text.value.value, str)
    }


class _Signature:
    """The signature of a configuration's constructor: what can be set, its type and default."""

    def __get__(self, instance: object, owner: type) -> inspect.Signature:
        if owner.__init__ is not Configuration.__init__:  # type: ignore[misc]  # it is read alone
            raise AttributeError  # inspect reads the subclass's own constructor then
        import inspect  # needed only for help() and editors, slow to import

        return inspect.Signature(
            [
                inspect.Parameter(
                    name,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=setting.default,
                    annotation=_accepted_type(hint) | None,
                )
                for name, hint in get_type_hints(owner).items()
                if (setting := _SETTINGS.get(name)) is not None
            ]
        )


def _accepted_type(hint: Any) -> Any:
    """Return the type of the values that a setting of this annotation takes."""
    arguments = get_args(hint)
    return arguments[0] if arguments else str  # Region has its types in its base


def _host(name: str, value: object) -> str:
    host = _validators.url(name, value)
    if _validators.is_plain_http(host):
        warnings.warn(
            f"{name} is plain http: the API key crosses the network unencrypted",
            InsecureTransportWarning,
            stacklevel=_caller_stacklevel(),
        )
    return host


def _caller_stacklevel() -> int:
    """Return the stack level, as seen from the function that asks, of the first frame outside."""
    level, frame = 1, sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).startswith("stcloud."):
        level, frame = level + 1, frame.f_back
    return level


def _no_setting(name: str) -> str:
    from difflib import get_close_matches  # needed only for a slip

    nearest = _OTHER_NAMES.get(name) or "".join(get_close_matches(name, _SETTINGS, 1))
    hint = f"did you mean {nearest!r}?" if nearest else "help(stcloud.Configuration) lists them"
    return f"Configuration has no setting {mask_uuids(name)!r}; {hint}"


def _region(name: str, value: object) -> str:
    return _validators.one_of(name, value, REGIONS)


def _header_texts(name: str, value: object) -> HeaderDict:
    if isinstance(value, (str, bytes)):
        value = {AUTHORIZATION: value and _validators.header_text(name, value)}
    if isinstance(value, Mapping):
        return HeaderDict(name, cast("HeaderMapping", value))
    raise _validators.wrong_type(name, "str, bytes or a dict", value)


def _verify_ssl(name: str, value: object) -> bool:
    is_verified = _validators.boolean(name, value)
    if not is_verified:
        _warn_of_no_verification(f"{name} is False")
    return is_verified


def _ssl_context(name: str, value: object) -> ssl.SSLContext:
    context = _validators.instance(name, value, ssl.SSLContext)
    if context.verify_mode is ssl.CERT_NONE:
        _warn_of_no_verification(f"{name} verifies nothing")
    return context


def _warn_of_no_verification(reason: str) -> None:
    warnings.warn(
        f"{reason}: anyone on the way can read the API key and every token",
        InsecureTransportWarning,
        stacklevel=_caller_stacklevel(),
    )


def _log_format(name: str, value: object) -> str:
    text = _validators.text(name, value)
    try:
        logging.Formatter(text).format(logging.makeLogRecord({}))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be a format such as '%(message)s': {error}") from None
    return text


def _retries(name: str, value: object) -> RetryPolicy:
    if isinstance(value, RetryPolicy):
        _validators.positive_int(f"{name}.attempts", value.attempts)
        for field, number in value._asdict().items():
            _validators.non_negative(f"{name}.{field}", number)
        return value
    if not isinstance(value, int):
        raise _validators.wrong_type(name, "int or RetryPolicy", value)
    return RetryPolicy(attempts=1 + _validators.positive_int(name, value, minimum=0))


HeaderMapping: TypeAlias = Mapping[str, str]
Path: TypeAlias = str | os.PathLike[str]
Hook: TypeAlias = Callable[["Configuration"], object]


@dataclass_transform(kw_only_default=True, field_specifiers=(Setting, SimpleSetting, Region))
class Settings:
    """Type checkers derive the keywords of a subclass's constructor from its settings."""


class Configuration(Settings):
    """The settings of an :class:`~stcloud.ApiClient`; each can also be passed by keyword.

    What is not passed, or None, comes from the configuration of :meth:`set_default` if there is
    one, else from the environment (``SEMATEXT_API_KEY``; ``SEMATEXT_HOST``, before
    ``SEMATEXT_REGION``), else it is the default. What is not allowed raises ValueError or
    TypeError at once, a mistyped attribute AttributeError. Neither an error nor ``repr`` shows a
    secret.
    """

    region: Region = Region(_region, default=None)
    """``"US"`` or ``"EU"``, also in small letters: a short way to set ``host``; None for others.

    Setting None leaves ``host`` as it is."""
    host: SimpleSetting[str] = SimpleSetting(_host, default=REGIONS["US"])
    """Address of the service; it may have a base path."""
    api_key: Setting[str | bytes | HeaderMapping, HeaderDict] = Setting(
        _header_texts, default={}, secret=True
    )
    """The API key, under ``"Authorization"``; a str or bytes alone set it."""
    api_key_prefix: Setting[str | bytes | HeaderMapping, HeaderDict] = Setting(
        _header_texts, default="apiKey"
    )
    """The word before the key, unless the key starts with it; empty for none."""
    refresh_api_key_hook: SimpleSetting[Hook | None] = SimpleSetting(
        _validators.optional(_validators.callable_), default=None
    )
    """Called with the configuration before the key is read, to set a fresh one."""
    username: SimpleSetting[str | None] = SimpleSetting(
        _validators.optional(_validators.text), default=None
    )
    """Unused by this API."""
    password: SimpleSetting[str | None] = SimpleSetting(
        _validators.optional(_validators.text), default=None, secret=True
    )
    """Unused by this API."""
    connect_timeout: SimpleSetting[float] = SimpleSetting(_validators.seconds, default=5)
    """Seconds that connecting may take."""
    read_timeout: SimpleSetting[float] = SimpleSetting(_validators.seconds, default=30)
    """Seconds to wait for the server's next bytes."""
    deadline: SimpleSetting[float] = SimpleSetting(_validators.seconds, default=60)
    """Seconds that a call may take in all, its attempts and the waits between them."""
    retries: Setting[int | RetryPolicy, RetryPolicy] = Setting(_retries, default=RetryPolicy())
    """How often a call may be retried, 0 for never, or a policy."""
    verify_ssl: SimpleSetting[bool] = SimpleSetting(_verify_ssl, default=True)
    """Whether the server's certificate and name are verified."""
    ssl_ca_cert: Setting[Path | None, str | None] = Setting(
        _validators.optional(_validators.file_or_folder), default=None
    )
    """File of the trusted certificates (PEM), or a folder of them that ``openssl rehash`` made.

    None is for those of ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``, or certifi's.
    """
    cert_file: Setting[Path | None, str | None] = Setting(
        _validators.optional(_validators.file), default=None
    )
    """File of the client's certificate (PEM)."""
    key_file: Setting[Path | None, str | None] = Setting(
        _validators.optional(_validators.file), default=None
    )
    """File of the client certificate's key (PEM), unless ``cert_file`` has it."""
    ssl_context: SimpleSetting[ssl.SSLContext | None] = SimpleSetting(
        _validators.optional(_ssl_context), default=None
    )
    """A context of your own, used as it is, instead of ``verify_ssl``, ``ssl_ca_cert``,
    ``cert_file`` and ``key_file``."""
    assert_hostname: SimpleSetting[str | bool | None] = SimpleSetting(
        _validators.optional(_validators.name_or_false), default=None
    )
    """The name to expect in the certificate, instead of the host's; False for any."""
    proxy: SimpleSetting[str | None] = SimpleSetting(
        _validators.optional(_validators.proxy_url), default=None, secret=True
    )
    """URL of a proxy; it may have credentials."""
    trust_env: SimpleSetting[bool] = SimpleSetting(_validators.boolean, default=True)
    """Whether ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY``, ``NO_PROXY``, ``SSL_CERT_FILE`` and
    ``SSL_CERT_DIR`` count."""
    max_response_bytes: SimpleSetting[int] = SimpleSetting(
        _validators.positive_int, default=64 * 1024 * 1024
    )
    """Bytes, after decompression, that a response may have."""
    connection_pool_maxsize: SimpleSetting[int] = SimpleSetting(
        _validators.positive_int, default=10
    )
    """Connections at most, and threads for ``async_req``; responses read by the caller
    (``_preload_content=False``) have connections of their own."""
    idle_timeout: SimpleSetting[float] = SimpleSetting(_validators.seconds, default=30)
    """Seconds after which an idle connection is not used again; a server may ask for fewer."""
    safe_chars_for_path_param: SimpleSetting[str] = SimpleSetting(_validators.text, default="")
    """Characters that ``call_api`` does not quote in path parameters."""
    temp_folder_path: Setting[Path | None, str | None] = Setting(
        _validators.optional(_validators.path), default=None
    )
    """Unused by this API, which has no downloads."""
    debug: SimpleSetting[bool] = SimpleSetting(_validators.boolean, default=False)
    """Whether logger ``stcloud`` logs each attempt, too; read when a client is made."""
    logger_file: Setting[Path | None, str | None] = Setting(
        _validators.optional(_validators.new_file), default=None
    )
    """File that logger ``stcloud`` writes to, a line for each call; read when a client is made."""
    logger_format: SimpleSetting[str] = SimpleSetting(
        _log_format, default="%(asctime)s %(name)s %(levelname)s %(message)s"
    )
    """Format of the lines in ``logger_file`` and, with ``debug``, on stderr."""

    _default: ClassVar[Configuration | None] = None

    if not TYPE_CHECKING:  # a type checker draws the signature from the settings
        __signature__ = _Signature()

        @hides_variables
        def __init__(self, **settings: Any) -> None:
            for name in settings.keys() - _SETTINGS.keys():
                raise TypeError(_no_setting(name))
            passed = {name: value for name, value in settings.items() if value is not None}
            if self._default is None:
                for name, setting in _SETTINGS.items():
                    setattr(self, name, setting.default)
                self._read_environment(passed)
            else:
                self.__dict__.update(vars(self._default.__copy__()))
            for name in _SETTINGS:  # in their order: a host overrules the region's
                if name in passed:
                    setattr(self, name, passed[name])

        @hides_variables
        def __setattr__(self, name: str, value: object) -> None:
            if name not in _SETTINGS:
                raise AttributeError(_no_setting(name))
            super().__setattr__(name, value)

    def _read_environment(self, passed: Mapping[str, object]) -> None:
        """Take from the environment what is not passed; an error names the variable."""
        for name, variable in _VARIABLES.items():
            value = os.environ.get(variable)
            address_passed = name in _ADDRESS and passed.keys() & _ADDRESS
            if value and name not in passed and not address_passed:
                try:
                    setattr(self, name, value)
                except ValueError as error:
                    raise ValueError(f"{variable}: {error}") from None

    @classmethod
    def set_default(cls, default: Configuration | None) -> None:
        """Make each new configuration start as a copy of this one; None ends that."""
        if default is not None:
            default = _validators.instance("default", default, Configuration).__copy__()
        cls._default = default

    def __copy__(self) -> Self:
        """Return a configuration with dicts of its own."""
        copied = object.__new__(type(self))
        for name, value in vars(self).items():
            vars(copied)[name] = (
                HeaderDict(value.owner, value.data) if isinstance(value, HeaderDict) else value
            )
        return copied

    @property
    def logger(self) -> dict[str, logging.Logger]:
        """The one logger that the client writes to."""
        return {"package_logger": logger}

    def get_api_key_with_prefix(self, identifier: str) -> str | None:
        """Return the header's value that carries this key, None if there is no key."""
        if self.refresh_api_key_hook is not None:
            self.refresh_api_key_hook(self)
        key = self.api_key.data.get(identifier)
        prefix = self.api_key_prefix.data.get(identifier)
        if not key or not prefix or key.lower().startswith(f"{prefix.lower()} "):
            return key or None
        return f"{prefix} {key}"

    def auth_settings(self) -> dict[str, dict[str, str | None]]:
        """Return how requests are authorized; the value is the secret itself."""
        return {
            "api_key": {
                "type": "api_key",
                "in": "header",
                "key": AUTHORIZATION,
                "value": self.get_api_key_with_prefix(AUTHORIZATION),
            }
        }

    def to_debug_report(self) -> str:
        """Return facts of this installation for a bug report; it has no secret."""
        import platform  # rarely needed, slow to import

        return (
            f"stcloud {__version__}, API {API_VERSION}, host {self.host}\n"
            f"Python {platform.python_version()} on {platform.platform()}"
        )

    def __repr__(self) -> str:
        if not _SETTINGS.keys() - {"region"} <= vars(self).keys():
            return "Configuration(...)"  # it is being made
        shown = {
            name: "****" if setting.secret and getattr(self, name) else getattr(self, name)
            for name, setting in _SETTINGS.items()
        }
        shown["api_key_prefix"] = self.api_key_prefix.data  # no secret
        return f"Configuration({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


_SETTINGS: dict[str, Setting[Any, Any]] = {
    name: value for name, value in vars(Configuration).items() if isinstance(value, Setting)
}
_OTHER_NAMES = {
    "base_url": "host",
    "max_retries": "retries",
    "timeout": "deadline",
    "token": "api_key",
    "user_agent": "ApiClient.user_agent",
    "verify": "verify_ssl",
}
"""What other clients call the same, where the letters do not lead there."""
_ADDRESS = {"region", "host"}  # two ways to say the same
_VARIABLES = {"region": "SEMATEXT_REGION", "host": "SEMATEXT_HOST", "api_key": "SEMATEXT_API_KEY"}
