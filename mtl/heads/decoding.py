"""Constrained decoding: the best label sequence among those that the scheme allows.

The transitions are fixed, allowed or not, so Viterbi (1967) reduces to a running maximum over the
allowed predecessors; nothing is learned. Shapes: N tokens of S sentences, C labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtl.errors import ConfigError, one_of

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_LIMIT = 1e30  # stands in for infinite scores; sums of many stay finite in float64
_BLOCK = 1 << 20  # numbers in one step's (sentences, C, C) table


class Transitions(NamedTuple):
    """Which labels may begin a sentence, follow each other, and end it."""

    start: Tensor
    """Shape (C,), bool."""
    allowed: Tensor
    """Shape (C, C), bool; rows are the earlier label."""
    end: Tensor
    """Shape (C,), bool; all true but in BIOES, where an open entity must be closed."""


def _iob1(before: str, tag: str, same: bool) -> bool:
    """``B`` only divides neighbours of one type; ``I`` begins entities too."""
    return tag != "B" or (same and before in "BI")


def _iob2(before: str, tag: str, same: bool) -> bool:
    """``I`` only continues an entity of its type."""
    return tag != "I" or (same and before in "BI")


def _bioes(before: str, tag: str, same: bool) -> bool:
    """An entity is ``S``, or ``B I* E`` of one type."""
    if before in "BI":
        return same and tag in "IE"
    return tag in "BOS"


_RULES: dict[str, tuple[str, Callable[[str, str, bool], bool]]] = {
    "iob1": ("BIO", _iob1),
    "iob2": ("BIO", _iob2),
    "bioes": ("BIOES", _bioes),
}
SCHEMES = tuple(_RULES)


def transition_mask(labels: Sequence[str], scheme: str = "iob2") -> Transitions:
    """Return the transitions that a scheme allows between labels.

    Args:
        labels: The label set, in the order of the scores' columns.
        scheme: ``iob1``, ``iob2`` or ``bioes``.

    Returns:
        The masks over labels.

    Raises:
        ConfigError: If the scheme is unknown, a label is none of its labels, or no sentence could
            be labelled at all.
    """
    if scheme not in _RULES:
        raise ConfigError(one_of("scheme", scheme, _RULES))
    prefixes, rule = _RULES[scheme]
    tags = [_split(label, prefixes, scheme) for label in labels]
    edge = ("O", "")

    def may(before: tuple[str, str], tag: tuple[str, str]) -> bool:
        return rule(before[0], tag[0], before[1] == tag[1])

    start = torch.tensor([may(edge, tag) for tag in tags], dtype=torch.bool)
    allowed = torch.tensor([[may(a, b) for b in tags] for a in tags], dtype=torch.bool)
    end = torch.tensor([may(tag, edge) for tag in tags], dtype=torch.bool)
    if not (start & end).any():
        raise ConfigError(
            f"Expected a label set in which one token can be labelled under '{scheme}', "
            f"but got {{{', '.join(labels)}}}."
        )
    return Transitions(start, allowed, end)


def _split(label: str, prefixes: str, scheme: str) -> tuple[str, str]:
    """Return a label's prefix and type."""
    prefix, _, kind = label.partition("-")
    if len(prefix) != 1 or prefix not in prefixes or (prefix == "O" and label != "O"):
        raise ConfigError(
            f"Expected labels of '{scheme}' to be O or one of {{{', '.join(prefixes)}}} and a "
            f"type, such as B-PER, but got '{label}'. Decode with `decoding: plain` instead."
        )
    return prefix, kind


def viterbi(scores: Tensor, start: Tensor, allowed: Tensor, end: Tensor | None = None) -> Tensor:
    """Return the allowed label sequence with the highest sum of scores.

    Args:
        scores: One sentence's logits or log-probabilities, shape (T, C).
        start: Labels that may come first, shape (C,), bool.
        allowed: Labels that may follow each other, shape (C, C), bool.
        end: Labels that may come last, shape (C,), bool; all when None.

    Returns:
        Label ids, shape (T,), int64, on the device of `scores`.
    """
    return viterbi_packed(scores, [len(scores)], start, allowed, end)


def viterbi_packed(
    scores: Tensor,
    lengths: Sequence[int],
    start: Tensor,
    allowed: Tensor,
    end: Tensor | None = None,
) -> Tensor:
    """Return the best allowed label sequence of each of many sentences.

    All sentences advance together, so that a step costs one call however many there are; runs on
    the host in float64. Infinite scores count as very large ones and NaN as 0: even a model that
    diverged gives valid sequences.

    Args:
        scores: The sentences' logits, one after the other, shape (N, C).
        lengths: Each sentence's number of tokens; their sum is N.
        start: Labels that may come first, shape (C,), bool.
        allowed: Labels that may follow each other, shape (C, C), bool.
        end: Labels that may come last, shape (C,), bool; all when None.

    Returns:
        Label ids, shape (N,), int64, on the device of `scores`.
    """
    values = scores.detach().to("cpu", torch.float64).numpy()
    values = np.nan_to_num(values, nan=0.0, posinf=_LIMIT, neginf=-_LIMIT)
    sizes = np.asarray(lengths, dtype=np.int64)
    assert sizes.sum() == len(values), (int(sizes.sum()), len(values))
    free = torch.ones_like(start) if end is None else end
    masks = tuple(_penalty(mask) for mask in (start, allowed, free))
    offsets = np.cumsum(sizes) - sizes
    order = np.argsort(-sizes, kind="stable")
    order = order[sizes[order] > 0]
    best = np.zeros(len(values), dtype=np.int64)
    block = max(1, _BLOCK // max(1, values.shape[1] ** 2))
    for first in range(0, len(order), block):
        part = order[first : first + block]
        _decode_block(values, offsets[part], sizes[part], masks, best)
    return torch.from_numpy(best).to(scores.device)


def _penalty(mask: Tensor) -> Floats:
    """Return 0 where a mask is true and minus infinity elsewhere."""
    return np.where(mask.cpu().numpy(), 0.0, -np.inf)


def _decode_block(
    values: Floats, offsets: Ints, sizes: Ints, masks: tuple[Floats, ...], best: Ints
) -> None:
    """Write the best sequences of some sentences, longest first, into `best`."""
    start, allowed, end = masks
    steps = int(sizes[0])
    alive = [int(np.searchsorted(-sizes, -t, side="left")) for t in range(steps)]
    pointers: list[Ints] = []
    total = values[offsets] + start
    for t in range(1, steps):
        n = alive[t]
        paths = total[:n, :, None] + allowed
        pointers.append(paths.argmax(axis=1))
        total[:n] = paths.max(axis=1) + values[offsets[:n] + t]
    label = (total + end).argmax(axis=1)
    for t in range(steps - 1, 0, -1):
        n = alive[t]
        best[offsets[:n] + t] = label[:n]
        label[:n] = pointers[t - 1][np.arange(n), label[:n]]
    best[offsets] = label
