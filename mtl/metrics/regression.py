"""Root mean squared error and Pearson's correlation from seven running sums.

Sums of two parts of a corpus add up, so ranks and batches merge by addition alone. The price is
cancellation: a variance computed from sums loses about 2·log10(|mean| / deviation) of float64's 16
digits. The values are therefore summed after subtracting a constant `shift` that is the same
everywhere, such as the training data's mean; then a few units in the last place are lost at most.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from mtl.metrics.confusion import Floats
from mtl.metrics.rows import ratio

N_SUMS = 7
_EPSILON = float(np.finfo(np.float64).eps)


def regression_sums(predicted: npt.ArrayLike, gold: npt.ArrayLike, shift: float = 0.0) -> Floats:
    """Return n, Σp, Σg, Σp², Σg², Σpg and Σ(p - g)², with p and g counted from `shift`.

    Args:
        predicted: Predicted numbers, shape (n,).
        gold: True numbers, shape (n,).
        shift: A constant near the gold mean; sums with equal shifts may be added.

    Returns:
        Shape (7,), float64.
    """
    raw_p, raw_g = np.asarray(predicted, dtype=np.float64), np.asarray(gold, dtype=np.float64)
    assert raw_p.shape == raw_g.shape, (raw_p.shape, raw_g.shape)
    p, g = raw_p - shift, raw_g - shift
    error = raw_p - raw_g
    sums = [p.size, p.sum(), g.sum(), p @ p, g @ g, p @ g, error @ error]
    return np.array(sums, dtype=np.float64)


def rmse(sums: Floats) -> float:
    """Return the root mean squared error, in the unit of the numbers; 0 without examples."""
    return math.sqrt(ratio(float(sums[6]), float(sums[0])))


def pearson(sums: Floats) -> float:
    """Return Pearson's r, in [-1, 1]; 0 where one side does not vary, and r is undefined."""
    n, p, g, pp, gg, pg, _ = (float(s) for s in sums)
    if n < 2:
        return 0.0
    spread_p, spread_g = pp - p * p / n, gg - g * g / n
    rounding = (8 + math.sqrt(n)) * _EPSILON  # what a constant's squares may seem to vary by
    if spread_p <= rounding * pp or spread_g <= rounding * gg:
        return 0.0
    r = (pg - p * g / n) / math.sqrt(spread_p) / math.sqrt(spread_g)
    return max(-1.0, min(1.0, r))


def regression_scores(sums: Floats) -> dict[str, float]:
    """Return ``rmse`` and ``pearson``."""
    return {"rmse": rmse(sums), "pearson": pearson(sums)}
