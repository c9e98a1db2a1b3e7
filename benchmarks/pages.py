"""Puts the results of compare.py and brownout.py into their pages: tables, and figures as SVG."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import brownout
from compare import CASES, GOALS
from peers import PEERS, VARIANTS, calls
from results import DOCS, Row, load
from tabulate import tabulate

from stcloud.retry import RetryPolicy

MARK = "<!-- table -->"
"""Stands before and after each table of a page."""
TITLES = {case.name: case.title for case in CASES}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    return tabulate(list(rows), head, tablefmt="github", disable_numparse=True)


def performance() -> list[str]:
    """Return the tables of docs/performance.md."""
    document = load("performance")
    if document["small"]:
        raise SystemExit("performance.json is of a small run, which judges no time")
    found = {(row["case"], row["peer"]): row for row in document["rows"]}
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    goals = []
    for case, base, goal in GOALS:
        row = found[case, "stcloud"]
        ratio = row["ratio"] if base == "urllib3" else row["floor"]
        spread = f"{row['low']:.2f} to {row['high']:.2f}" if base == "urllib3" else ""
        work = TITLES[case] + ("" if base == "urllib3" else ", beside one pool")
        verdict = "met" if ratio <= goal else "missed"
        goals.append((work, f"{goal:.2f}", f"**{ratio:.3f}**, {verdict}", spread))
    lists = [case.name for case in CASES if case.work is calls]
    others = [case.name for case in CASES if case.work is not calls]
    return [
        f"Measured on {document['date']}: {document['machine']}; {versions}.",
        table(("Work", "Goal", "Reached", "Quartiles"), goals),
        medians(found, lists),
        medians(found, others),
    ]


def medians(found: Mapping[tuple[str, str], Row], cases: Sequence[str]) -> str:
    """Return the table of these cases, a row for each peer that does them."""
    rows = []
    for name, peer in PEERS.items():
        cells = [cell(found.get((case, name))) for case in cases]
        if any(cells):
            rows.append((f"**{peer.title}**" if name == "stcloud" else peer.title, *cells))
    return table(("", *map(TITLES.__getitem__, cases)), rows)


def cell(row: Row | None) -> str:
    """Return a time or a size with its unit, and the ratio; nothing for work not done."""
    if row is None:
        return ""
    value = row["value"]
    amount = f"{value / 2**20:.1f} MiB" if row["case"] == "memory" else f"{value * 1e3:.3g} ms"
    return amount if row["peer"] == "urllib3" else f"{amount}, {row['ratio']:.2f}"


def reliability() -> list[str]:
    """Return the tables of docs/reliability.md."""
    keys = ("service", "client", "rate", "lost", "flaw")
    found = {tuple(row[key] for key in keys): row for row in load("brownout")["rows"]}
    main = []
    for service, client in product(brownout.SERVICES, brownout.CLIENTS):
        row = found[service, client, 1, 0.9, 0]
        numbers = f"{row['amplification']:.2f}", f"{row['peak']:.1f}", recovery(row)
        main.append((service, client, *numbers, f"{row['failed']:,}"))
    rates = []
    for (rate, name), service in product(brownout.RATES.items(), brownout.SERVICES):
        rows = [found[service, client, round(rate, 5), 0.9, 0] for client in brownout.CLIENTS]
        cells = (f"{row['amplification']:.2f}, {recovery(row)}" for row in rows)
        rates.append((name, service, *cells))
    policies = []
    for client in map(brownout.numbers_of, brownout.POLICIES):
        loads = (found["rejects", client, 1, lost, 0]["amplification"] for lost in brownout.LOSSES)
        failed = (found["rejects", client, 1, 0, flaw]["failed_share"] for flaw in brownout.FLAWS)
        name = f"**{client}**" if client == brownout.numbers_of(RetryPolicy()) else client
        policies.append((name, *(f"{one:.2f}" for one in loads), *(f"{one:.2%}" for one in failed)))
    heads = [f"{lost:.0%} gone" for lost in brownout.LOSSES]
    heads += [f"{one:.0%} fail" for one in brownout.FLAWS]
    columns = "The service", "Client", "Requests per call", "Peak load", "Recovery", "Failed calls"
    return [
        table(columns, main),
        table(("Calls", "The service", *brownout.CLIENTS), rates),
        table(("Numbers", *heads), policies),
    ]


def recovery(row: Row) -> str:
    """Return how long it took until calls succeeded again."""
    return f"not in {brownout.AFTER} s" if row["recovery"] is None else f"{row['recovery']} s"


def put_into(page: str, tables: Sequence[str]) -> str:
    """Return a page with these tables between its marks."""
    parts = page.split(MARK)
    parts[1::2] = [f"\n{one}\n" for one in tables]  # fails unless there are as many
    return MARK.join(parts)


TONES = ("#7a7a7a", "#2f81f7", "#c2760c", "#e5484d", "#8e6fd8", "#2a9d6f", "#d14d9b")


def draw(folder: Path) -> None:
    """Draw all figures into a folder."""
    from matplotlib import pyplot  # needed only here, slow to import

    pyplot.switch_backend("svg")
    with pyplot.style.context(Path(__file__).with_name("figures.mplstyle")):
        for name in brownout.SERVICES:
            figure, (above, below) = pyplot.subplots(2, figsize=(4.1, 4.4), sharex=True)
            draw_brownout(above, below, name)
            save(figure, folder / f"brownout-{name.replace(' ', '-')}.svg")
        figure, axes = pyplot.subplots(figsize=(4.1, 4.2))
        draw_peers(axes)
        save(figure, folder / "performance.svg")


def save(figure: Any, path: Path) -> None:
    """Write a figure; without a date, the same figure is the same file."""
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None, "Creator": None})


def draw_brownout(above: Any, below: Any, service: str) -> None:
    """Draw the load and the success of one service over time, a line for each client."""
    rows = [row for row in load("brownout")["rows"] if row["service"] == service and row["load"]]
    for row, tone in zip(rows, TONES, strict=False):
        seconds = range(0, 2 * len(row["load"]), 2)
        above.plot(seconds, row["load"], color=tone, label=row["client"].replace("`", ""))
        below.plot(seconds, [100 * share for share in row["success"]], color=tone)
    dark = brownout.BEFORE, brownout.BEFORE + brownout.BROWNOUT
    for axes in (above, below):
        axes.axvspan(*dark, color=TONES[0], alpha=0.2, linewidth=0)
        axes.grid(axis="y")
    above.set_ylabel("load, normal = 1")
    below.set_ylabel("calls that succeed, %")
    below.set_xlabel("seconds")
    above.legend(loc="upper right")


def draw_peers(axes: Any) -> None:
    """Draw the ratios of all peers, a row for each case."""
    rows = load("performance")["rows"]
    cases = list(TITLES)[::-1]
    shown = [name for name in PEERS if name not in ("urllib3", "floor", *VARIANTS)]
    for name, tone, mark in zip(shown, TONES[1:], "os^DvP", strict=False):
        own = [row for row in rows if row["peer"] == name]
        places = [cases.index(row["case"]) for row in own]
        axes.plot([row["ratio"] for row in own], places, mark, color=tone, label=PEERS[name].title)
    axes.axvline(1, color=TONES[0])
    axes.set_xscale("log", base=2)
    axes.set_xticks([0.5, 1, 2, 4, 8, 16, 32], ["0.5", "1", "2", "4", "8", "16", "32"])
    axes.set_yticks(range(len(cases)), [TITLES[case] for case in cases])
    axes.set_xlabel("ratio to urllib3's PoolManager")
    axes.grid(axis="x")
    axes.legend(loc="upper center", bbox_to_anchor=(0.2, -0.14), ncols=2)


def main() -> None:
    """Update the pages."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=DOCS, help="of the pages and the figures")
    folder = parser.parse_args().folder
    for name, tables in {"performance": performance(), "reliability": reliability()}.items():
        page = (DOCS / f"{name}.md").read_text(encoding="utf-8")
        (folder / f"{name}.md").write_text(put_into(page, tables), encoding="utf-8")
    draw(folder)


if __name__ == "__main__":
    main()
