"""A pytest plugin: ends a run that does not end by itself, and shows what each thread is doing.

pytest-timeout ends a test that hangs. This ends what it cannot: a hang outside of tests, and a
thread that is no daemon, for which Python waits after the last test.
"""

import faulthandler
import os
import threading

import pytest

EXIT_STATUS = 70


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the limits to pytest's settings."""
    parser.addini("run_limit", "seconds that a run may take", default="1800")
    parser.addini("exit_limit", "seconds that a run may take to end, after its tests", default="30")


def pytest_configure(config: pytest.Config) -> None:
    """Begin to count the time of the run."""
    _end_in(float(config.getini("run_limit")), os.dup(2))  # pytest captures 2 while tests run


def pytest_unconfigure(config: pytest.Config) -> None:
    """Begin to count the time after the tests."""
    _end_in(float(config.getini("exit_limit")), 2)


def _end_in(seconds: float, stderr: int) -> None:
    timer = threading.Timer(seconds, _end, [seconds, stderr])
    timer.daemon = True
    timer.start()


def _end(seconds: float, stderr: int) -> None:
    os.write(stderr, f"\nThe test run has not ended within {seconds:g} s.\n".encode())
    faulthandler.dump_traceback(stderr)
    os._exit(EXIT_STATUS)
