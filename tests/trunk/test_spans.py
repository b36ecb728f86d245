"""Which tokens stand for a word: the first and the last that touch it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl.trunk.text import TextEncoder, Tokens
from mtl.types import IntArray
from tests.helpers import TOKENIZERS, ints
from tests.properties import max_examples

SPANS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=0, max_size=8)


def laid_out(gaps: list[tuple[int, int]]) -> tuple[IntArray, IntArray]:
    """Ascending spans from (gap before, length) pairs."""
    starts, ends, at = [], [], 0
    for gap, length in gaps:
        starts.append(at + gap)
        at += gap + length
        ends.append(at)
    return ints(*starts), ints(*ends)


@given(SPANS, SPANS.map(lambda s: [(g, max(n, 1)) for g, n in s]))
@max_examples(300)
def test_first_and_last_token_of_a_word_by_brute_force(
    token_gaps: list[tuple[int, int]], word_gaps: list[tuple[int, int]]
) -> None:
    starts, ends = laid_out(token_gaps)
    tokens = Tokens(np.zeros(len(starts), np.int32), starts, ends)
    word_starts, word_ends = laid_out(word_gaps)
    first, last = [], []
    for s, e in zip(word_starts, word_ends, strict=True):
        touching = [
            t for t in range(len(starts)) if ends[t] > starts[t] and starts[t] < e and ends[t] > s
        ]
        first.append(min(touching, default=-1))
        last.append(max(touching, default=-1))
    assert tokens.first_of(word_starts, word_ends).tolist() == first
    assert tokens.last_of(word_starts, word_ends).tolist() == last


@pytest.mark.parametrize("kind", sorted(TOKENIZERS))
@pytest.mark.parametrize("text", ["👍🏽 fine", "cafe\u0301 naïve", "東京 서울", "no\u00a0break x"])
def test_words_of_any_script_have_tokens(tokenizers: dict[str, Any], kind: str, text: str) -> None:
    """Several byte tokens of one character have one span: the last of them ends its word."""
    tokens = TextEncoder(tokenizers[kind], 64).tokenize([text])[0]
    words = [(i, i + 1) for i, c in enumerate(text) if c.isalnum()]
    starts, ends = ints(*[s for s, _ in words]), ints(*[e for _, e in words])
    first, last = tokens.first_of(starts, ends), tokens.last_of(starts, ends)
    assert (first >= 0).all()
    assert (first <= last).all()
    assert (tokens.ends[last] > starts).all()
    assert (tokens.starts[last] < ends).all()
    after = np.minimum(last + 1, len(tokens) - 1)
    assert ((after == last) | (tokens.starts[after] >= ends)).all()
