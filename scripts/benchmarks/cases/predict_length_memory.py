"""Memory that a prediction for one text takes above the loaded model, by its length."""

from __future__ import annotations

from scripts.benchmarks.cases.predict_length import answer, sides
from scripts.benchmarks.runner import Case, Prepared, Ratio, Settings


def megabytes(characters: int, threads: int) -> float:
    """Return what the peak grows by; never quite nothing, so that there is a ratio."""
    return max(1.0, answer(characters, threads)[1])


def prepare(settings: Settings) -> Prepared:
    """Return a side for each length."""
    found = sides(settings, megabytes)
    *_, middle, most = found
    return Prepared(
        unit="MB above the loaded model",
        sides=found,
        ratios=[Ratio("longest against a tenth of it", most, middle)],
        warm_up=False,
        most_rounds=3,
    )


CASE = Case("predict_length_memory", "Memory for one text, by its length", prepare)
