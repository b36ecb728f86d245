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

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from mtl.heads.base import Head
from mtl.types import HeadBatch, MicroBatch, TrunkBatch

Run = Callable[[TrunkBatch], Tensor]
"""From the rows of a part to their hidden states, (rows * T, D)."""


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


def divided(batch: MicroBatch, heads: Mapping[str, Head]) -> Iterator[Part]:
    """Yield the parts of a pass that any head reads.

    Args:
        batch: With `rows` to run at once.
        heads: By task; for those that are not there, a part has no targets.
    """
    assert batch.rows is not None
    count, width = batch.trunk.input_ids.shape
    readers = {name: _Reader(heads.get(name), whole) for name, whole in batch.heads.items()}
    for first in range(0, count, batch.rows):
        end = min(first + batch.rows, count)
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
            name: heads[name].score(found, part.heads[name].given) if name in alone else found
            for name, found in states.items()
        }

    found: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in batch.heads}
    for part in divided(batch, heads):
        values = recomputed(compute, part.batch) if torch.is_grad_enabled() else compute(part.batch)
        for name, outputs in part.outputs.items():
            found[name].append((outputs, values[name]))
    scores: dict[str, Tensor] = {}
    for name, whole in batch.heads.items():
        if not found[name]:  # It reads nothing.
            scores[name] = heads[name].score(torch.zeros(0, hidden_size), whole.given)
            continue
        values = _whole(found[name], sum(whole.sizes))
        scores[name] = values if name in alone else heads[name].score(values, whole.given)
    return scores


def states_in_parts(run: Run, batch: MicroBatch) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Yield each task's states (n, D) as its head reads them, and the numbers of these outputs.

    Args:
        run: The trunk, without gradients.
        batch: With or without `rows` to run at once.
    """
    pooled: dict[str, list[tuple[Tensor, Tensor]]] = {}
    everything = {name: torch.arange(sum(whole.sizes)) for name, whole in batch.heads.items()}
    parts = [Part(batch, everything)] if batch.rows is None else divided(batch, {})
    for part in parts:
        hidden = run(part.batch.trunk)
        for name, piece in part.batch.heads.items():
            found = part.outputs[name], piece.read(hidden)
            if piece.group is None:
                yield name, *found
            else:
                pooled.setdefault(name, []).append(found)
    for name, found in pooled.items():
        yield name, everything[name], _whole(found, len(everything[name]))


def recomputed(
    compute: Callable[[MicroBatch], dict[str, Tensor]], part: MicroBatch
) -> dict[str, Tensor]:
    """Return what is computed, and compute it again when its gradient is asked for."""
    found: dict[str, Tensor] = checkpoint(compute, part, use_reentrant=False)
    return found


def _whole(parts: list[tuple[Tensor, Tensor]], count: int) -> Tensor:
    """Add up values (n, C) by the outputs of a pass that they belong to; returns (count, C)."""
    outputs = torch.cat([numbers for numbers, _ in parts])
    values = torch.cat([found for _, found in parts])
    return values.new_zeros(count, values.shape[1]).index_add(0, outputs, values)
