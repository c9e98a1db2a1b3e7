"""What compare.py and brownout.py record, and pages.py shows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[1] / "docs"
Row = dict[str, Any]


def load(name: str) -> Any:
    """Return what was recorded."""
    return json.loads((DOCS / f"{name}.json").read_text(encoding="utf-8"))


def write(path: Path, head: dict[str, Any], rows: Iterable[Row]) -> None:
    """Record results, a line for each row."""
    lines = ",\n  ".join(map(json.dumps, rows))
    path.write_text(f'{json.dumps(head)[:-1]}, "rows": [\n  {lines}\n]}}\n', encoding="utf-8")
