"""By how much one score is better than another."""

from __future__ import annotations


def gain(score: float, other: float, *, higher_is_better: bool) -> float:
    """Return how much better a score is than another one.

    Points (hundredths) of metrics that are best when high, which are shares. Of those that are best
    when low, such as perplexity, nothing says how large they can be: percent of the other one.
    """
    if higher_is_better:
        return 100 * (score - other)
    return 100 * (other - score) / other if other else 0.0
