"""Confident learning (Northcutt et al., 2021): which labels probabilities speak against."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Place = tuple[int, int]
"""An example, and a place of it: a word of a sentence, or a label of several."""


def doubtful(
    targets: Sequence[Ints],
    probabilities: Sequence[Floats],
    chooses: Literal["one", "any", "candidates", "several"],
) -> list[Place]:
    """Return the places whose label is doubted, the most doubtful first.

    Args:
        targets: By example: (G,) label numbers, or (1, C) of 0 and 1 where any number holds, or
            (K,) of 0 and 1 of candidates.
        probabilities: By example: (G, C), or (K,).
        chooses: Whether one label holds for each place, or any number of them; or whether one of
            an example's own candidates does, or several may.
    """
    if chooses in ("candidates", "several"):
        return _of_candidates(targets, probabilities, several=chooses == "several")
    if chooses == "any":
        return _of_any(np.concatenate(targets), np.concatenate(probabilities).astype(np.float64))
    given, likely = np.concatenate(targets), np.concatenate(probabilities).astype(np.float64)
    if len(np.unique(given)) < 2:
        return []
    whole = likely / likely.sum(axis=1, keepdims=True)
    owner = np.repeat(np.arange(len(targets)), [len(own) for own in targets])
    first = np.cumsum([0, *(len(own) for own in targets[:-1])])
    issues = _issues(given, whole)
    return [(int(owner[at]), int(at - first[owner[at]])) for at in issues]


def _of_candidates(
    targets: Sequence[Ints], chances: Sequence[Floats], *, several: bool
) -> list[Place]:
    """Return candidates that are doubted: each is a question of its own, with two answers.

    Where one alone holds, it is the given one that is doubted, and another has to be likelier.
    """
    given, likely = np.concatenate(targets), np.concatenate(chances).astype(np.float64)
    if len(np.unique(given)) < 2:
        return []
    owner = np.repeat(np.arange(len(targets)), [len(own) for own in targets])
    first = np.cumsum([0, *(len(own) for own in targets[:-1])])
    issues = _issues(given, np.column_stack([1 - likely, likely]))
    issues = [at for at in issues if given[at] or several]
    places = [(int(owner[at]), int(at - first[owner[at]])) for at in issues]
    if several:
        return places
    return [(own, at) for own, at in places if int(chances[own].argmax()) != at]


def _of_any(given: Ints, likely: npt.NDArray[np.float64]) -> list[Place]:
    """Return rows and labels: each label is a question of its own, with two answers."""
    found: list[tuple[float, Place]] = []
    for label in range(given.shape[1]):
        own, chance = given[:, label], likely[:, label]
        if len(np.unique(own)) < 2:
            continue
        sides = np.column_stack([1 - chance, chance])
        issues = _issues(own, sides)
        found += [(float(sides[at, own[at]]), (at, label)) for at in issues]
    return [place for _, place in sorted(found)]


def _issues(given: Ints, likely: npt.NDArray[np.float64]) -> list[int]:
    """Return what cleanlab doubts of labels (n,) with probabilities (n, C)."""
    from cleanlab.filter import find_label_issues

    with warnings.catch_warnings():  # Of labels with hardly any row.
        warnings.filterwarnings("ignore", message="May not flag all label issues")
        found = find_label_issues(
            given,
            likely,
            return_indices_ranked_by="self_confidence",
            n_jobs=1,
        )
    return [int(at) for at in found]
