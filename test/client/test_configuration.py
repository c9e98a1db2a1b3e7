import copy
import functools
import inspect
import logging
import pickle
import pydoc
import re
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest

import stcloud
from stcloud import Configuration, InsecureTransportWarning, RetryPolicy
from stcloud.configuration import AUTHORIZATION

US, EU = "https://apps.sematext.com", "https://apps.eu.sematext.com"


def sent_key(configuration: Configuration) -> str | None:
    return configuration.get_api_key_with_prefix(AUTHORIZATION)


@pytest.mark.parametrize(
    ("environment", "settings", "host"),
    [
        ({}, {}, US),
        ({}, {"region": "eu"}, EU),
        ({"SEMATEXT_REGION": "Eu"}, {}, EU),
        ({"SEMATEXT_REGION": "EU"}, {"region": "us"}, US),
        ({"SEMATEXT_REGION": "EU", "SEMATEXT_HOST": "https://h"}, {}, "https://h"),
        ({"SEMATEXT_HOST": "https://h"}, {"region": "EU"}, EU),
        ({"SEMATEXT_HOST": "https://h"}, {"host": "https://i"}, "https://i"),
        ({"SEMATEXT_HOST": ""}, {"host": None}, US),
        ({"SEMATEXT_REGION": "mars"}, {"host": "https://i"}, "https://i"),
        ({"SEMATEXT_HOST": "no URL"}, {"region": "EU"}, EU),
        ({}, {"host": "https://i", "region": "EU"}, "https://i"),
        ({}, {"host": "https://i/base/"}, "https://i/base"),
        ({}, {"host": "https://[2001:db8::1]:8443"}, "https://[2001:db8::1]:8443"),
    ],
)
def test_host_comes_from_the_nearest_source(
    environment: dict[str, str],
    settings: dict[str, Any],
    host: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An argument overrules the environment, a host the region; the US address is the default."""
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert Configuration(**settings).host == host


def test_region_is_a_view_of_the_host() -> None:
    """Setting the region sets the host, and the host shows the region."""
    configuration = Configuration()
    configuration.region = "eu"
    assert (configuration.host, configuration.region) == (EU, "EU")
    configuration.host = "https://elsewhere.example"
    assert configuration.region is None


@pytest.mark.parametrize(
    "key",
    ["some-key", b"some-key", {AUTHORIZATION: "some-key"}, {AUTHORIZATION: b"some-key"}],
    ids=repr,
)
def test_key_is_taken_in_every_form(key: Any) -> None:
    """The key may be text, bytes or the dict of the generated client."""
    assert sent_key(Configuration(api_key=key)) == "apiKey some-key"


def test_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument the key is that of SEMATEXT_API_KEY; an argument overrules it."""
    monkeypatch.setenv("SEMATEXT_API_KEY", "from-outside")
    assert sent_key(Configuration()) == "apiKey from-outside"
    assert sent_key(Configuration(api_key="own")) == "apiKey own"


@pytest.mark.parametrize(
    ("key", "prefix", "sent"),
    [
        ("k", None, "apiKey k"),
        ("apiKey k", None, "apiKey k"),
        ("apiKeyish", None, "apiKey apiKeyish"),
        ("k", "Bearer", "Bearer k"),
        ("apiKey k", "Bearer", "Bearer apiKey k"),
        ("k", "", "k"),
        ("k", {}, "k"),
        ("k", {AUTHORIZATION: ""}, "k"),
    ],
)
def test_prefix_precedes_the_key_once(key: str, prefix: Any, sent: str) -> None:
    """The prefix is apiKey unless another, or none, is given, and is never doubled."""
    assert sent_key(Configuration(api_key=key, api_key_prefix=prefix)) == sent


def test_prefix_can_be_taken_away_later() -> None:
    """Deleting the prefix, or setting it to nothing, leaves the key alone."""
    configuration = Configuration(api_key="k")
    configuration.api_key_prefix[AUTHORIZATION] = ""
    assert sent_key(configuration) == "k"
    del configuration.api_key_prefix[AUTHORIZATION]
    assert sent_key(configuration) == "k"


def test_refresh_hook_gives_a_fresh_key() -> None:
    """The hook is called with the configuration each time before the key is read."""
    keys = iter(["first", "second"])
    configuration = Configuration()
    configuration.refresh_api_key_hook = lambda own: own.api_key.update({AUTHORIZATION: next(keys)})
    assert [sent_key(configuration), sent_key(configuration)] == ["apiKey first", "apiKey second"]


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("region", "mars", ValueError),
        ("region", 1, ValueError),
        ("region", "secret-word", ValueError),
        ("host", "https://a..example", ValueError),
        ("host", f"https://{'a' * 64}.example", ValueError),
        ("host", "apps.sematext.com", ValueError),
        ("host", "ftp://apps.sematext.com", ValueError),
        ("host", "https://", ValueError),
        ("host", "https://h:99999", ValueError),
        ("host", "https://h:0", ValueError),
        ("host", "https://[::1", ValueError),
        ("host", "https://user:secret-word@h", ValueError),
        ("host", "https://h/?secret-word=1", ValueError),
        ("host", "https://h/#secret-word", ValueError),
        ("host", "https://h/\r\nsecret-word: 1", ValueError),
        ("host", "https://h\t", ValueError),
        ("host", "https://h ", ValueError),
        ("host", "https://h%zz", ValueError),
        ("host", "https://[v1.x]", ValueError),
        ("proxy", "socks5://h", ValueError),
        ("read_timeout", 10**400, ValueError),
        ("logger_file", "/no/such/folder/log.txt", ValueError),
        ("logger_file", "/", ValueError),
        ("logger_format", "%(nonsense", ValueError),
        ("logger_format", "plain", ValueError),
        ("logger_format", "%(nonsense)s", ValueError),
        ("logger_format", "%(message)d", ValueError),
        ("host", "https://b\u00fccher.example", ValueError),
        ("host", "https://h\\@evil.example", ValueError),
        ("host", b"https://h", TypeError),
        ("api_key", "secret-word\nHost: evil", ValueError),
        ("api_key", " secret-word", ValueError),
        ("api_key", "secret-word\u2028", ValueError),
        ("api_key", b"secret-word\xff", ValueError),
        ("api_key", {AUTHORIZATION: "secret-word\r"}, ValueError),
        ("api_key", {"Bad\nname": "secret-word"}, ValueError),
        ("api_key", {AUTHORIZATION: 5}, TypeError),
        ("api_key", 5, TypeError),
        ("api_key_prefix", "api\nKey", ValueError),
        ("verify_ssl", 1, TypeError),
        ("debug", "yes", TypeError),
        ("connect_timeout", 0, ValueError),
        ("connect_timeout", -1, ValueError),
        ("read_timeout", float("inf"), ValueError),
        ("read_timeout", float("nan"), ValueError),
        ("read_timeout", "5", TypeError),
        ("read_timeout", True, TypeError),
        ("retries", -1, ValueError),
        ("retries", 1.5, TypeError),
        ("retries", True, TypeError),
        ("connection_pool_maxsize", 0, ValueError),
        ("connection_pool_maxsize", "10", TypeError),
        ("ssl_ca_cert", "/no/such/file", ValueError),
        ("cert_file", 5, TypeError),
        ("key_file", "/", ValueError),
        ("assert_hostname", True, TypeError),
        ("proxy", "proxy.example:3128", ValueError),
        ("refresh_api_key_hook", "call me", TypeError),
        ("username", 5, TypeError),
        ("logger_format", 5, TypeError),
    ],
)
def test_what_is_not_allowed_is_refused_when_set(
    name: str, value: Any, error: type[Exception]
) -> None:
    """A bad setting raises at once, by keyword and by attribute, and no error repeats a secret."""
    configuration = Configuration()
    for set_it in (
        lambda: Configuration(**{name: value}),
        lambda: setattr(configuration, name, value),
    ):
        with pytest.raises(error, match=f"(?i){name}") as raised:
            set_it()
        shown = f"{raised.value} {raised.value.__cause__} {raised.value.__context__}"
        assert "secret-word" not in shown


@pytest.mark.parametrize("variable", ["SEMATEXT_API_KEY", "SEMATEXT_HOST", "SEMATEXT_REGION"])
def test_error_names_the_variable(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong in the environment is reported under the variable's name."""
    monkeypatch.setenv(variable, "\t")
    with pytest.raises(ValueError, match=variable):
        Configuration()


def test_joined_keys_are_masked_too() -> None:
    """As the dict that they come from."""
    configuration = Configuration(api_key="0123456789abcdef")
    joined = configuration.api_key | {"Other": "fedcba9876543210"}
    assert joined["Authorization"] == "0123456789abcdef"
    assert repr(joined) == "{'Authorization': '****', 'Other': '****'}"


def test_unknown_setting_is_refused() -> None:
    """A mistyped setting raises, by keyword and by attribute, and names the word."""
    with pytest.raises(TypeError, match=r"'hots'; did you mean 'host'\?"):
        Configuration(hots="https://h")  # type: ignore[call-arg]
    with pytest.raises(AttributeError, match="hots"):
        setattr(Configuration(), "hots", "https://h")  # noqa: B010


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("apikey", "did you mean 'api_key'?"),
        ("timeout", "did you mean 'deadline'?"),  # though read_timeout is nearer by its letters
        ("verify", "did you mean 'verify_ssl'?"),
        ("base_url", "did you mean 'host'?"),
        ("user_agent", "did you mean 'ApiClient.user_agent'?"),
        ("colour", "help(stcloud.Configuration) lists them"),
    ],
)
def test_unknown_setting_has_a_hint(name: str, hint: str) -> None:
    """The name that is meant, also where other clients have another one."""
    with pytest.raises(TypeError, match=re.escape(f"no setting {name!r}; {hint}")):
        Configuration(**{name: "x"})  # type: ignore[arg-type]


def test_proxy_without_a_scheme_is_explained() -> None:
    """Host and port alone are what people paste."""
    for wrong, named in (
        ("http://proxy:99999", "has no port from 1 to 65535"),
        ("http://proxy:port", "has no port from 1 to 65535"),
        ("http://user:p#ss@proxy:3128", "write %2F, %3F or %23"),
        ("http://user:p?ss@proxy:3128", "write %2F, %3F or %23"),
        ("http://user:p/ss@proxy:3128", "write %2F, %3F or %23"),
        ("http://user:1234/ss@proxy:3128", "write %2F, %3F or %23"),
        ("http://user:pass@proxy:3128/?x", "has a query or a fragment"),
        ("http://proxy:3128/#x", "has a query or a fragment"),
        ("ftp://proxy:3128", "does not begin with http:// or https:// and a host"),
    ):
        with pytest.raises(ValueError, match=named):
            Configuration(proxy=wrong)
    for wrong in ("https://user:1234/ss@h", "https://user:p#ss@h", "https://user:pass@h:99999"):
        with pytest.raises(ValueError, match="has credentials"):
            Configuration(host=wrong)
    with pytest.raises(ValueError, match="put http:// before the host and port"):
        stcloud.Configuration(proxy="proxy:3128")


def test_key_is_checked_when_set_in_the_dict() -> None:
    """The dict of the generated client refuses a key that would break the header."""
    with pytest.raises(ValueError, match=r"api_key\['Authorization'\]") as raised:
        Configuration().api_key[AUTHORIZATION] = "secret-word\n"
    assert "secret-word" not in str(raised.value)


@pytest.mark.parametrize(
    "host",
    [
        "http://localhost:1",
        "http://localhost.",
        "http://app.localhost",
        "http://127.0.0.2",
        "http://[::1]",
        "https://h",
    ],
)
def test_safe_transport_does_not_warn(host: str) -> None:
    """Loopback needs no TLS."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Configuration(host=host).host == host


@pytest.mark.parametrize("host", ["http://h", "http://10.0.0.1", "http://localhost.example"])
def test_plain_http_warns_at_the_callers_line(host: str) -> None:
    """Plain http to anything but loopback warns, and the warning points to the user's own line."""
    for set_it in (
        lambda: Configuration(host=host),
        lambda: setattr(Configuration(), "host", host),
    ):
        with pytest.warns(InsecureTransportWarning, match="unencrypted") as caught:
            set_it()
        assert caught[0].filename == __file__


def test_code_without_a_module_is_warned_too() -> None:
    """A rule engine runs such."""
    with pytest.warns(InsecureTransportWarning):
        exec("Configuration(host='http://10.0.0.1')", {"Configuration": Configuration})  # noqa: S102


def test_copied_keys_are_masked_and_checked() -> None:
    """As the others are."""
    configuration = Configuration(api_key="secret-word")
    copied = configuration.api_key.copy()
    assert copied == configuration.api_key
    assert "secret-word" not in repr(copied)
    with pytest.raises(ValueError, match="printable"):
        copied[AUTHORIZATION] = "two\nlines"


def test_subclass_has_the_signature_of_its_constructor() -> None:
    """If it has one of its own."""

    class Team(Configuration):
        def __init__(self, team: str) -> None:
            super().__init__(username=team)

    assert list(inspect.signature(Team).parameters) == ["team"]
    assert "host" in inspect.signature(type("Other", (Configuration,), {})).parameters


def test_configurations_share_nothing() -> None:
    """Each configuration owns its dicts, a copy of another's included."""
    one = Configuration(api_key="one")
    other = copy.deepcopy(one)
    other.api_key[AUTHORIZATION] = "other"
    Configuration().api_key[AUTHORIZATION] = "third"
    assert (sent_key(one), sent_key(Configuration())) == ("apiKey one", None)


def test_set_default_is_where_new_ones_start() -> None:
    """New configurations start as copies of the default; later changes do not reach it."""
    default = Configuration(api_key="default", read_timeout=7)
    Configuration.set_default(default)
    default.read_timeout = 8
    Configuration().api_key[AUTHORIZATION] = "changed"
    new = Configuration(region="EU")
    assert (sent_key(new), new.read_timeout, new.host) == ("apiKey default", 7, EU)


def test_no_secret_is_shown() -> None:
    """Neither repr nor the debug report shows a key, a password or a proxy's credentials."""
    configuration = Configuration(
        api_key="secret-word", password="secret-word", proxy="http://user:secret-word@localhost:1"
    )
    configuration.api_key["Other"] = "secret-word"
    shown = [configuration, configuration.api_key, vars(configuration)["api_key"]]
    report = configuration.to_debug_report()
    assert "secret-word" not in repr(shown) + str(shown) + report
    assert stcloud.__version__ in report


def test_auth_settings_tell_how_requests_are_authorized() -> None:
    """The generated client's shape of the authorization is kept."""
    settings = Configuration(api_key="k").auth_settings()
    assert settings["api_key"] == {
        "type": "api_key",
        "in": "header",
        "key": "Authorization",
        "value": "apiKey k",
    }


def test_shallow_copy_owns_its_dicts() -> None:
    """A change in a copy's dict does not reach the original."""
    original = Configuration(api_key="k")
    copy.copy(original).api_key[AUTHORIZATION] = "changed"
    assert sent_key(original) == "apiKey k"


def test_copies_and_pickles() -> None:
    """A configuration can be copied and sent to another process."""
    configuration = Configuration(api_key="k", region="EU")
    for copied in (copy.copy(configuration), pickle.loads(pickle.dumps(configuration))):
        assert (sent_key(copied), copied.host) == ("apiKey k", EU)


def test_only_the_own_logger_is_touched(tmp_path: Path) -> None:
    """Debug and a log file change logger stcloud alone, and the file is written to once a line."""
    own = logging.getLogger("stcloud")
    before = (own.level, list(own.handlers))
    others = [logging.getLogger(), logging.getLogger("urllib3")]
    states = [(other.level, list(other.handlers)) for other in others]
    file = tmp_path / "log.txt"
    try:
        configuration = Configuration(debug=True, logger_file=file, logger_format="%(message)s")
        for _ in range(2):
            stcloud.ApiClient(configuration)
        configuration.logger["package_logger"].debug("line")
        assert file.read_text() == "line\n"
        assert [(other.level, list(other.handlers)) for other in others] == states
    finally:
        for handler in set(own.handlers) - set(before[1]):
            own.removeHandler(handler)
            handler.close()
        own.setLevel(before[0])


def test_operators_of_dicts_check_too() -> None:
    """``|=`` sets nothing that is refused, and ``|`` gives a plain dict."""
    configuration = Configuration(api_key="good")
    with pytest.raises(ValueError, match="api_key"):
        configuration.api_key |= {AUTHORIZATION: "bad\nkey"}
    assert configuration.api_key | {"X": "y"} == {AUTHORIZATION: "good", "X": "y"}


def test_default_may_have_a_hook_of_any_kind() -> None:
    """The hook of the default is used itself, not a copy, whatever it belongs to."""
    hook = functools.partial(lambda lock, _: lock.locked(), threading.Lock())
    Configuration.set_default(Configuration(refresh_api_key_hook=hook))
    assert Configuration().refresh_api_key_hook is hook
    with pytest.raises(TypeError, match="default must be Configuration"):
        Configuration.set_default({})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["proxy", "ssl_ca_cert", "cert_file", "logger_file", "username"])
def test_empty_text_is_none(name: str) -> None:
    """What an empty variable of a script gives stands for nothing."""
    configuration = Configuration()
    setattr(configuration, name, "")
    assert getattr(configuration, name) is None


def test_scheme_may_be_in_capitals() -> None:
    """The scheme's case does not matter, and later code sees it in one form."""
    assert Configuration(host="HTTPS://h/Base").host == "https://h/Base"


def test_signature_and_help_describe_each_setting() -> None:
    """What a setting takes, its default and its description are where editors and help() look."""
    parameters = inspect.signature(Configuration).parameters
    assert set(parameters) == set(vars(Configuration())) | {"region"}  # which is kept as the host
    assert parameters["read_timeout"].annotation == float | None
    assert parameters["read_timeout"].default == 30
    assert parameters["region"].annotation == str | None
    assert parameters["retries"].annotation == int | RetryPolicy | None
    texts = [inspect.getdoc(getattr(Configuration, name)) for name in parameters]
    assert all(texts)
    assert len(set(texts)) > len(texts) - 3  # those that this API does not use share theirs
    page = pydoc.render_doc(Configuration)
    assert "Seconds that connecting may take." in page


def test_repr_shows_the_prefix_but_no_key() -> None:
    """The word before the key is no secret."""
    shown = repr(Configuration(api_key="0123456789abcdef", api_key_prefix="Bearer"))
    assert "'Authorization': 'Bearer'" in shown
    assert "cdef" not in shown


@pytest.mark.parametrize(
    ("field", "value", "error"), [("backoff", -1, ValueError), ("budget", "much", TypeError)]
)
def test_fields_of_a_policy_are_checked(field: str, value: Any, error: type[Exception]) -> None:
    """A policy with a value that makes no sense is refused, by the field's name."""
    policy = RetryPolicy()._replace(**{field: value})
    with pytest.raises(error, match=f"retries.{field}"):
        Configuration(retries=policy)


def test_update_in_place_is_checked() -> None:
    """The operator ``|=`` checks what it sets, as an assignment does."""
    configuration = Configuration()
    configuration.api_key |= {AUTHORIZATION: "a-key"}
    assert sent_key(configuration) == "apiKey a-key"
    with pytest.raises(ValueError, match="api_key"):
        configuration.api_key |= {AUTHORIZATION: "a\nkey"}


def test_help_needs_no_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the source is not at hand, as in a frozen program, a setting has no description."""

    class Elsewhere:
        setting = type(vars(Configuration)["debug"])(str)

    def getsource(_: object) -> str:
        raise OSError

    monkeypatch.setattr(inspect, "getsource", getsource)
    assert vars(Elsewhere)["setting"].__doc__ is None
