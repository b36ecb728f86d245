"""Vectors of n-grams, against counts that are not hashed."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from mtl.inspection.ngrams import CHUNK, Ngrams

TEXTS = [
    "The ferry left Brackwater before the rain.",
    "The ferry left Brackwater before the rains.",
    "THE FERRY  left Brackwater\nbefore the rain.",
    "Soup was served cold and nobody complained about it.",
    "渡轮在下雨之前离开了。",
    "",
    "a",
]


def cosine(one: str, other: str) -> float:
    counts = []
    for text in (one, other):
        padded = f"   {' '.join(text.casefold().split())}   "
        counts.append(Counter(padded[at : at + 4] for at in range(len(padded) - 3)))
    a, b = counts
    dot = sum(a[gram] * b[gram] for gram in a)
    norms = [math.sqrt(sum(n * n for n in count.values())) for count in counts]
    return dot / (norms[0] * norms[1])


@pytest.mark.parametrize("one", TEXTS)
@pytest.mark.parametrize("other", TEXTS)
def test_cosines_are_those_of_counts(one: str, other: str) -> None:
    a, b = Ngrams().encode([one, other]).astype(float)
    found = a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
    assert found == pytest.approx(cosine(one, other), abs=0.2)  # About 1 / sqrt(256) by chance.


def test_a_text_does_not_depend_on_those_beside_it() -> None:
    many = [f"Text {n}" for n in range(CHUNK + 3)]
    together = Ngrams().encode(many)
    assert np.array_equal(
        together[[0, 7, CHUNK + 2]], Ngrams().encode([many[n] for n in (0, 7, -1)])
    )
    assert Ngrams().encode([]).shape == (0, 256)
