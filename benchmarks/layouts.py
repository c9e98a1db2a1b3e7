"""What a list of 10,000 tokens costs in several layouts, json.loads being 1: docs/performance.md.

It calls no server. The ways take turns, and each begins with documents that are read again.
"""

from __future__ import annotations

import gc
import json
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable
from itertools import repeat
from operator import itemgetter
from typing import Any

from stcloud.models import TokenDto

COUNT, ROUNDS = 10_000, 60
FIELDS = ("createdAt", "enabled", "id", "name", "readable", "token", "writeable")
TEXT = json.dumps(
    [
        {
            "createdAt": f"2026-03-01T08:{number % 60:02}:12.{number % 1000:03}Z",
            "enabled": True,
            "id": 100_000 + number,
            "name": f"token {number}",
            "readable": number % 2 == 0,
            "token": f"{number:08x}-5f2a-4c11-9d3e-{number:012x}",
            "writeable": False,
        }
        for number in range(COUNT)
    ]
)
Documents = list[dict[str, Any]]
run = deque[None](maxlen=0).extend


class Slots:
    """Seven slots and nothing else."""

    __slots__ = FIELDS


class Row:
    """One slot, for all values of a token."""

    __slots__ = ("values",)


def slots(documents: Documents) -> list[Slots]:
    """Seven slots each, filled without any check; dates stay text."""
    models = list(map(Slots.__new__, repeat(Slots, len(documents))))
    for name in FIELDS:
        run(map(vars(Slots)[name].__set__, models, map(itemgetter(name), documents)))
    return models


def rows(documents: Documents) -> list[Row]:
    """One tuple each, without any check; dates stay text."""
    models = list(map(Row.__new__, repeat(Row, len(documents))))
    run(map(vars(Row)["values"].__set__, models, map(itemgetter(*FIELDS), documents)))
    return models


def models(documents: Documents) -> list[TokenDto] | None:
    """As the SDK does it: checked, and with dates."""
    return TokenDto.from_columns(documents)


def main() -> None:
    """Print the median of each way's ratios."""
    ways: list[Callable[[Documents], object]] = [slots, rows, models]
    ratios: dict[str, list[float]] = {way.__name__: [] for way in ways}
    for number in range(ROUNDS):
        for way in ways[number % 3 :] + ways[: number % 3]:
            gc.collect()
            begin = time.perf_counter()
            documents = json.loads(TEXT)
            read = time.perf_counter()
            made = way(documents)
            ratios[way.__name__].append((time.perf_counter() - read) / (read - begin))
            del documents, made
    for way in ways:
        low, median, high = statistics.quantiles(ratios[way.__name__], n=4)
        line = f"{median:.2f}  ({low:.2f} to {high:.2f})  {way.__name__}: {way.__doc__}\n"
        sys.stdout.write(line)


if __name__ == "__main__":
    main()
