"""From groups of examples to the micro-batches of a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from mtl.data.packing import Place, pack
from mtl.data.store import ExampleStore
from mtl.layout import Unit, build_rows
from mtl.types import Encoded, HeadBatch, Kept, MicroBatch, TrunkBatch, concatenate

Pair = tuple[int, int]
"""(task number, example index)."""

Readers = Mapping[int, list[tuple[str, int]]]
"""By a document's key: the examples, each with its task, that texts are written for."""


@dataclass(frozen=True, slots=True)
class Sharing:
    """What of a trunk may stand in one row."""

    rows: bool
    """Several units."""
    branches: bool
    """Several branches of one document."""
    pad: int
    """Id that fills rows."""
    tasks: bool = True
    """Whether several tasks may read one pass."""


@dataclass(frozen=True, slots=True)
class PlannedPass:
    """One pass: groups of one document each, and which group's units stand in each row."""

    groups: list[list[Pair]]
    rows: list[list[Place]]


@dataclass(slots=True)
class Group:
    """Examples of one document: its units, and which unit and branch each part became."""

    units: list[Unit]
    members: list[tuple[Pair, Encoded, list[tuple[int, int]]]] = field(default_factory=list)
    """Pair, example, and for each of its parts (unit, first token inside the unit)."""


Read = tuple[npt.NDArray[np.int64], int, Encoded]
"""What a head reads of an example: its positions; its index in the split; the example."""


class Collator:
    """Builds micro-batches.

    Args:
        stores: The tasks' examples, in the plan's order.
        budget: Most tokens of one trunk pass, padding included.
        sharing: What may stand in one row.
    """

    def __init__(self, stores: Sequence[ExampleStore], budget: int, sharing: Sharing) -> None:
        self.stores = list(stores)
        self.budget = budget
        self.sharing = sharing

    def size(self, group: Sequence[Pair]) -> int:
        """Return the tokens of a group: its document once, and all its branches."""
        examples = [self.stores[task].examples[index] for task, index in group]
        tokens = sum(map(len, examples[0].documents))
        return tokens + sum(len(b.ids) for example in examples for b in example.branches)

    def separate(self, groups: Sequence[Sequence[Pair]]) -> list[list[Pair]]:
        """Split groups whose branches may not share their document's encoding."""
        if self.sharing.branches:
            return [list(g) for g in groups]
        found: list[list[Pair]] = []
        for group in groups:
            branched = [bool(self.stores[task].examples[i].branches) for task, i in group]
            if reading := [p for p, apart in zip(group, branched, strict=True) if not apart]:
                found.append(reading)
            found.extend([p] for p, apart in zip(group, branched, strict=True) if apart)
        return found

    def __call__(self, groups: Sequence[Sequence[Pair]]) -> list[MicroBatch]:
        """Return the micro-batches of some groups, each of one document."""
        found: list[MicroBatch] = []
        for part in [groups] if self.sharing.tasks else split_tasks(groups):
            merged = [self.merge(g) for g in self.separate(part)]
            sizes = [[len(u) for u in m.units] for m in merged]
            packed = pack(sizes, self.budget, share=self.sharing.rows)
            found += [self.micro_batch(merged, rows) for rows in packed]
        return found

    def denominators(self, groups: Sequence[Sequence[Pair]]) -> dict[str, float]:
        """Return each task's loss denominator, summed over the groups of a step."""
        total: dict[str, float] = {}
        for task, index in (pair for group in groups for pair in group):
            store = self.stores[task]
            total[store.task] = total.get(store.task, 0.0) + float(store.masses[index])
        return total

    def plan(self, groups: Sequence[Sequence[Pair]]) -> list[PlannedPass]:
        """Pack groups, each of one document whose branches may share it, into passes.

        Only places are kept: a split may be larger than memory.
        """
        planned = []
        for part in [groups] if self.sharing.tasks else split_tasks(groups):
            sizes = [[len(u) for u in self.merge(g).units] for g in part]
            for rows in pack(sizes, self.budget, share=self.sharing.rows):
                chosen = sorted({g for row in rows for g, _ in row})
                number = {g: n for n, g in enumerate(chosen)}
                placed = [[(number[g], u) for g, u in row] for row in rows]
                planned.append(PlannedPass([list(part[g]) for g in chosen], placed))
        return planned

    def tokens(self, planned: PlannedPass) -> int:
        """Return the tokens that a planned pass reads, without padding."""
        return sum(map(self.size, planned.groups))

    def planned(self, planned: PlannedPass, readers: Readers | None = None) -> MicroBatch:
        """Return the micro-batch of a planned pass; documents with `readers` are to be kept."""
        return self.micro_batch([self.merge(g) for g in planned.groups], planned.rows, readers)

    def merge(self, group: Sequence[Pair]) -> Group:
        """Give the examples of one document its one encoding; branches follow in order."""
        store, first = self.stores[group[0][0]], group[0][1]
        documents = store.examples[first].documents
        merged = Group([Unit(d, [], store.bidirectional) for d in documents])
        for pair in group:
            example = self.stores[pair[0]].examples[pair[1]]
            parts = [(u, 0) for u in range(len(example.documents))]
            for branch in example.branches:
                unit = merged.units[branch.document]
                parts.append((branch.document, len(unit)))
                unit.branches.append(branch.ids)
            merged.members.append((pair, example, parts))
        return merged

    def micro_batch(
        self,
        groups: Sequence[Group],
        rows: Sequence[Sequence[Place]],
        readers: Readers | None = None,
    ) -> MicroBatch:
        """Return the micro-batch of a pass.

        Args:
            groups: Of the pass, and maybe of others.
            rows: Which group's units stand in each row.
            readers: Of documents that are to be kept.
        """
        built = build_rows(
            [[groups[g].units[u] for g, u in row] for row in rows],
            self.sharing.pad,
            bidirectional=False,
        )
        start = {
            place: at
            for row, starts in zip(rows, built.starts, strict=True)
            for place, at in zip(row, starts, strict=True)
        }
        reads: dict[int, list[Read]] = {}
        keep: list[Kept] = []
        for g in sorted({g for row in rows for g, _ in row}):
            if readers and (found := readers.get(self._key(groups[g]))):
                keep.append(Kept(start[g, 0], len(groups[g].units[0].document), found))
            for (task, index), example, parts in groups[g].members:
                first = np.asarray([start[g, u] + at for u, at in parts], dtype=np.int64)
                positions = first[example.part] + example.offset
                reads.setdefault(task, []).append((positions, index, example))
        heads = {self.stores[t].task: head_batch(reads[t]) for t in sorted(reads)}
        return MicroBatch(built.batch, heads, keep, self._rows_at_once(built.batch))

    def _rows_at_once(self, batch: TrunkBatch) -> int | None:
        """Return how many rows of a pass fit into the budget; None where all do, or there is one.

        Only the windows of one document can be more: they are one pass, run a part at a time.
        """
        rows, width = batch.input_ids.shape
        fitting = max(1, self.budget // width)
        return fitting if fitting < rows else None

    def _key(self, group: Group) -> int:
        (task, index), *_ = group.members[0]
        return int(self.stores[task].keys[index])


def split_tasks(groups: Sequence[Sequence[Pair]]) -> list[list[list[Pair]]]:
    """Return the groups of each task alone: a document that several read is in several."""
    tasks = sorted({task for group in groups for task, _ in group})
    parts = [[[pair for pair in group if pair[0] == task] for group in groups] for task in tasks]
    return [[group for group in part if group] for part in parts]


def head_batch(reads: Sequence[Read], *, pooled: bool = False) -> HeadBatch:
    """Return what a task's head reads.

    Args:
        reads: Of its examples.
        pooled: Whether positions are of outputs already, not of what is averaged into them.
    """
    positions, indices, examples = zip(*reads, strict=True)
    sizes = [e.outputs for e in examples]
    batch = HeadBatch(
        positions=concatenate(positions),
        targets={n: concatenate(e.targets[n] for e in examples) for n in examples[0].targets},
        examples=list(indices),
        sizes=sizes,
        inputs={n: concatenate(e.inputs[n] for e in examples) for n in examples[0].inputs},
        encoded=list(examples),
    )
    if examples[0].group is not None and not pooled:
        first = np.cumsum([0, *sizes[:-1]])
        groups = [e.group + f for e, f in zip(examples, first, strict=True) if e.group is not None]
        batch.group = concatenate(groups)
        count = torch.bincount(batch.group, minlength=sum(sizes)).clamp_min(1)
        batch.share = count.float().reciprocal()[batch.group]
    return batch
