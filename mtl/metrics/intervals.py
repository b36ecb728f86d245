"""Means of repeated measurements, and how far chance may move them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

_STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179)
"""Student's t at 97.5% for 1, 2, … degrees of freedom; beyond them the last is a little wide."""


def mean_and_margin(values: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean of values and half of Student's 95% interval; None of a single value."""
    count = len(values)
    if count < 2:
        return statistics.fmean(values), None
    t = _STUDENT[min(count - 2, len(_STUDENT) - 1)]
    return statistics.fmean(values), t * statistics.stdev(values) / math.sqrt(count)
