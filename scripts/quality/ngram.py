"""An n-gram model by interpolated Kneser-Ney smoothing, to compare a trunk's perplexity with.

Chen & Goodman 1999, equations 20 to 23 with one discount an order, ``n1 / (n1 + 2 n2)``. An n-gram
is one 64-bit number, its newest token in the lowest bits, so that all counts are sorted arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Level(NamedTuple):
    """Counts of one order."""

    grams: Ints
    """(n,) sorted."""
    counts: Ints
    """(n,) how often each occurs; below the highest order, after how many different tokens."""
    contexts: Ints
    """(m,) sorted: the n-grams without their newest token."""
    totals: Ints
    """(m,) sum of the counts after each context."""
    kinds: Ints
    """(m,) how many different tokens come after each context."""
    discount: float


class KneserNey:
    """Probabilities of tokens after the `order - 1` before them.

    Args:
        documents: Token ids, each of shape (n,).
        vocabulary: How many tokens there are.
        boundary: An id that no document holds: it stands before each.
        order: 5 for a 5-gram model.

    Raises:
        ValueError: If an n-gram of so many tokens is more than 63 bits.
    """

    def __init__(
        self, documents: Iterable[npt.NDArray[Any]], vocabulary: int, boundary: int, order: int = 5
    ) -> None:
        self.vocabulary, self.boundary, self.order = vocabulary, boundary, order
        self.bits = max(vocabulary - 1, boundary).bit_length()
        if self.bits * order > 63:
            raise ValueError(
                f"Expected {order} tokens of a vocabulary of {vocabulary:,} to fit into 63 bits, "
                f"but they take {self.bits * order}; choose a lower order."
            )
        keys = np.concatenate([self._keys(d) for d in documents])
        grams, counts = np.unique(keys, return_counts=True)
        levels = [self._level(grams, counts)]
        for size in range(order - 1, 0, -1):
            shorter = grams & ((1 << self.bits * size) - 1)
            grams, counts = np.unique(shorter, return_counts=True)
            levels.append(self._level(grams, counts))
        self.levels: Sequence[Level] = levels[::-1]

    def _keys(self, document: npt.NDArray[Any]) -> Ints:
        """Return the n-gram that ends at each token, (n,)."""
        padded = np.concatenate([np.full(self.order - 1, self.boundary), document])
        keys = np.zeros(len(document), dtype=np.int64)
        for at in range(self.order):
            keys = (keys << self.bits) | padded[at : at + len(document)]
        return keys

    def _level(self, grams: Ints, counts: Ints) -> Level:
        contexts, first, kinds = np.unique(
            grams >> self.bits, return_index=True, return_counts=True
        )
        once, twice = (int((counts == n).sum()) for n in (1, 2))
        discount = once / (once + 2 * twice) if once else 0.0
        return Level(grams, counts, contexts, np.add.reduceat(counts, first), kinds, discount)

    def probabilities(self, document: npt.NDArray[Any]) -> Floats:
        """Return the probability of each token of a document, (n,)."""
        keys = self._keys(document)
        found = np.full(len(keys), 1.0 / self.vocabulary)
        for size, level in enumerate(self.levels, start=1):
            grams = keys & ((1 << self.bits * size) - 1)
            count = _lookup(level.grams, level.counts, grams)
            total = _lookup(level.contexts, level.totals, grams >> self.bits)
            kinds = _lookup(level.contexts, level.kinds, grams >> self.bits)
            own = np.maximum(count - level.discount, 0.0) + level.discount * kinds * found
            found = np.where(total > 0, own / np.maximum(total, 1), found)
        return found


def _lookup(keys: Ints, values: Ints, wanted: Ints) -> Ints:
    """Return the value of each wanted key, 0 where it is not there."""
    at = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)
