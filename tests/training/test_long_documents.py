"""Documents longer than a pass are counted, with the longest and their share of the work."""

from __future__ import annotations

import numpy as np

from mtl.training.long_documents import long_documents
from tests.data.examples import example, store


def test_documents_longer_than_a_pass_are_said() -> None:
    rng = np.random.default_rng(0)
    some = store("mood", [example(rng, [10] * n) for n in (1, 3, 6, 1)])
    (line,) = long_documents([some], 20)
    assert line.startswith("tasks.mood: 2 of 4 training documents are longer than a pass")
    assert "(batching.tokens=20)" in line
    assert "the longest has 60 tokens in 6 windows; they take 82% of the work." in line
    (line,) = long_documents([some], 30)
    assert "1 of 4 training documents is longer" in line
    assert "it has 60 tokens in 6 windows; it takes 55% of the work." in line
    assert long_documents([some], 60) == []


def test_one_window_with_many_branches_is_no_long_document() -> None:
    rng = np.random.default_rng(0)
    asked = example(rng, [10], [(0, 8), (0, 8), (0, 8)])
    assert long_documents([store("qa", [asked])], 20) == []
