"""Tables of a run's evidence: scores by label, confusions, and answers right and wrong.

They are called ``tables/test/ner/tokens``, ``tables/test/ner/answers`` and so on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Values = Mapping[str, Any]
ANSWERS, CONFUSIONS = "answers", "confusions"


@dataclass(frozen=True)
class Table:
    """Columns, and rows of plain values."""

    columns: list[str]
    rows: list[list[Any]]


def tables_of(evidence: Mapping[str, Values]) -> dict[str, Table]:
    """Return the tables of a run's splits by name; empty ones are left out.

    Args:
        evidence: By split: what ``report/test.json`` and ``report/validation.json`` hold.
    """
    found: dict[str, Table] = {}
    for split, whole in evidence.items():
        for task, one in whole.get("tasks", {}).items():
            named = {name: _table(rows) for name, rows in one.get("tables", {}).items()}
            named |= {f"{n}-{CONFUSIONS}": _pairs(p) for n, p in one.get("pairs", {}).items()}
            named[ANSWERS] = _answers(one.get("samples", []))
            tables = {f"tables/{split}/{task}/{name}": table for name, table in named.items()}
            found |= {name: table for name, table in tables.items() if table.rows}
    return found


def _table(rows: list[Values]) -> Table:
    columns = list(rows[0]) if rows else []
    return Table(columns, [[_cell(row.get(column)) for column in columns] for row in rows])


def _pairs(pairs: Values) -> Table:
    """Return how often each label was taken for which, those that never were left out."""
    labels = pairs["labels"]
    rows = [
        [gold, guess, count]
        for gold, counts in zip(labels, pairs["counts"], strict=True)
        for guess, count in zip(labels, counts, strict=True)
        if count
    ]
    return Table(["gold", "predicted", "count"], rows)


def _answers(samples: list[Values]) -> Table:
    columns = ["place", "given", "answer", "expected", "kinds", "wrong"]
    return Table(columns, [[_cell(sample.get(column)) for column in columns] for sample in samples])


def _cell(value: Any) -> Any:
    """Return a number or a text; what holds others as JSON."""
    plain = value is None or isinstance(value, str | int | float)
    return value if plain else json.dumps(value, ensure_ascii=False)
