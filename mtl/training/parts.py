"""A pass that is larger than its budget, run a part of its rows at a time.

All windows of one document are one pass, because heads may read any of them. Only one part's
activations exist at one time: where gradients are wanted, a part is computed again in the backward
pass (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost"), with the random numbers
that it drew before. What is kept of a part is what heads make of it: logits where a head scores
each output from states of one row, else the states that it reads, and sums where they are averaged.

Shapes: B rows, T tokens a row, n outputs in a part, G in the pass, D hidden, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from mtl.heads.base import Head
from mtl.training.allocator import give_back
from mtl.types import HeadBatch, MicroBatch, TrunkBatch

Run = Callable[[TrunkBatch], Tensor]
"""From the rows of a part to their hidden states, (rows * T, D)."""
Compute = Callable[[MicroBatch], dict[str, Tensor]]
"""From a part to what heads make of it, by task."""
Piece = tuple[Tensor, Tensor]
"""Numbers of outputs of the whole pass, (n,), and their values, (n, C) or (n, D)."""
ENOUGH = 512
"""Tokens of a part on a CPU: larger ones are hardly faster."""
TOGETHER = 2
"""Parts after which memory that lies free between what is kept goes back to the system."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of a pass, as a pass of their own."""

    batch: MicroBatch
    outputs: dict[str, Tensor]
    """By task, (n,): which outputs of the whole pass its outputs belong to."""


class _Reader:
    """What one head reads, in the order of the rows."""

    def __init__(self, head: Head | None, whole: HeadBatch) -> None:
        order = torch.argsort(whole.positions, stable=True)
        self.whole = whole
        self.positions = whole.positions[order]
        self.share = None if whole.share is None else whole.share[order]
        self.outputs = order if whole.group is None else whole.group[order]
        divides = head is not None and head.within(whole.given, order[:0]) is not None
        self.head = head if divides else None
        self.alone = divides and whole.group is None
        """Whether its head scores each part by itself; else states are gathered first."""

    def between(self, first: int, end: int) -> tuple[HeadBatch, Tensor]:
        """Return what is read of the tokens [first, end), and which outputs that is."""
        edges = self.positions.new_tensor([first, end])
        cut = slice(*torch.searchsorted(self.positions, edges).tolist())
        positions, outputs = self.positions[cut] - first, self.outputs[cut]
        part = HeadBatch(positions, {}, [], [])
        if self.share is not None:
            outputs, part.group = outputs.unique(return_inverse=True)
            part.share = self.share[cut]
        else:
            outputs, order = outputs.sort()
            part.positions = positions[order]
        part.sizes = [len(outputs)]
        if self.head is not None:
            part.targets = self.head.within(self.whole.given, outputs) or {}
        return part, outputs


def divided(
    batch: MicroBatch, heads: Mapping[str, Head], rows: int | None = None
) -> Iterator[Part]:
    """Yield the parts of a pass that any head reads.

    Args:
        batch: With `rows` to run at once.
        heads: By task; for those that are not there, a part has no targets.
        rows: Of a part, if not as many as the batch says.
    """
    rows = rows or batch.rows
    assert rows is not None
    count, width = batch.trunk.input_ids.shape
    readers = {name: _Reader(heads.get(name), whole) for name, whole in batch.heads.items()}
    for first in range(0, count, rows):
        end = min(first + rows, count)
        read = {n: reader.between(first * width, end * width) for n, reader in readers.items()}
        read = {name: found for name, found in read.items() if len(found[1])}
        if read:
            part = MicroBatch(batch.trunk.between(first, end), {n: p for n, (p, _) in read.items()})
            yield Part(part, {name: outputs for name, (_, outputs) in read.items()})


def scores_in_parts(
    run: Run, batch: MicroBatch, heads: Mapping[str, Head], hidden_size: int
) -> dict[str, Tensor]:
    """Return logits (G, C) of every task that reads a pass, as one run of all rows would give.

    Args:
        run: The trunk.
        batch: With `rows` to run at once.
        heads: Of each task.
        hidden_size: D.
    """
    alone = {name for name, whole in batch.heads.items() if _Reader(heads[name], whole).alone}

    def compute(part: MicroBatch) -> dict[str, Tensor]:
        hidden = run(part.trunk)
        states = {name: piece.read(hidden) for name, piece in part.heads.items()}
        return {
            name: heads[name].read(found, part.heads[name].given) if name in alone else found
            for name, found in states.items()
        }

    read = _read(compute, batch, heads)
    scores: dict[str, Tensor] = {}
    for name, whole in batch.heads.items():
        if parts := read[name]:
            values, done = _whole(parts, sum(whole.sizes)), name in alone
        else:  # It reads nothing.
            values, done = torch.zeros(0, hidden_size, device=whole.positions.device), False
        scores[name] = values if done else heads[name].read(values, whole.given)
    return scores


def _rows(batch: MicroBatch) -> int | None:
    """Return the rows of a part: on a CPU no more than make use of it, since more take memory."""
    if batch.rows is None or batch.trunk.input_ids.device.type != "cpu":
        return batch.rows
    return min(batch.rows, max(1, ENOUGH // batch.trunk.input_ids.shape[1]))


def _read(compute: Compute, batch: MicroBatch, heads: Mapping[str, Head]) -> dict[str, list[Piece]]:
    """Return by task what is computed of each part, and which outputs of the pass that is."""
    found: dict[str, list[Piece]] = {name: [] for name in batch.heads}
    learning = torch.is_grad_enabled()
    for number, part in enumerate(divided(batch, heads, _rows(batch)), start=1):
        job = compute if number % TOGETHER else partial(_tidily, compute)
        values = recomputed(job, part.batch) if learning else job(part.batch)
        for name, outputs in part.outputs.items():
            found[name].append((outputs, values[name]))
    return found


def _tidily(compute: Compute, part: MicroBatch) -> dict[str, Tensor]:
    """Compute a part after memory that those before it left free has been given back."""
    if part.trunk.input_ids.device.type == "cpu":
        give_back()
    return compute(part)


def states_in_parts(run: Run, batch: MicroBatch) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Yield each task's states (n, D) as its head reads them, and the numbers of these outputs.

    Args:
        run: The trunk, without gradients.
        batch: With or without `rows` to run at once.
    """
    pooled: dict[str, list[Piece]] = {}
    everything = {name: torch.arange(sum(whole.sizes)) for name, whole in batch.heads.items()}
    parts = [Part(batch, everything)] if batch.rows is None else divided(batch, {}, _rows(batch))
    for part in parts:
        hidden = run(part.batch.trunk)
        for name, piece in part.batch.heads.items():
            outputs, states = part.outputs[name], piece.read(hidden)
            if piece.group is None:
                yield name, outputs, states
            else:
                pooled.setdefault(name, []).append((outputs, states))
    for name, pieces in pooled.items():
        yield name, everything[name], _whole(pieces, len(everything[name]))


def recomputed(compute: Compute, part: MicroBatch) -> dict[str, Tensor]:
    """Return what is computed, and compute it again when its gradient is asked for.

    That gradient is added to the weights' own at once, so that no two parts' exist together. Ranks
    must not reduce gradients in such a backward pass: it comes to each weight more than once.
    """
    names = list(part.heads)

    def run(start: Tensor) -> tuple[Tensor, ...]:
        del start
        found = compute(part)
        return tuple(found[name] for name in names)

    # Something has to ask for a gradient, or there would be no backward pass.
    start = torch.zeros((), device=part.trunk.input_ids.device, requires_grad=True)
    return dict(zip(names, checkpoint(run, start, use_reentrant=True), strict=True))


def _whole(parts: list[Piece], count: int) -> Tensor:
    """Add up values (n, C) by the outputs of a pass that they belong to; returns (count, C).

    Parts go as they are added up: of a text of millions of words, no second copy is kept.
    """
    (_, first), *_ = parts
    values = first.new_zeros(count, first.shape[1])
    while parts:
        outputs, found = parts.pop(0)
        values.index_add_(0, outputs, found)
    return values
