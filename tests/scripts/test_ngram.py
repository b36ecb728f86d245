"""Kneser-Ney against a slow model that counts in dictionaries."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.quality.ngram import KneserNey

V, B = 6, 6
Grams = Counter[tuple[int, ...]]
Documents = list[list[int]]
documents = st.lists(st.lists(st.integers(0, V - 1), min_size=1), min_size=1, max_size=6)


def counted(texts: Documents, order: int) -> list[Grams]:
    """Return counts of every order from 1: of n-grams, below the highest of what came before."""
    padded = [[B] * (order - 1) + text for text in texts]
    grams: Grams = Counter(
        tuple(p[i - order + 1 : i + 1]) for p in padded for i in range(order - 1, len(p))
    )
    found = [grams]
    for _ in range(order - 1):
        before = defaultdict(set)
        for gram in found[0]:
            before[gram[1:]].add(gram[0])
        found.insert(0, Counter({gram: len(tokens) for gram, tokens in before.items()}))
    return found


def probability(levels: list[Grams], context: tuple[int, ...], token: int) -> float:
    """Return p(token | context), by the recursion as it is written."""
    if not levels:
        return 1 / V
    grams = levels[-1]
    lower = probability(levels[:-1], context[1:], token)
    after = {gram: n for gram, n in grams.items() if gram[:-1] == context}
    if not after:
        return lower
    values = list(grams.values())
    once, twice = values.count(1), values.count(2)
    discount = once / (once + 2 * twice) if once else 0.0
    own = max(after.get((*context, token), 0) - discount, 0)
    return (own + discount * len(after) * lower) / sum(after.values())


@given(documents, st.lists(st.integers(0, V - 1), min_size=1, max_size=8), st.integers(1, 4))
def test_probabilities(texts: Documents, text: list[int], order: int) -> None:
    model = KneserNey(map(np.array, texts), V, B, order)
    levels = counted(texts, order)
    padded = [B] * (order - 1) + text
    wanted = [
        probability(levels, tuple(padded[i : i + order - 1]), token) for i, token in enumerate(text)
    ]
    assert model.probabilities(np.array(text)) == pytest.approx(wanted)


@given(documents, st.lists(st.integers(0, V - 1), max_size=6))
def test_they_sum_to_one(texts: Documents, before: list[int]) -> None:
    model = KneserNey(map(np.array, texts), V, B, 3)
    everything = [model.probabilities(np.array([*before, token]))[-1] for token in range(V)]
    assert sum(everything) == pytest.approx(1.0)


def test_too_many_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="take 80; choose a lower order"):
        KneserNey([np.array([1])], 50_000, 0, 5)
