"""The LightningDataModule: encoded examples in, steps and passes out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

import lightning as L
import numpy as np

from mtl.config.schema import BatchingConfig, StageConfig
from mtl.data.cached_states import CachedStatesCollator, Places, States
from mtl.data.collate import Collator, Sharing
from mtl.data.loaders import EvalLoader, TrainLoader, Writes
from mtl.data.mixing import Mixer
from mtl.data.orders import Order
from mtl.data.plan import Planner
from mtl.data.store import ExampleStore
from mtl.types import MicroBatch, Step, WriteBatch

Stores = list[ExampleStore]
Batch = TypeVar("Batch", Step, MicroBatch, WriteBatch)


class MultiTaskData(L.LightningDataModule):
    """Loaders over the splits of several tasks.

    Args:
        train: Training examples, a store a task.
        validation: Validation examples.
        test: Test examples of the tasks that have any.
        batching: How examples become steps and passes.
        sharing: What of the trunk may stand in one row.
        mixer: How much of each task enters an epoch.
        seed: Of the whole run.
        max_epochs: Passes over the mixture.
        max_steps: If set, wins over `max_epochs`.
        writes: By stage (``val``, ``test``) and task: for which examples texts are written.
        keeps: Whether documents that a pass has read are kept for texts after them.
        resting: Tasks that are not trained, only evaluated.
        order: How an epoch's examples become steps; mixed when None.
        stages: Tasks that are trained one after the other; all at once when empty.
        every: Steps between validations, where the mixture follows them; an epoch's when 0.
    """

    def __init__(
        self,
        train: Stores,
        validation: Stores,
        test: Stores,
        *,
        batching: BatchingConfig,
        sharing: Sharing,
        mixer: Mixer,
        seed: int,
        max_epochs: int,
        max_steps: int | None = None,
        writes: Mapping[str, Mapping[str, Writes]] | None = None,
        keeps: bool = False,
        resting: Collection[str] = (),
        order: Order | None = None,
        stages: Sequence[StageConfig] = (),
        every: int | None = None,
    ) -> None:
        super().__init__()
        self.train, self.validation, self.test = train, validation, test
        self.batching, self.sharing = batching, sharing
        self.writes = writes or {}
        self.keeps = keeps
        self.resting = set(resting)
        self.cached: dict[str, tuple[States, Places]] = {}
        """By stage (``train``, ``val``): its examples' hidden states, where they are cached."""
        self.by_task: Callable[[int], bool] = lambda step: False
        """Whether a training step, counted from 0, is to have passes of one task each."""
        self.planner = Planner(
            {s.task: s.keys[:0] if s.task in resting else s.keys for s in train},
            mixer,
            examples=batching.examples,
            max_branches=batching.max_branches,
            seed=seed,
            order=order,
            stages=stages,
            epochs=max_epochs,
            steps=max_steps,
            every=every,
        )
        self.steps = self.planner.rounds.total

    def collator(self, stores: Stores) -> Collator:
        """Return what builds passes of some examples."""
        return Collator(stores, self.batching.tokens, self.sharing)

    def _collator(self, stores: Stores, stage: str) -> Collator:
        made = self.collator(stores)
        return CachedStatesCollator(made, *self.cached[stage]) if stage in self.cached else made

    def _place(self) -> dict[str, int]:
        trainer = self.trainer
        if trainer is None:
            return {"rank": 0, "world": 1}
        return {"rank": trainer.global_rank, "world": trainer.world_size}

    def train_dataloader(self) -> TrainLoader:
        """Return the loader of this rank's steps."""
        return TrainLoader(
            self.planner,
            self._collator(self.train, "train"),
            steps=self.steps,
            by_task=self.by_task,
            **self._place(),
        )

    def longest_step(self, budget: int | None, only: int | None = None) -> Step:
        """Return a step of the longest training documents, as many as one step may hold.

        Args:
            budget: Most tokens of one pass; no limit when None.
            only: The number of the task whose documents these are; of any when None.
        """
        b = self.batching
        stores, collator = self.train, self.collator(self.train)
        collator.budget = sys.maxsize if budget is None else budget
        lengths = np.concatenate([store.lengths for store in stores])
        tasks = np.concatenate([np.full(len(s), n) for n, s in enumerate(stores)])
        places = np.concatenate([np.arange(len(store)) for store in stores])
        groups: dict[int, list[tuple[int, int]]] = {}
        order = np.argsort(-lengths, kind="stable")
        if only is not None:
            order = order[tasks[order] == only]
        for at in order[: b.examples].tolist():
            task, place = int(tasks[at]), int(places[at])
            group = groups.setdefault(int(stores[task].keys[place]), [])
            if len(group) < b.max_branches:
                group.append((task, place))
        chosen = list(groups.values())
        return Step(0, collator(chosen), collator.denominators(chosen), sum(map(len, chosen)))

    def val_dataloader(self) -> EvalLoader:
        """Return the loader of this rank's validation passes."""
        return self.passes(self.validation, "val")

    def test_dataloader(self) -> EvalLoader:
        """Return the loader of this rank's test passes."""
        return self.passes(self.test, "test")

    def passes(self, stores: Stores, stage: str) -> EvalLoader:
        """Return the loader of this rank's passes over some examples of a stage."""
        return EvalLoader(
            self._collator(stores, stage),
            stores,
            max_branches=self.batching.max_branches,
            writes=self.writes.get(stage),
            keeps=self.keeps and stage not in self.cached,
            **self._place(),
        )
