"""Labels that are given while scores still come are those of the whole sequence."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mtl.heads.decoding import viterbi_packed
from mtl.heads.trellis import Trellis
from mtl.labels import transitions

LABELS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")


@pytest.mark.parametrize("sharp", [0.5, 4.0])
@pytest.mark.parametrize("seed", range(5))
def test_any_cut_gives_the_labels_of_the_whole(seed: int, sharp: float) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(300, len(LABELS))) * sharp
    scores[rng.random(scores.shape) < 0.02] = np.nan
    scores[rng.random(scores.shape) < 0.02] = -np.inf
    masks = transitions(LABELS)
    whole = viterbi_packed(torch.from_numpy(scores), [len(scores)], *masks).tolist()
    trellis = Trellis(masks)
    found: list[int] = []
    at, waiting = 0, []
    while at < len(scores):
        size = int(rng.integers(0, 30))
        found += trellis.push(scores[at : at + size].copy()).tolist()
        at = min(at + size, len(scores))
        waiting.append(at - len(found))
        assert found == whole[: len(found)], "what is settled stays"
    assert [*found, *trellis.finish().tolist()] == whole
    assert max(waiting) < 60, "labels do not wait for the end"


def test_paths_that_never_meet_wait() -> None:
    """Two labels that may not follow each other, each as good as the other to the end."""
    both = np.ones(2, dtype=bool)
    trellis = Trellis(type(transitions(LABELS))(both, np.eye(2, dtype=bool), both))
    for _ in range(50):
        assert not len(trellis.push(np.zeros((3, 2))))
    scores = np.asarray([[0.0, 1.0]])
    assert not len(trellis.push(scores))
    assert trellis.finish().tolist() == [1] * 151


def test_nothing_has_no_labels() -> None:
    trellis = Trellis(transitions(LABELS))
    assert not len(trellis.push(np.zeros((0, 5))))
    assert not len(trellis.finish())
