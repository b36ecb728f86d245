"""A frozen trunk's states: computed once, kept on disk, read from there in every epoch.

The states of the training examples, and of those of validation, are an entry each of a cache
(:mod:`mtl.data.cache`), named by a hash of all they depend on: the trunk's weights and
configuration, the tokens of every example, which of them are read, the batching, the precision
and the type of device.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.strategies import FSDPStrategy, ModelParallelStrategy

from mtl.data.cache import Cache, cache_key
from mtl.data.cached_states import Places, States, StateWriter, fingerprint, places
from mtl.data.collate import Collator, PlannedPass
from mtl.data.datamodule import MultiTaskData, Stores
from mtl.data.loaders import EvalLoader
from mtl.errors import ConfigError
from mtl.reporting.console import note
from mtl.reporting.tracking import track
from mtl.training.parts import Run, states_in_parts
from mtl.trunk import Trunk
from mtl.trunk.active_dropout import active_dropout
from mtl.trunk.fingerprint import digest
from mtl.types import MicroBatch, TrunkBatch

SHARE = 0.5
"""How much of the free disk may be taken without being asked to."""
WORDS = {"train": "training", "val": "validation"}


@dataclass(frozen=True, slots=True)
class Work:
    """One entry to be read or made."""

    stage: str
    key: str
    places: Places
    count: int
    """How many states there are."""
    passes: list[PlannedPass]
    collator: Collator

    def write(self, writer: StateWriter, folder: Path, batch: MicroBatch, run: Run) -> None:
        """Write what each task of a pass reads of its states."""
        numbers = {store.task: number for number, store in enumerate(self.collator.stores)}
        chosen = {
            name: np.concatenate([self.places[numbers[name]][e] for e in part.examples])
            for name, part in batch.heads.items()
        }
        for name, outputs, states in states_in_parts(run, batch):
            writer.write(folder, chosen[name][outputs.cpu().numpy()], states)


class StateCache(L.Callback):
    """Gives the data module the states of a trunk that does not learn, before training begins.

    Args:
        folder: Where the entries are kept.
        forced: Whether what stands in the way of them is an error, and no reason to go without.
    """

    def __init__(self, folder: Path, *, forced: bool) -> None:
        self.cache = Cache(folder, lambda sentence: note(f"tuning.cache: {sentence}"))
        self.forced = forced

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Read the entries, or make them.

        Raises:
            ConfigError: If they are asked for and cannot be had.
        """
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        model: Any = pl_module.model
        if isinstance(trainer.strategy, ModelParallelStrategy | FSDPStrategy):
            self._go_without("each process holds a part of the trunk only")
            return
        if why := active_dropout(model.trunk.model):
            self._go_without(
                f"the trunk drops parts of its states at random ({why}), so that they differ in "
                "every epoch; trunk.dropout=0 keeps them"
            )
            return
        about = _about(trainer, model.trunk, data)
        for stage, stores in (("train", data.train), ("val", data.validation)):
            work = _work(stage, data, stores, about)
            states = self._read(trainer, work) or self._make(trainer, model.trunk, work)
            if states is not None:
                data.cached[stage] = (states, work.places)

    def _read(self, trainer: L.Trainer, work: Work) -> States | None:
        """Return the states that are there and whole; the first rank looks for all."""
        found = self.cache.find(work.key) if trainer.is_global_zero else None
        if not trainer.strategy.broadcast(found is not None):
            return None
        note(
            f"tuning.cache: states of {WORDS[work.stage]} texts are read from "
            f"{self.cache.folder / work.key}."
        )
        return self._open(work, found)

    def _open(self, work: Work, found: Any = None) -> States:
        found = found or self.cache.find(work.key, check=False)
        assert found is not None, "every process sees one folder"
        states = States(*found)
        assert len(states) == work.count
        return states

    def _make(self, trainer: L.Trainer, trunk: Trunk, work: Work) -> States | None:
        """Compute the states, each rank those of its share of the passes."""
        if not work.count:
            return None
        last = work.collator.planned(work.passes[-1])
        _, _, sample = next(states_in_parts(_run(trainer, trunk), last.to(_device(trainer))))
        writer = StateWriter(work.count, sample.shape[1], sample.dtype)
        beside, problem = None, None
        if trainer.is_global_zero:
            beside, problem = self._begin(work.key, writer)
        beside = trainer.strategy.broadcast(beside)
        if beside is not None:
            problem = self._fill(trainer, trunk, work, writer, beside)
        if not trainer.strategy.reduce_boolean_decision(problem is None and beside is not None):
            if beside is not None:
                shutil.rmtree(beside, ignore_errors=True)
            self._go_without(problem or "another process could not write")
            return None
        if trainer.is_global_zero:
            size = f"{_size(writer.column.size)}, {writer.about['dtype']}"
            note(
                f"tuning.cache: states of {WORDS[work.stage]} texts ({size}) are kept in "
                f"{self.cache.folder / work.key}."
            )
        return self._open(work)

    def _begin(self, key: str, writer: StateWriter) -> tuple[Path | None, str | None]:
        """Return a folder with room for the states, or why there is none."""
        beside = None
        try:
            beside = self.cache.begin(key)
            free = shutil.disk_usage(beside).free
            most = free if self.forced else int(SHARE * free)
            if writer.column.size <= most:
                writer.create(beside)
                return beside, None
            share = "" if self.forced else f", of which it takes at most {SHARE:.0%} unasked"
            problem = (
                f"the states would take {_size(writer.column.size)}, but {self.cache.folder} has "
                f"{_size(free)} free{share}"
            )
        except OSError as error:
            problem = f"{error.filename or self.cache.folder}: {error.strerror or error}"
        if beside is not None:
            shutil.rmtree(beside, ignore_errors=True)
        return None, problem

    def _fill(
        self, trainer: L.Trainer, trunk: Trunk, work: Work, writer: StateWriter, beside: Path
    ) -> str | None:
        """Run the trunk over this rank's passes; returns what went wrong."""
        problem = None
        try:
            mine = work.passes[trainer.global_rank :: trainer.world_size]
            with track(f"Reading {WORDS[work.stage]} texts", len(mine)) as advance:
                for planned in mine:
                    batch = work.collator.planned(planned).to(_device(trainer))
                    work.write(writer, beside, batch, _run(trainer, trunk))
                    advance(1)
        except OSError as error:
            problem = f"{beside}: {error.strerror or error}"
        whole = trainer.strategy.reduce_boolean_decision(problem is None)
        if whole and trainer.is_global_zero:
            try:
                columns = {"states": writer.column}
                self.cache.publish(beside, work.key, columns, writer.about)
            except OSError as error:
                problem = f"{self.cache.folder}: {error.strerror or error}"
        trainer.strategy.barrier("states")
        return problem

    def _go_without(self, why: str) -> None:
        if self.forced:
            raise ConfigError(
                f"Expected `tuning.cache` to be auto or false for this run, but got true: {why}."
            )
        note(f"tuning.cache: every epoch runs the frozen trunk, since {why}.")


def _work(stage: str, data: MultiTaskData, stores: Stores, about: Mapping[str, object]) -> Work:
    collator = data.collator(stores)
    most = data.batching.max_branches
    passes = EvalLoader(collator, stores, max_branches=most).passes
    groups = [group for planned in passes for group in planned.groups]
    key = cache_key({**about, "texts": fingerprint(stores)})
    return Work(stage, key, *places(collator, groups), passes, collator)


def _run(trainer: L.Trainer, trunk: Trunk) -> Run:
    """Return what computes the hidden states (B * T, D) of a pass, as training would."""

    def run(batch: TrunkBatch) -> torch.Tensor:
        was_training = trunk.training
        trunk.eval()
        try:
            with torch.no_grad(), trainer.precision_plugin.forward_context():
                found: torch.Tensor = trunk(batch)
                return found
        finally:
            trunk.train(was_training)

    return run


def _device(trainer: L.Trainer) -> torch.device:
    return trainer.strategy.root_device


def _about(trainer: L.Trainer, trunk: Trunk, data: MultiTaskData) -> dict[str, object]:
    import transformers

    config = trunk.config.to_dict()
    for key in ("_name_or_path", "transformers_version"):
        config.pop(key, None)
    return {
        "weights": digest(trunk.model.state_dict()),
        "config": config,
        "trunk": [trunk.architecture, trunk.attention, asdict(trunk.capabilities)],
        "layers": [] if trunk.inner is None else trunk.inner.numbers,
        "batching": data.batching.model_dump(exclude={"examples"}),
        "sharing": asdict(data.sharing),
        "precision": str(trainer.precision),
        "device": trainer.strategy.root_device.type,
        "libraries": [torch.__version__, transformers.__version__],
    }


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} TB"
