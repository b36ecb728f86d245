"""Loaders: steps for training, passes for evaluation.

A training loader covers the whole run, all its epochs: a step needs nothing but its number, so
its state is that number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mtl.data.collate import Collator, Pair
from mtl.data.packing import pack
from mtl.data.plan import EpochPlan, Planner, masses, split_ranks
from mtl.data.store import ExampleStore
from mtl.types import MicroBatch, Step


class TrainLoader:
    """All steps of a run, in order, for one rank; resumes at any step.

    Args:
        planner: Plans epochs.
        collator: Builds micro-batches.
        stores: The tasks' training examples, in the planner's order.
        steps: Steps of the whole run.
        rank: This process's number.
        world: Number of processes.
    """

    def __init__(
        self,
        planner: Planner,
        collator: Collator,
        stores: Sequence[ExampleStore],
        *,
        steps: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.planner = planner
        self.collator = collator
        self.tables = {i: (s.task, s.masses) for i, s in enumerate(stores)}
        self.steps = steps
        self.rank = rank
        self.world = world
        self._next = 0
        self._plan: tuple[int, EpochPlan] | None = None

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Step]:
        start, self._next = self._next, 0
        for number in range(start, self.steps):
            step = self.step(number)
            self._next = number + 1
            yield step
        self._next = 0

    def step(self, number: int) -> Step:
        """Return one step of the run, counted from 0."""
        epoch, inside = divmod(number, self.planner.steps_per_epoch)
        if self._plan is None or self._plan[0] != epoch:
            self._plan = (epoch, self.planner.epoch(epoch))
        groups = self._plan[1].step(inside)
        mine = groups
        if self.world > 1:
            shares = split_ranks([self.collator.size(g) for g in groups], self.world)
            mine = [groups[i] for i in shares[self.rank]]
        return Step(
            number=number,
            micro_batches=self.collator(mine),
            denominators=masses(groups, self.tables),
            examples=sum(map(len, groups)),
        )

    def state_dict(self) -> dict[str, int]:
        """Return the number of the next step."""
        return {"step": self._next}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue at a step."""
        self._next = int(state["step"])


class EvalLoader:
    """Every example of a split once, in passes of documents of like length, for one rank.

    Args:
        collator: Builds micro-batches.
        stores: The tasks' examples of the split.
        rank: This process's number.
        world: Number of processes.
        limit: Use only the first so many examples of each task.
        max_branches: Most examples of one document that share its encoding in a pass.
    """

    def __init__(
        self,
        collator: Collator,
        stores: Sequence[ExampleStore],
        *,
        rank: int = 0,
        world: int = 1,
        limit: int | None = None,
        max_branches: int = 16,
    ) -> None:
        self.collator = collator
        groups = collator.separate(_by_document(stores, limit, max_branches))
        sizes = [collator.size(g) for g in groups]
        mine = split_ranks(sizes, world)[rank] if world > 1 else range(len(groups))
        mine = sorted(mine, key=lambda g: (-sizes[g], g))
        units = [collator.unit_sizes(groups[g]) for g in mine]
        self.passes = [
            [groups[mine[g]] for g in sorted({g for row in rows for g, _ in row})]
            for rows in pack(units, collator.budget, share=collator.share)
        ]

    def __len__(self) -> int:
        return len(self.passes)

    def __iter__(self) -> Iterator[MicroBatch]:
        for groups in self.passes:
            yield from self.collator(groups)


def _by_document(stores: Sequence[ExampleStore], limit: int | None, most: int) -> list[list[Pair]]:
    """Group equal documents of all tasks, at most so many examples each, as they first appear."""
    groups: dict[int, list[Pair]] = {}
    for number, store in enumerate(stores):
        count = len(store) if limit is None else min(limit, len(store))
        for example, key in enumerate(np.asarray(store.keys[:count]).tolist()):
            groups.setdefault(key, []).append((number, example))
    return [g[at : at + most] for g in groups.values() for at in range(0, len(g), most)]
