"""The pytest plugin, as a user's tests meet it: each test here runs pytest on files of its own."""

import os
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

PAGE = Path(__file__).parents[1] / "docs" / "testing.md"


@pytest.fixture(autouse=True)
def plugin_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The inner runs load the plugin, installed or not, and none that others have installed."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "pytest_stcloud")
    monkeypatch.setenv("PYTHONWARNINGS", "error")


@pytest.fixture
def paste(pytester: pytest.Pytester) -> None:
    """Write the page's files, by the names in the titles of their blocks."""
    for block in MarkdownIt().parse(PAGE.read_text(encoding="utf-8")):
        if title := re.fullmatch('python title="(.+)"', block.info):
            pytester.path.joinpath(title[1]).write_text(block.content, encoding="utf-8")


@pytest.mark.usefixtures("paste")
def test_page_as_pasted(pytester: pytest.Pytester) -> None:
    """The page's test files pass as they stand."""
    pytester.runpytest_subprocess().assert_outcomes(passed=4)


@pytest.mark.usefixtures("paste")
def test_page_finds_a_careless_rotation(pytester: pytest.Pytester) -> None:
    """The page's test fails for a program that gives readers no time to notice."""
    pytester.makepyfile(
        rotation="""
        from datetime import timedelta

        def rotate(manager, publish):
            return manager.rotate("shipper", publish, older_than=timedelta(days=30))
        """
    )
    result = pytester.runpytest_subprocess("test_rotation.py")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines("FAILED test_rotation.py::test_old_token_is_replaced *")


def test_each_test_starts_afresh(pytester: pytest.Pytester) -> None:
    """A test meets no token, fault or closed door of one before, on the same server."""
    pytester.makepyfile(
        """
        import pytest
        from stcloud.sandbox import Fault

        urls = set()

        @pytest.mark.parametrize("turn", [1, 2])
        def test_state(stcloud_sandbox, stcloud_api, turn):
            assert stcloud_sandbox.pending_faults == 0
            assert stcloud_api.get_app_tokens1(789).data.tokens == []
            assert stcloud_api.create_app_token({}, 789).data.token.id == 1001
            stcloud_sandbox.fail_next(None, Fault.status(400), times=9)
            urls.add(stcloud_sandbox.url)
            assert len(urls) == 1
            with stcloud_sandbox.refusing():
                raise RuntimeError
        """
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(failed=2)
    assert re.findall(r"FAILED \S+ - (\w+)", result.stdout.str()) == ["RuntimeError"] * 2


def test_nothing_outside_changes_the_api(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the environment's settings nor a default configuration reach ``stcloud_api``."""
    for name in ("SEMATEXT_HOST", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("SEMATEXT_API_KEY", "made-up-other-key")
    monkeypatch.setenv("SEMATEXT_REGION", "nowhere")
    monkeypatch.delenv("NO_PROXY", raising=False)
    pytester.makepyfile(
        """
        import stcloud

        theirs = stcloud.Configuration(
            host="http://127.0.0.1:9", api_key="x", api_key_prefix="y", proxy="http://127.0.0.1:9"
        )
        stcloud.Configuration.set_default(theirs)

        def test_call(stcloud_api):
            assert stcloud_api.get_app_tokens1(789).data.tokens == []
            assert stcloud.Configuration().host == theirs.host
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_attempts_follow_quickly(pytester: pytest.Pytester) -> None:
    """The waits between the attempts of ``stcloud_api`` take milliseconds."""
    pytester.makepyfile(
        """
        import time
        from stcloud.sandbox import Fault

        def test_time(stcloud_sandbox, stcloud_api, monkeypatch):
            waits = []
            monkeypatch.setattr(time, "sleep", waits.append)
            stcloud_sandbox.fail_next(None, Fault.status(503), times=2)
            stcloud_api.get_app_tokens1(789)
            assert len(waits) == 2
            assert max(waits) < 0.01
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_client_is_closed(pytester: pytest.Pytester) -> None:
    """The client of ``stcloud_api`` is closed when its test is over."""
    pytester.makepyfile(
        """
        import stcloud

        class Client(stcloud.ApiClient):
            def close(self):
                closed.append(self)
                super().close()

        closed = []
        stcloud.ApiClient = Client

        def test_call(stcloud_api):
            assert closed == []

        def test_what_is_left():
            assert len(closed) == 1
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=2)


def test_missing_extra_is_named(pytester: pytest.Pytester) -> None:
    """Without the extra a test that uses a fixture says what to install; others just run."""
    pytester.makeconftest("import sys; sys.modules['werkzeug'] = None")
    pytester.makepyfile(
        """
        def test_with(stcloud_api): ...
        def test_without(): ...
        """
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=1, passed=1)
    result.stdout.fnmatch_lines("the sandbox needs*pip install '.[[]sandbox]'*werkzeug*")


@pytest.mark.parametrize(
    ("fixture", "traces"),
    [("tmp_path", ""), ("stcloud_api", " socket stcloud thread urllib3")],
)
def test_costs_nothing_when_unused(pytester: pytest.Pytester, fixture: str, traces: str) -> None:
    """The client is imported, and a thread or a socket made, only where a fixture is used."""
    pytester.makepyfile(f"def test_it({fixture}): ...")
    script = pytester.makepyfile(
        run="""
        import sys
        import threading
        import pytest

        def note_thread(thread, start=threading.Thread.start):
            traces.add("thread")
            start(thread)

        traces = set()
        threading.Thread.start = note_thread
        sys.addaudithook(lambda event, _: event == "socket.__new__" and traces.add("socket"))
        assert pytest.main() == 0
        assert "pytest_stcloud" in sys.modules
        print("traces:", *sorted(traces | sys.modules.keys() & {"stcloud", "urllib3"}))
        """
    )
    result = pytester.runpython(script)
    assert result.outlines[-1] == f"traces:{traces}"


def test_fixtures_are_described(pytester: pytest.Pytester) -> None:
    """``pytest --fixtures`` shows the two fixtures with what they are, and no other."""
    result = pytester.runpytest_subprocess("--fixtures")
    described = re.findall(r"^(stcloud_\w+) .*\n    A .*``stcloud\.", result.stdout.str(), re.M)
    assert described == ["stcloud_sandbox", "stcloud_api"]


@pytest.mark.skipif("STCLOUD_TEST_INSTALLED" not in os.environ, reason="set by tox")
def test_installing_brings_the_fixtures(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plugin of the installed package is loaded without being named."""
    for variable in ("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "PYTEST_PLUGINS", "PYTHONWARNINGS"):
        monkeypatch.delenv(variable)
    pytester.makepyfile("def test_it(stcloud_api): ...")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_sandbox_that_a_test_has_closed_starts_again(pytester: pytest.Pytester) -> None:
    """The next test has its own."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("number", range(3))
        def test_close(stcloud_sandbox, stcloud_api, number):
            assert stcloud_api.get_app_tokens1(789).tokens == []
            stcloud_sandbox.close()
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=3)
