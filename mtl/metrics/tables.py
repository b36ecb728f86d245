"""The rows that metrics give to reports: plain tuples, every rate on 0 to 1."""

from __future__ import annotations

from typing import NamedTuple


class LabelRow(NamedTuple):
    """One label's line, or one average's, of a classification report."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    """How often the label stands in the gold data."""


class EntityRow(NamedTuple):
    """One entity type's line, or the line over all types, of an entity report."""

    type: str
    precision: float
    recall: float
    f1: float
    correct: int
    predicted: int
    gold: int


class ConfidenceRow(NamedTuple):
    """Decisions whose probability lies in one bin, of a reliability diagram."""

    low: float
    """Where the bin begins, inclusive."""
    high: float
    """Where it ends; the last one has 1, too."""
    examples: int
    confidence: float
    """Their mean probability."""
    accuracy: float
    """The share of them that is right."""


class ThresholdRow(NamedTuple):
    """One label's threshold, and what it is worth where it was chosen."""

    label: str
    threshold: float
    f1: float
    f1_at_half: float
    support: int


class ValueRow(NamedTuple):
    """One named number; an integer is a count."""

    name: str
    value: float


def ratio(numerator: float, denominator: float) -> float:
    """Return the quotient, or 0 where the denominator is 0."""
    return numerator / denominator if denominator else 0.0


def harmonic(precision: float, recall: float) -> float:
    """Return F1, the harmonic mean of precision and recall; 0 where both are 0."""
    return ratio(2 * precision * recall, precision + recall)
