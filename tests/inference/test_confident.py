"""What probabilities say against labels, on labels that were made wrong by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mtl.inference.confident import doubtful

pytest.importorskip("cleanlab")


def likely(right: np.ndarray, labels: int) -> np.ndarray:
    """Probabilities of a model that is right, and sure."""
    return np.where(np.eye(labels)[right] > 0, 0.94, 0.06 / (labels - 1)).astype(np.float32)


def test_one_label_of_several() -> None:
    right = np.arange(300) % 3
    given = right.copy()
    wrong = np.arange(1, 300, 29)
    given[wrong] = (given[wrong] + 1) % 3
    found = doubtful(np.split(given, 300), np.split(likely(right, 3), 300), "one")
    assert sorted(found) == [(at, 0) for at in wrong.tolist()]


def test_words_of_sentences_of_unlike_lengths() -> None:
    right = np.arange(200) % 2
    given = right.copy()
    wrong = [13, 40, 77, 120, 121, 180, 199]
    given[wrong] ^= 1
    cuts = [5, 12, 30, 31, 77, 160]
    found = doubtful(np.split(given, cuts), np.split(likely(right, 2), cuts), "one")
    assert sorted(found) == [(2, 1), (4, 9), (5, 0), (5, 43), (5, 44), (6, 20), (6, 39)]


def test_several_labels_at_once() -> None:
    right = np.random.default_rng(0).integers(0, 2, (80, 3))
    given = right.copy()
    given[5, 1] ^= 1
    given[60, 2] ^= 1
    chance = np.where(right, 0.93, 0.06).astype(np.float32)
    rows = [given[n : n + 1] for n in range(80)]
    assert sorted(doubtful(rows, np.split(chance, 80), "any")) == [(5, 1), (60, 2)]


def test_labels_that_are_all_one_are_not_doubted() -> None:
    same = [np.zeros(1, dtype=np.int64)] * 4
    assert doubtful(same, [np.asarray([[0.2, 0.8]], dtype=np.float32)] * 4, "one") == []
