"""Constrained decoding: the best label sequence among those that the scheme allows.

The transitions are fixed, allowed or not, so Viterbi (1967) reduces to a running maximum over the
allowed predecessors; nothing is learned. Shapes: N tokens of S sentences, C labels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtl.labels import Bools

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_LIMIT = 1e30  # stands in for infinite scores; sums of many stay finite in float64
_BLOCK = 1 << 20  # numbers in one step's (sentences, C, C) table


def viterbi_packed(
    scores: Tensor,
    lengths: Sequence[int],
    start: Bools,
    allowed: Bools,
    end: Bools,
) -> Tensor:
    """Return the best allowed label sequence of each of many sentences.

    All sentences advance together, so that a step costs one call however many there are; runs on
    the host in float64. Infinite scores count as very large ones and NaN as 0: even a model that
    diverged gives valid sequences.

    Args:
        scores: The sentences' logits, one after the other, shape (N, C).
        lengths: Each sentence's number of tokens; their sum is N.
        start: Labels that may come first, shape (C,).
        allowed: Labels that may follow each other, shape (C, C).
        end: Labels that may come last, shape (C,).

    Returns:
        Label ids, shape (N,), int64, on the device of `scores`.
    """
    values = finite(scores.detach().to("cpu", torch.float64, copy=True).numpy())
    sizes = np.asarray(lengths, dtype=np.int64)
    assert sizes.sum() == len(values), (int(sizes.sum()), len(values))
    # Nothing where a mask is true, and minus infinity elsewhere.
    masks = tuple(np.where(mask, 0.0, -np.inf) for mask in (start, allowed, end))
    offsets = np.cumsum(sizes) - sizes
    order = np.argsort(-sizes, kind="stable")
    order = order[sizes[order] > 0]
    best = np.zeros(len(values), dtype=np.int64)
    block = max(1, _BLOCK // max(1, values.shape[1] ** 2))
    for first in range(0, len(order), block):
        part = order[first : first + block]
        _decode_block(values, offsets[part], sizes[part], masks, best)
    return torch.from_numpy(best).to(scores.device)


def finite(scores: Floats) -> Floats:
    """Return scores of which infinite ones are large ones and NaN is 0; they may be changed."""
    return np.nan_to_num(scores, copy=False, nan=0.0, posinf=_LIMIT, neginf=-_LIMIT)


def _decode_block(
    values: Floats, offsets: Ints, sizes: Ints, masks: tuple[Floats, ...], best: Ints
) -> None:
    """Write the best sequences of some sentences, longest first, into `best`."""
    start, allowed, end = masks
    steps = int(sizes[0])
    alive = [int(np.searchsorted(-sizes, -t, side="left")) for t in range(steps)]
    # One array, since a text may have millions of tokens: the n rows of a step stand together.
    firsts = np.cumsum([0, *alive[1:]])
    pointers = np.empty((int(firsts[-1]), len(start)), dtype=np.min_scalar_type(len(start)))
    total = values[offsets] + start
    for t in range(1, steps):
        n = alive[t]
        paths = total[:n, :, None] + allowed
        pointers[firsts[t - 1] : firsts[t]] = paths.argmax(axis=1)
        total[:n] = paths.max(axis=1) + values[offsets[:n] + t]
    label = (total + end).argmax(axis=1)
    for t in range(steps - 1, 0, -1):
        n = alive[t]
        best[offsets[:n] + t] = label[:n]
        label[:n] = pointers[firsts[t - 1] + np.arange(n), label[:n]]
    best[offsets] = label
