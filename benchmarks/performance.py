"""Draws the tables and plots of docs/performance.md from docs/performance.json.

compare.py measures: ``python benchmarks/compare.py --json docs/performance.json``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE, RESULTS = DOCS / "performance.md", DOCS / "performance.json"
PEERS_PLOT, SIZES_PLOT = DOCS / "performance-peers.svg", DOCS / "performance-sizes.svg"
BEGIN, END = "<!-- from performance.json: begin -->\n", "\n<!-- end -->"
BASES = {"urllib3": "`PoolManager.request`", "floor": "`HTTPConnectionPool.urlopen`"}
SHOWN = {
    "call": "one call, 3 tokens",
    "list": "10,000 tokens",
    "memory": "memory, 10,000 tokens",
    "start": "start-up",
    "threads": "16 threads",
}
"""The cases of the table of peers and of the first plot, and what heads their columns."""

Document = Mapping[str, Any]


def tables(document: Document) -> str:
    """Return what the page says between its markers, as Markdown."""
    parts = (_setting(document), _goals(document), _peers(document), _sizes(document))
    return "\n\n".join(parts)


def _setting(document: Document) -> str:
    machine, versions = document["machine"], dict[str, str]()
    for own in document["versions"].values():
        versions |= own
    used = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    skipped = [f"{name} was skipped: {reason}." for name, reason in document["skipped"].items()]
    return " ".join(
        [
            f"Measured on {document['date']}: {machine['processor']}, {machine['cores']} cores, "
            f"{machine['system']}, {machine['python']}; {used}.",
            *skipped,
        ]
    )


def _goals(document: Document) -> str:
    cases = _cases(document)
    rows = []
    for goal in document["goals"]:
        spread = "" if goal["case"] not in cases else _quartiles(cases[goal["case"]], goal)
        result = f"**{goal['reached']:.2f}**", spread, "met" if goal["met"] else "missed"
        rows.append([goal["work"], BASES[goal["against"]], f"{goal['ratio']:.2f}", *result])
    return _table(["Work", "Against", "Goal", "Reached", "Quartiles", ""], rows)


def _quartiles(case: Document, goal: Document) -> str:
    found = case["results"]["stcloud"]["against"][goal["against"]]["wall"]
    return f"{found['low']:.2f} to {found['high']:.2f}"


def _peers(document: Document) -> str:
    cases = _cases(document)
    rows = []
    for peer, title in document["peers"].items():
        cells = [_cell(cases[name], peer) for name in SHOWN]
        rows.append([f"**{title}**" if peer == "stcloud" else title, *cells])
    return _table(["Median, ratio to `PoolManager.request`", *SHOWN.values()], rows)


def _cell(case: Document, peer: str) -> str:
    result = case["results"][peer]
    ratio = _ratio(case, peer)
    value = result["wall"]["median"]
    return f"{_amount(case, value)}, {ratio:.3g}" if peer != "urllib3" else _amount(case, value)


def _sizes(document: Document) -> str:
    """Return the table of the time per token."""
    rows = []
    for case in _by_size(document):
        results, size = case["results"], case["size"]
        times = [results[peer]["wall"]["median"] / size * 1e6 for peer in ("urllib3", "stcloud")]
        row = f"{size:,}", *(f"{one:.2f} us" for one in times), f"{_ratio(case, 'stcloud'):.2f}"
        rows.append(row)
    return _table(["Tokens", "`PoolManager.request`, per token", "stcloud", "Ratio"], rows)


def _cases(document: Document) -> dict[str, Any]:
    return {case["name"]: case for case in document["cases"]}


def _by_size(document: Document) -> list[Document]:
    lists = [case for case in document["cases"] if case["kind"] == "calls"]
    return sorted((case for case in lists if case["name"] != "call"), key=lambda one: one["size"])


def _ratio(case: Document, peer: str) -> float:
    return float(case["results"][peer]["against"]["urllib3"]["wall"]["median"])


def _amount(case: Document, value: float) -> str:
    if case["kind"] == "memory":
        return f"{value / 2**20:.1f} MiB"
    return f"{value * 1e3:.3g} ms"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


# The plots. Both have logarithmic scales, since the peers lie up to a factor of 40 apart.
_COLOURS = {
    "urllib3": "#57606a",
    "floor": "#8c959f",
    "stcloud": "#0969da",
    "requests": "#8250df",
    "httpx": "#bf3989",
    "sematext": "#cf222e",
    "generated": "#bc6c00",
}


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{text}</text>'


def _svg(width: int, height: int, title: str, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'font-family="sans-serif" font-size="12" fill="#1f2328">'
    )
    ground = f'<rect width="{width}" height="{height}" fill="#fff"/>'
    return "\n".join([head, f"<title>{title}</title>", ground, *parts, "</svg>\n"])


_LEFT, _ROW, _PANEL, _GAP, _RATIOS = 290, 22, 150, 32, (0.5, 1, 4, 16, 64)


def peers_plot(document: Document) -> str:
    """Return the ratios of all peers, a column for each case, as SVG."""
    cases, peers = _cases(document), document["peers"]
    base = 44 + _ROW * len(peers)
    parts = [
        _text(_LEFT - 12, 44 + _ROW * row + 15, title, "end")
        for row, title in enumerate(peers.values())
    ]
    for column, (name, title) in enumerate(SHOWN.items()):
        left = _LEFT + column * (_PANEL + _GAP)
        parts.append(_text(left + _PANEL / 2, 32, title, "middle"))
        for tick in _RATIOS:
            x = left + _share(tick, _RATIOS) * _PANEL
            parts.append(f'<path d="M{x:.1f} 44V{base}" stroke="{_line(tick)}"/>')
            parts.append(_text(x, base + 16, f"{tick:g}", "middle"))
        for row, peer in enumerate(peers):
            parts += _dot(left, 44 + _ROW * row + 11, _ratio(cases[name], peer), peer)
    width = _LEFT + len(SHOWN) * (_PANEL + _GAP)
    parts.append(_text(_LEFT, base + 36, "ratio to hand-written PoolManager.request + json.loads"))
    return _svg(width, base + 48, "Time and memory of all clients against urllib3", parts)


def _share(value: float, ticks: Sequence[float]) -> float:
    """Return where a value stands between the first and the last tick, from 0 to 1."""
    share = math.log(value / ticks[0]) / math.log(ticks[-1] / ticks[0])
    return min(1.0, max(0.0, share))


def _line(tick: float) -> str:
    return "#57606a" if tick == 1 else "#d0d7de"


def _dot(left: float, y: float, ratio: float, peer: str) -> list[str]:
    x, colour = left + _share(ratio, _RATIOS) * _PANEL, _COLOURS[peer]
    label = _text(x - 8, y + 4, f"{ratio:.2f}", "end") if ratio > 8 else ""
    label = label or _text(x + 8, y + 4, f"{ratio:.2f}")
    return [f'<circle cx="{x:.1f}" cy="{y}" r="5" fill="{colour}"/>', label]


_WIDE, _HIGH, _SIZES, _TIMES = 460, 240, (10, 100, 1_000, 10_000, 100_000), (1, 3, 10, 30, 100)


def sizes_plot(document: Document) -> str:
    """Return the time per token by the length of the list, a line for each peer, as SVG."""
    left, top = 60, 30
    parts = [_text(left, 18, "microseconds per token, by tokens in the list")]
    for tick in _TIMES:
        y = top + _HIGH * (1 - _share(tick, _TIMES))
        parts.append(f'<path d="M{left} {y:.1f}h{_WIDE}" stroke="#d0d7de"/>')
        parts.append(_text(left - 6, y + 4, f"{tick:g}", "end"))
    for size in _SIZES:
        x = left + _WIDE * _share(size, _SIZES)
        parts.append(_text(x, top + _HIGH + 18, f"{size:,}", "middle"))
    for row, (peer, title) in enumerate(document["peers"].items()):
        points = [
            f"{left + _WIDE * _share(case['size'], _SIZES):.1f},"
            f"{top + _HIGH * (1 - _share(_per_token(case, peer), _TIMES)):.1f}"
            for case in _by_size(document)
            if peer in case["results"]
        ]
        stroke = f'stroke="{_COLOURS[peer]}" stroke-width="{3 if peer == "stcloud" else 1.5}"'
        parts.append(f'<polyline points="{" ".join(points)}" fill="none" {stroke}/>')
        y = top + 12 + 20 * row
        parts.append(f'<path d="M{left + _WIDE + 20} {y}h24" {stroke}/>')
        parts.append(_text(left + _WIDE + 50, y + 4, title))
    return _svg(left + _WIDE + 310, top + _HIGH + 32, "Time per token", parts)


def _per_token(case: Document, peer: str) -> float:
    """Return microseconds."""
    return float(case["results"][peer]["wall"]["median"]) / int(case["size"]) * 1e6


def put_into(page: str, content: str) -> str:
    """Return the page with the content between its markers."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{PAGE} has no place for the tables")
    return before + begin + content + end + after


def load_results() -> dict[str, Any]:
    """Return what compare.py has written."""
    document: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return document


def main() -> None:
    """Update the page and its plots."""
    document = load_results()
    if document["small"] or document["peers"].keys() != _COLOURS.keys():
        raise SystemExit(f"{RESULTS} is not of a whole run: all peers, not --small")
    PEERS_PLOT.write_text(peers_plot(document), encoding="utf-8")
    SIZES_PLOT.write_text(sizes_plot(document), encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(put_into(page, tables(document)), encoding="utf-8")


if __name__ == "__main__":
    main()
