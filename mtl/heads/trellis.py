"""Constrained decoding of a sequence without end: labels are given as soon as they are settled.

The best path to each label of the last token is kept back to where all these paths meet; what lies
before is on the best path of the whole, whatever follows (Viterbi 1967). They meet after a few
tokens, since labels that begin nothing may follow any. Shapes: N tokens, C labels.
"""

from __future__ import annotations

import numpy as np

from mtl.heads.decoding import Floats, Ints, finite
from mtl.labels import Transitions


class Trellis:
    """The best allowed label sequence, as :func:`mtl.heads.decoding.viterbi_packed` finds it.

    Args:
        masks: Labels that may come first (C,), follow each other (C, C), and come last (C,).
    """

    def __init__(self, masks: Transitions) -> None:
        self.start, self.allowed, self.end = (np.where(mask, 0.0, -np.inf) for mask in masks)
        self.kind = np.min_scalar_type(len(self.start))
        self._total: Floats | None = None
        """(C,) of the best path to each label of the last token."""
        self._before = np.zeros((0, len(self.start)), dtype=self.kind)
        """(n, C) for each token that is open, the label before it on the best path to each."""

    def push(self, scores: Floats) -> Ints:
        """Take logits of the next tokens, (N, C); return labels of those that are settled now.

        They are those of the first tokens that had none.
        """
        if not len(scores):
            return np.zeros(0, dtype=np.int64)
        before = np.empty(scores.shape, dtype=self.kind)
        for number, found in enumerate(finite(scores)):
            if self._total is None:
                before[number], self._total = 0, found + self.start
                continue
            paths = self._total[:, None] + self.allowed
            before[number] = paths.argmax(axis=0)
            self._total = paths.max(axis=0) + found
        self._before = np.concatenate([self._before, before])
        assert self._total is not None
        alive = np.flatnonzero(np.isfinite(self._total))
        for place in range(len(self._before) - 1, 0, -1):
            alive = np.unique(self._before[place, alive])
            if len(alive) == 1:
                return self._settle(place, int(alive[0]))
        return np.zeros(0, dtype=np.int64)

    def finish(self) -> Ints:
        """Return the labels of all tokens that have none yet."""
        if self._total is None or not len(self._before):
            return np.zeros(0, dtype=np.int64)
        return self._settle(len(self._before), int((self._total + self.end).argmax()))

    def _settle(self, count: int, last: int) -> Ints:
        """Return the labels of the first `count` open tokens, of which the last one has `last`."""
        labels = np.empty(count, dtype=np.int64)
        labels[-1] = last
        for place in range(count - 1, 0, -1):
            labels[place - 1] = self._before[place, labels[place]]
        self._before = self._before[count:]
        return labels
