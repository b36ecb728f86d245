"""Loaders: steps for training, passes for evaluation.

A training loader covers the whole run, all its epochs: a step needs nothing but its number, so
its state is that number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mtl.data.collate import Collator, Pair, split_tasks
from mtl.data.plan import Planner, split_ranks
from mtl.data.store import ExampleStore
from mtl.types import MicroBatch, Step, WriteBatch


class TrainLoader:
    """All steps of a run, in order, for one rank; resumes at any step.

    The collator's stores are the tasks' training examples, in the planner's order.

    Args:
        planner: What is in a step.
        collator: Builds passes.
        steps: Of the whole run.
        rank: This process's number, of `world`.
        world: Number of processes.
        by_task: Whether a step, counted from 0, is to have passes of one task each.
    """

    def __init__(
        self,
        planner: Planner,
        collator: Collator,
        *,
        steps: int,
        rank: int = 0,
        world: int = 1,
        by_task: Callable[[int], bool] = lambda step: False,
    ) -> None:
        self.planner = planner
        self.collator = collator
        self.steps = steps
        self.rank = rank
        self.world = world
        self.by_task = by_task
        self._next = 0

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
        groups = self.planner.step(number)
        mine = groups
        if self.world > 1:
            shares = split_ranks([self.collator.size(g) for g in groups], self.world)
            mine = [groups[i] for i in shares[self.rank]]
        by_task = self.by_task(number)
        parts = split_tasks(mine) if by_task else [mine]
        return Step(
            number=number,
            micro_batches=[found for part in parts for found in self.collator(part)],
            denominators=self.collator.denominators(groups),
            examples=sum(map(len, groups)),
            by_task=by_task,
        )

    def state_dict(self) -> dict[str, int]:
        """Return the number of the next step."""
        return {"step": self._next}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue at a step."""
        self._next = int(state["step"])


UNREAD = 1000
"""Examples of which nothing is read that are answered together."""


@dataclass(frozen=True, slots=True)
class Writes:
    """How many examples of a task texts are written for, and how long those may become."""

    examples: int | None
    """Spread evenly over the split; all when None."""
    new_tokens: int


class EvalLoader:
    """Every example of a split once, in passes of documents of like length, for one rank.

    After the passes come batches of examples for which tasks write texts. Where documents are kept,
    a batch comes as soon as they have been read.

    Args:
        collator: Builds micro-batches.
        stores: The tasks' examples of the split.
        rank: This process's number, of `world`.
        world: Number of processes.
        max_branches: Most examples of one document that share its encoding in a pass.
        writes: By task: for which examples texts are written; for none of tasks that are not there.
        keeps: Whether a causal document that a pass has read is kept for texts after it.
        write_budget: Most tokens, read and written, of a batch of texts; the collator's when None.
    """

    def __init__(
        self,
        collator: Collator,
        stores: Sequence[ExampleStore],
        *,
        rank: int = 0,
        world: int = 1,
        max_branches: int = 16,
        writes: Mapping[str, Writes] | None = None,
        keeps: bool = False,
        write_budget: int | None = None,
    ) -> None:
        self.collator = collator
        self.write_budget = write_budget or collator.budget
        groups = collator.separate(_by_document(stores, max_branches))
        sizes = [collator.size(g) for g in groups]
        mine = split_ranks(sizes, world)[rank] if world > 1 else range(len(groups))
        mine = sorted(mine, key=lambda g: (-sizes[g], g))
        self.passes = collator.plan([groups[g] for g in mine])
        read = self._first_passes() if keeps else {}
        self.readers: list[dict[int, list[tuple[str, int]]]] = [{} for _ in self.passes]
        self.writes: list[list[WriteBatch]] = [[] for _ in range(len(self.passes) + 1)]
        """By the number of the pass that they follow; the last are all others."""
        for store in stores:
            if store.task in (asked := writes or {}):
                chosen = _written(store, asked[store.task])[rank::world]
                self._write(store, chosen, asked[store.task].new_tokens, read)
            else:
                self._add_unread(store, _unread(store)[rank::world])

    def _add_unread(self, store: ExampleStore, chosen: Sequence[int]) -> None:
        """Put examples of which nothing is read after all others: their answer needs no trunk."""
        for at in range(0, len(chosen), UNREAD):
            self.writes[-1].append(WriteBatch(store.task, list(chosen[at : at + UNREAD])))

    def _first_passes(self) -> dict[int, int]:
        """Return the number of the first pass that reads a document, by its key."""
        found: dict[int, int] = {}
        for number, planned in enumerate(self.passes):
            for (task, example), *_ in planned.groups:
                found.setdefault(int(self.collator.stores[task].keys[example]), number)
        return found

    def _write(
        self, store: ExampleStore, examples: list[int], new_tokens: int, read: Mapping[int, int]
    ) -> None:
        """Put batches of a task's examples after the passes that read their documents, if any."""
        keys = dict(zip(examples, np.asarray(store.keys)[examples].tolist(), strict=True))
        known = [e for e in examples if keys[e] in read and not store.bidirectional]
        for example in known:
            readers = self.readers[read[keys[example]]]
            readers.setdefault(keys[example], []).append((store.task, example))
        for batch in _batches(store, known, new_tokens, self.write_budget):
            last = max(read[keys[e]] for e in batch)
            self.writes[last].append(WriteBatch(store.task, batch, read=True))
        others = [e for e in examples if keys[e] not in read or store.bidirectional]
        for batch in _batches(store, others, new_tokens, self.write_budget):
            self.writes[-1].append(WriteBatch(store.task, batch))

    def __len__(self) -> int:
        return len(self.passes) + sum(map(len, self.writes))

    def __iter__(self) -> Iterator[MicroBatch | WriteBatch]:
        for number, planned in enumerate(self.passes):
            yield self.collator.planned(planned, self.readers[number])
            yield from self.writes[number]
        yield from self.writes[-1]


def _written(store: ExampleStore, asked: Writes) -> list[int]:
    """Return the examples for which texts are written, the longest first."""
    size = len(store)
    count = size if asked.examples is None else min(asked.examples, size)
    chosen = np.arange(count) * size // max(count, 1)
    return sorted(chosen.tolist(), key=lambda i: (-store.lengths[i], i))


def _unread(store: ExampleStore) -> list[int]:
    """Return the examples of which nothing is read; those with a branch are there to be written."""
    numbers = np.flatnonzero(np.asarray(store.reads) == 0).tolist()
    return [number for number in numbers if not store.examples[number].branches]


def _batches(
    store: ExampleStore, examples: Sequence[int], new_tokens: int, budget: int
) -> list[list[int]]:
    """Return batches of examples of like length; rows and new tokens stay in the budget."""
    batches: list[list[int]] = []
    for example in examples:
        if batches:
            longest = store.lengths[batches[-1][0]] + new_tokens
            if longest * (len(batches[-1]) + 1) <= budget:
                batches[-1].append(example)
                continue
        batches.append([example])
    return batches


def _by_document(stores: Sequence[ExampleStore], most: int) -> list[list[Pair]]:
    """Group equal documents of all tasks, at most so many examples each, as they first appear."""
    groups: dict[int, list[Pair]] = {}
    for number, store in enumerate(stores):
        for example, key in enumerate(np.asarray(store.keys).tolist()):
            if not store.reads[example]:
                continue  # It reads nothing: it is only there to be written for.
            groups.setdefault(key, []).append((number, example))
    return [g[at : at + most] for g in groups.values() for at in range(0, len(g), most)]
