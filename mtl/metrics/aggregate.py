"""One score of a model with several tasks."""

from __future__ import annotations

from collections.abc import Mapping


def aggregate(primary: Mapping[str, tuple[float, float, bool]]) -> float:
    """Return the weighted mean of the tasks' primary metrics, the score of a model.

    Args:
        primary: By task: weight, value, and whether higher is better. An error (lower is
            better) counts as 1 / (1 + value), which lies on 0 to 1 like the others.
    """
    total = sum(weight for weight, _, _ in primary.values())
    if not total:
        return 0.0
    values = (w * (v if higher else 1.0 / (1.0 + v)) for w, v, higher in primary.values())
    return sum(values) / total
