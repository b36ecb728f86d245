"""The ranks that AdaLoRA ended with, as a picture: a row a layer, a column a matrix."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mtl.reporting.pages.charts import Cell, Matrix

NUMBER = re.compile(r"^(.*?)\b(\d+)\.(.+)$")
"""Of a module's name: what stands before the layer's number, the number, and what follows."""


def ranks_of(facts: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the picture of a run's ranks; None where it has none.

    Args:
        facts: Of ``report/tuning.json``: ``{"initial_rank": 12, "ranks": {"layers.0.q_proj": 3}}``.
    """
    ranks = facts.get("ranks")
    if not isinstance(ranks, Mapping) or not ranks:
        return None
    places: dict[tuple[str, int], dict[str, int]] = {}
    for name, rank in ranks.items():
        found = NUMBER.match(name)
        stack, number, module = (found[1], int(found[2]), found[3]) if found else ("", 0, name)
        places.setdefault((stack, number), {})[module] = int(rank)
    columns = list(dict.fromkeys(module for row in places.values() for module in row))
    most = max(facts.get("initial_rank") or 0, *map(int, ranks.values()), 1)
    stacks = {stack for stack, _ in places}
    rows = [f"{stack if len(stacks) > 1 else ''}{number}" for stack, number in places]
    cells = [
        [Cell(f"{row[c]:,}", row[c] / most) if c in row else None for c in columns]
        for row in places.values()
    ]
    mean = sum(map(int, ranks.values())) / len(ranks)
    caption = (
        f"Rows are layers, columns the matrices of each; of {most} that each began with, "
        f"{mean:.1f} are left on average. Darker: more."
    )
    return {"chart": Matrix(rows, columns, cells), "caption": caption}
