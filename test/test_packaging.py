"""What is shipped: the version, the requirements and the files of the installed package."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import stcloud

ROOT = Path(__file__).parents[1]
RUNTIME = {"certifi", "python-dateutil", "six", "urllib3"}


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
    stated = map(Requirement, metadata.requires("stcloud") or [])
    listed = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    required = {one for one in stated if "extra ==" not in str(one.marker)}
    assert required == set(map(Requirement, listed))
    assert {one.name for one in required} == RUNTIME


@pytest.mark.skipif("STCLOUD_DISTRIBUTIONS" not in os.environ, reason="set by tox -e package")
def test_bill_of_materials_lists_what_the_wheel_brings() -> None:
    """The bill of materials names the package's requirements, and what these require."""
    bill = Path(os.environ["STCLOUD_DISTRIBUTIONS"]) / "stcloud.cdx.json"
    document = json.loads(bill.read_text(encoding="utf-8"))
    assert document["bomFormat"] == "CycloneDX"
    names = {part["bom-ref"]: part["name"] for part in document["components"]}
    required = {one["ref"]: one.get("dependsOn", []) for one in document["dependencies"]}
    brought = {names[ref]: {names[other] for other in required[ref]} for ref in names}
    assert brought["stcloud"] == RUNTIME
    assert set(names.values()) == {"stcloud"}.union(*brought.values())


def test_links_of_the_description_lead_to_the_repository() -> None:
    """An index shows the README where its relative links would lead nowhere."""
    package = metadata.metadata("stcloud")
    site = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]
    description = str(package.json["description"])
    links = re.findall(r"\]\((?!#)([^)]+)\)", description)
    assert f"{site['repo_url']}/blob/main/docs/migrating.md" in links
    assert [link for link in links if not link.startswith("https://")] == []
    addresses = [one.partition(", ")[2] for one in package.get_all("Project-URL") or []]
    assert addresses
    assert all(one.startswith(site["repo_url"]) for one in addresses)


def test_import_warns_of_the_other_client(tmp_path: Path) -> None:
    """Where both are installed, their files lie in one folder."""
    package = tmp_path / "stcloud"
    shutil.copytree(Path(stcloud.__file__).parent, package)
    command = [sys.executable, "-c", "import stcloud"]
    unmeasured = {name: text for name, text in os.environ.items() if "COVERAGE" not in name}
    environment = {**unmeasured, "PYTHONPATH": str(tmp_path)}  # the copy is not to be covered
    for name, warned in (("alerts_api_.py", 0), ("alerts_api.py", 1)):
        (package / "api" / name).touch()
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert done.stderr.count("uninstall both with pip, then install stcloud again") == warned
        assert done.stderr.count("<string>:1: RuntimeWarning") == warned


def test_package_says_that_it_is_typed() -> None:
    """The marker that lets type checkers read the package's types is installed with it."""
    assert Path(stcloud.__file__).with_name("py.typed").is_file()


def test_package_says_its_license() -> None:
    """The metadata names the license, and the license's text is installed."""
    assert metadata.metadata("stcloud")["License-Expression"] == "Apache-2.0"
    assert "licenses/LICENSE" in " ".join(map(str, metadata.files("stcloud") or []))
