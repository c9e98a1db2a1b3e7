import re
import tomllib
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def version() -> str:
    # Read as text: importing stcloud would need its requirements, which a build environment lacks.
    source = (ROOT / "stcloud" / "version.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "(.+)"$', source, re.MULTILINE)
    if match is None:
        raise RuntimeError('stcloud/version.py has no line like __version__ = "1.2.3"')
    return match[1]


def requirements(file_name: str) -> list[str]:
    lines = (ROOT / file_name).read_text(encoding="utf-8").splitlines()
    stated = (line.partition("#")[0].strip() for line in lines)
    return [requirement for requirement in stated if requirement]


def long_description(repository: str) -> str:
    """Return the README; where it is shown, its links need the repository's address."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.sub(r"\]\((?!https://|#)", f"]({repository}/blob/main/", readme)


# Stated there for the site, too.
REPOSITORY = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"][
    "repo_url"
]
SANDBOX = ["werkzeug>=3", "jsonschema>=4.18"]

setup(
    name="stcloud",
    version=version(),
    description="Client for the app-token API of Sematext Cloud, with a local sandbox to try it on",
    long_description=long_description(REPOSITORY),
    long_description_content_type="text/markdown",
    url=REPOSITORY,
    project_urls={
        "Changelog": f"{REPOSITORY}/blob/main/CHANGELOG.md",
        "Issues": f"{REPOSITORY}/issues",
        "Security": f"{REPOSITORY}/blob/main/SECURITY.md",
    },
    maintainer="stcloud maintainers",
    license_expression="Apache-2.0",
    license_files=["LICENSE"],
    keywords=["sematext", "sematext cloud", "tokens", "api", "sdk"],
    classifiers=[
        "Development Status :: 5 - Production/Stable",
        "Intended Audience :: Developers",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: 3.14",
        "Programming Language :: Python :: 3.15",
        "Programming Language :: Python :: Implementation :: CPython",
        "Programming Language :: Python :: Implementation :: PyPy",
        "Typing :: Typed",
    ],
    python_requires=">=3.11",
    packages=find_packages(include=["stcloud", "stcloud.*"]),  # with py.typed and stubs
    package_dir={"": "."},  # so that checkers can follow an editable installation
    # Outside the package, so that pytest finds the fixtures without importing the client.
    py_modules=["pytest_stcloud"],
    entry_points={"pytest11": ["pytest_stcloud = pytest_stcloud"]},
    install_requires=requirements("requirements.txt"),
    extras_require={
        "sandbox": SANDBOX,
        "test": SANDBOX + requirements("test-requirements.txt"),
    },
)
