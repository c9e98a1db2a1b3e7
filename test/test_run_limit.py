"""A test run ends, whatever a test does."""

from pathlib import Path

import pytest
import run_limit

TESTS = {
    "thread-that-is-no-daemon": """
        import threading

        def test_leaves_a_thread():
            threading.Thread(target=threading.Event().wait).start()
    """,
    "hang-that-no-timeout-ends": """
        import threading

        def test_hangs():
            threading.Event().wait()
    """,
}


@pytest.mark.parametrize("name", TESTS)
def test_run_ends_by_itself(
    name: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that hangs is ended, with a status of its own."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # no other limit, a quick start
    support = Path(run_limit.__file__).parent
    pytester.makeini(f"[pytest]\npythonpath = {support}\nrun_limit = 3\nexit_limit = 0.1\n")
    pytester.makeconftest("pytest_plugins = ['run_limit']")
    pytester.makepyfile(TESTS[name])
    result = pytester.runpytest_subprocess(timeout=50)
    assert result.ret == run_limit.EXIT_STATUS
    result.stderr.fnmatch_lines(["The test run has not ended within*"])
