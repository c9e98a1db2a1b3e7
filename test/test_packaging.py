"""What is shipped: the version, the requirements and the files of the installed package."""

import os
import re
import sysconfig
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import stcloud

ROOT = Path(__file__).parents[1]


def test_installed_version_is_the_stated_one() -> None:
    """The package's metadata carries the version that the module states."""
    assert metadata.version("stcloud") == stcloud.__version__


def test_changelog_opens_with_the_version() -> None:
    """The changelog's newest entry is the stated version, dated or marked as unreleased."""
    headings = re.findall(r"^## .*", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    version = re.escape(stcloud.__version__)
    assert re.fullmatch(rf"## \[{version}\] - (\d{{4}}-\d\d-\d\d|Unreleased)", headings[0])


@pytest.mark.skipif("STCLOUD_TEST_INSTALLED" not in os.environ, reason="set by tox")
def test_tests_meet_the_installed_package() -> None:
    """Under tox, tests import the package from site-packages, not from the tree beside them."""
    assert Path(stcloud.__file__).parents[1] == Path(sysconfig.get_path("purelib"))


def test_runtime_requirements_are_those_of_requirements_txt() -> None:
    """Installing the package brings what requirements.txt lists, and nothing else."""
    installed = map(Requirement, metadata.requires("stcloud") or [])
    listed = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert {one for one in installed if one.marker is None} == set(map(Requirement, listed))


def test_package_says_that_it_is_typed() -> None:
    """The marker that lets type checkers read the package's types is installed with it."""
    assert Path(stcloud.__file__).with_name("py.typed").is_file()


def test_package_says_its_license() -> None:
    """The metadata names the license, and the license's text is installed."""
    assert metadata.metadata("stcloud")["License-Expression"] == "Apache-2.0"
    assert "licenses/LICENSE" in " ".join(map(str, metadata.files("stcloud") or []))
