"""The documentation's site, as `tox run -e docs` builds it: it is complete and needs no other."""

import os
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[1]
SITE = Path(os.environ.get("STCLOUD_SITE", ""))

pytestmark = pytest.mark.skipif("STCLOUD_SITE" not in os.environ, reason="set by tox -e docs")


class Page(HTMLParser):
    """Collects where a page leads, and what a browser loads to show it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.links: list[SplitResult] = []
        self.loaded: list[SplitResult] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and name == "id":
                self.anchors.add(value)
            if value and name in {"href", "src"}:
                (self.links if tag == "a" else self.loaded).append(urlsplit(value))

    def file(self, link: SplitResult) -> Path:
        """Return the file that a link without a host leads to; one without a path, to itself."""
        start = SITE if link.path.startswith("/") else self.path.parent
        return (start / unquote(link.path).lstrip("/")).resolve() if link.path else self.path


def pages() -> Iterator[Page]:
    paths = sorted(SITE.rglob("*.html"))
    assert paths
    return map(Page, paths)


def test_links_find_files() -> None:
    """Every link, image, script and style of the site that names no host is a file of it."""
    missing = {
        (page.path.name, link.geturl())
        for page in pages()
        for link in page.links + page.loaded
        if not link.scheme and not page.file(link).exists()
    }
    assert missing == set()


def test_nothing_is_loaded_from_elsewhere() -> None:
    """No page needs the network to be shown."""
    foreign = {link.geturl() for page in pages() for link in page.loaded if link.netloc}
    assert foreign == set()


def test_navigation_has_every_page() -> None:
    """Each Markdown page of the repository is in the navigation: zensical.toml lists it."""
    bare = Page(SITE / "404.html")  # the navigation, without a text that has links of its own
    reached = {bare.file(link) for link in bare.links if not link.scheme}
    sources = {*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")} - {ROOT / "README.md"}
    built = {SITE.resolve() / source.relative_to(ROOT).with_suffix(".html") for source in sources}
    assert built - reached == set()


def test_python_api_has_every_public_name() -> None:
    """Each name that the package exports has an entry in its reference."""
    source = (ROOT / "stcloud" / "__init__.py").read_text(encoding="utf-8")
    public = set(re.findall(r'^    "([A-Za-z]+)",$', source, re.MULTILINE))
    assert public
    pages = map(Page, (SITE / "docs" / "api").glob("*.html"))
    documented = {anchor.rpartition(".")[2] for page in pages for anchor in page.anchors}
    assert public - documented == set()
