"""Lists what differs between ``sematext-api-client-python`` and this client in docs/migrating.md.

::

    python test/migrating/differences.py                        # from the record of the other one
    python test/migrating/differences.py --record PATH/python   # record it again, by a Python
                                                                # that has the other client
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "migrating.md"
CALLS, RECORD = HERE / "calls.py", HERE / "other_client.json"
BEGIN, END = "<!-- differences: begin -->\n", "\n<!-- differences: end -->"
CLIENTS = "sematext-api-client-python", "stcloud"
SENT = ("method", "path", "content", "header ", "spaces ", "`é`", "requests")
"""How the names of the facts about a request begin."""

Facts: TypeAlias = Mapping[str, str]
Rows: TypeAlias = dict[tuple[str, str, str], list[str]]


def run(python: str) -> dict[str, Any]:
    """Return the facts about the client that an interpreter has; the path has no other one."""
    ignored = ("SEMATEXT_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
    kept = {
        name: value for name, value in os.environ.items() if not name.upper().startswith(ignored)
    }
    command = [python, str(CALLS)]
    done = subprocess.run(
        command, env=kept | {"PYTHONPATH": str(HERE)}, capture_output=True, check=True
    )
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def load_record() -> dict[str, Any]:
    """Return what was seen of the other client."""
    record: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
    return record


def tables(other: Mapping[str, Any], this: Mapping[str, Any]) -> str:
    """Return all differences as Markdown."""
    cases: dict[str, tuple[Facts, Facts]] = {}
    titles: dict[str, str] = {}
    for title, group in other["cases"].items():
        for case, facts in group.items():
            cases[case], titles[case] = (facts, this["cases"][title][case]), title
    parts: dict[str, list[list[str]]] = {"Requests": []}
    for (fact, *values), found in differences(cases).items():
        by_title: dict[str, list[str]] = {}
        for case in found:
            first = case if fact == "result" else found[0]
            title = "Requests" if fact.startswith(SENT) else titles[first]
            by_title.setdefault(title, []).append(case)
        for title, same in by_title.items():
            where = _where(fact, same, cases)
            row = [where if fact == "result" else f"{fact}: {where}", *map(_code, values)]
            parts.setdefault(title, []).append(row)
    sections = {
        "Names": _missing(other["names"], this["names"]),
        "Parameters": _parameters(other["parameters"], this["parameters"]),
        **{title: _table(["What", *CLIENTS], rows) for title, rows in parts.items()},
    }
    return "\n\n".join(f"**{title}**\n\n{table}" for title, table in sections.items() if table)


def differences(cases: Mapping[str, tuple[Facts, Facts]]) -> Rows:
    """Return the cases of each difference, by the fact and its two values."""
    rows: Rows = {}
    for case, (other, this) in cases.items():
        for fact in comparable(other, this):
            values = other.get(fact, "none"), this.get(fact, "none")
            if fact == "result" and other["requests"] != "0" == this["requests"]:
                values = values[0], f"{values[1]}; nothing is sent"
            if values[0] != values[1]:
                rows.setdefault((fact, *values), []).append(case)
    return rows


def comparable(other: Facts, this: Facts) -> list[str]:
    """Return the facts of a case that both clients have, or that only one has of the same thing.

    A request's facts need two requests, an error's two errors, a result's fields two results.
    """
    facts = [fact for fact in dict.fromkeys([*other, *this]) if fact in other and fact in this]
    if "0" in (other["requests"], this["requests"]):
        facts.remove("requests")
    alone = [fact for fact in dict.fromkeys([*other, *this]) if fact not in facts]
    if "method" in other and "method" in this:
        facts += [fact for fact in alone if fact.startswith(SENT)]
    if not any(side["result"].startswith("raises") for side in (other, this)):
        facts += [fact for fact in alone if fact.startswith("`result")]
    return facts


def _where(fact: str, found: list[str], cases: Mapping[str, tuple[Facts, Facts]]) -> str:
    """Return the cases as text, short if they are nearly all that there are."""
    domain = [case for case, facts in cases.items() if fact in comparable(*facts)]
    if not fact.startswith(SENT):
        return _short("every time", found, domain)
    if len(domain) == len(found):
        return "every time"
    parts = []
    for method in dict.fromkeys(cases[case][0]["method"] for case in found):
        same = [case for case in domain if cases[case][0]["method"] == method]
        parts.append(_short(f"every {method}", [case for case in found if case in same], same))
    return "; ".join(parts)


def _short(every: str, found: list[str], domain: list[str]) -> str:
    rest = [case for case in domain if case not in found]
    if len(found) < 3 or len(rest) >= len(found) / 2:
        return "; ".join(found)
    return f"{every} but ({'; '.join(rest)})" if rest else every


def _code(value: str) -> str:
    if value == "none" or value.startswith("raises"):
        return value
    return f"`` {value} ``" if "`" in value else f"`{value}`"


def _missing(other: Mapping[str, list[str]], this: Mapping[str, list[str]]) -> str:
    rows: dict[str, list[str]] = {}
    for owner, names in other.items():
        missing = [f"`{name}`" for name in names if name not in this[owner]]
        if missing:
            rows.setdefault(", ".join(missing), []).append(owner)
    return _table(
        ["Where", "What this client lacks"],
        [[", ".join(owners), names] for names, owners in rows.items()],
    )


def _parameters(other: Mapping[str, list[str]], this: Mapping[str, list[str]]) -> str:
    rows = [
        [name, *(", ".join(f"`{one}`" for one in side[name][1:]) for side in (other, this))]
        for name in other
        if other[name] != this[name]
    ]
    return _table(["Of", *CLIENTS], rows)


def _table(head: list[str], rows: list[list[str]]) -> str:
    if not rows:
        return ""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |" for cells in lines
    )


def put_into(page: str, content: str) -> str:
    """Return the page with the content between its markers."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{PAGE} has no place for the differences")
    return before + begin + content + end + after


def main() -> None:
    """Update the page, and before it the record if asked."""
    parser = argparse.ArgumentParser(description="Update docs/migrating.md.")
    parser.add_argument("--record", metavar="PYTHON", help="a Python that has the other client")
    asked = parser.parse_args()
    if asked.record:
        record = json.dumps(run(asked.record), indent=1, ensure_ascii=False)
        RECORD.write_text(record + "\n", encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(put_into(page, tables(load_record(), run(sys.executable))), encoding="utf-8")


if __name__ == "__main__":
    main()
