"""Rows that belong to queries: what they are ranked by, and how relevant they are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from mtl.data.rows import Role
from mtl.data.value_types import to_number
from mtl.errors import ConfigError, Problem, few, one_of
from mtl.tasks._pairs import given
from mtl.types import Array, Encoded, Row

QUERY = Role(
    "query",
    "label",
    required=False,
    help="the query that the row belongs to, by which rows are ranked",
    together=True,
)
POSITIVE = ("yes", "true", "relevant")
"""Labels that say by themselves that a row is relevant."""


def grades_of(labels: Sequence[str], relevant: str | None, task: str) -> dict[str, float]:
    """Return how relevant each label says that a row is.

    Labels that are numbers are grades; of others one is relevant.

    Args:
        labels: All that there are.
        relevant: What ``options.relevant`` says.
        task: The task's name.

    Raises:
        ConfigError: If it is to say which label is relevant, and does not.
    """
    numbers = {label: number for label in labels if (number := number_of(label)) is not None}
    if len(numbers) == len(labels):
        return numbers
    key = f"tasks.{task}.options.relevant"
    known = [label for label in labels if label.lower() in POSITIVE]
    if relevant is None and len(known) != 1:
        expected = f"to be the label of rows that are relevant to their query, of {few(labels)}"
        raise ConfigError(Problem(key, expected, "it is not set"))
    if relevant is not None and relevant not in labels:
        raise ConfigError(one_of(key, relevant, labels))
    chosen = known[0] if relevant is None else relevant
    return {label: float(label == chosen) for label in labels}


def number_of(text: str | None) -> float | None:
    """Return the number that a text is, None if it is none."""
    try:
        return None if text is None else to_number(text)
    except ValueError:
        return None


def least_relevant(
    grades: Sequence[float], relevant: str | None, task: str, labels: Mapping[str, float] | None
) -> float | None:
    """Return the grade from which on a row is relevant; None for any above 0.

    Args:
        grades: Of the training rows.
        relevant: What ``options.relevant`` says.
        task: The task's name.
        labels: The grade of each label; None where grades are the data's numbers.

    Raises:
        ConfigError: If that says nothing: all rows are relevant, or it is no number.
    """
    key = f"tasks.{task}.options.relevant"
    if min(grades) < 0:
        expected = "to have grades of 0 or more, because rows belong to queries (`columns.query`)"
        raise ConfigError(Problem(f"tasks.{task}.columns.label", expected, f"got {min(grades):g}"))
    if labels is not None and relevant is not None and relevant in labels:
        return labels[relevant]
    number = number_of(relevant)
    if relevant is not None and number is None:
        raise ConfigError(Problem(key, "to be a number", f"got '{relevant}'"))
    if number is None and min(grades) > 0:
        expected = "to be the grade from which on a row is relevant to its query"
        found = f"it is not set, and no row of training has grade 0 (the least is {min(grades):g})"
        raise ConfigError(Problem(key, expected, found))
    return number


def ranked(row: Row, grade: float, task: str) -> dict[str, Array]:
    """Return the extra arrays of a row, (1,) each: its query, its grade, and a draw of its own.

    Raises:
        DataError: If it belongs to no query.
    """
    query = given(row, QUERY, task)
    return {
        "query": np.asarray([_number(query)]),
        "draw": np.asarray([_number(f"{query}\0{row['_id']}")]),
        "grade": np.asarray([grade]),
    }


def _number(text: str) -> int:
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


def to_rank(relevance: Sequence[float], encoded: Sequence[Encoded]) -> dict[str, Tensor]:
    """Return what :class:`mtl.metrics.ranking.RankingScores` takes of some examples."""
    extra = {"queries": "query", "draws": "draw", "grades": "grade"}
    arrays = {n: np.concatenate([e.extra[key] for e in encoded]) for n, key in extra.items()}
    found = {name: torch.from_numpy(array) for name, array in arrays.items()}
    return {"relevance": torch.tensor(relevance, dtype=torch.float64), **found}
