"""A frozen trunk's states: computed once, kept on disk, read from there in every epoch.

The states of the training examples, and of those of validation, are a table each
(:mod:`mtl.data.table`), named by a digest of all they depend on: the trunk's weights and
configuration, the tokens of every example, which of them are read, the batching, the precision
and the kind of device. So a table can only be found by a run to which it belongs.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.strategies import FSDPStrategy, ModelParallelStrategy

from mtl.data.datamodule import MultiTaskData, Stores
from mtl.data.known import Places, fingerprint, places
from mtl.data.loaders import EvalLoader
from mtl.data.table import Damaged, Table, TableFile
from mtl.errors import ConfigError
from mtl.reporting.console import note
from mtl.reporting.tracking import track
from mtl.trunk import Trunk
from mtl.trunk.active_dropout import active_dropout
from mtl.trunk.fingerprint import digest
from mtl.types import MicroBatch

FORMAT = 1
SHARE = 0.5
"""How much of the free disk may be taken without being asked to."""
STALE = 24 * 3600
"""Seconds after which a file that was never finished is removed."""
WORDS = {"train": "training", "val": "validation"}


@dataclass(frozen=True, slots=True)
class _Work:
    """One table to be read or made."""

    stage: str
    key: str
    path: Path
    places: Places
    passes: list[Any]
    collator: Any


class KnownStates(L.Callback):
    """Gives the data module the states of a trunk that does not learn, before training begins.

    Args:
        folder: Where the tables are kept.
        forced: Whether what stands in the way of them is an error, and no reason to go without.
    """

    def __init__(self, folder: Path, *, forced: bool) -> None:
        self.folder = folder
        self.forced = forced

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Read the tables, or make them.

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
        for stage, stores, limit in (
            ("train", data.train, None),
            ("val", data.validation, data.limit_val),
        ):
            work = self._work(stage, data, stores, limit, about)
            table = self._found(trainer, work) or self._made(trainer, model.trunk, work)
            if table is not None:
                data.known[stage] = (table, work.places)

    def _work(
        self, stage: str, data: MultiTaskData, stores: Stores, limit: int | None, about: str
    ) -> _Work:
        collator = data.collator(stores)
        most = data.batching.max_branches
        passes = EvalLoader(collator, stores, limit=limit, max_branches=most).passes
        key = hashlib.blake2b((about + fingerprint(stores, limit)).encode(), digest_size=16)
        name = key.hexdigest()
        return _Work(
            stage,
            name,
            self.folder / f"{name}.safetensors",
            places(collator, [group for planned in passes for group in planned.groups]),
            passes,
            collator,
        )

    def _found(self, trainer: L.Trainer, work: _Work) -> Table | None:
        """Return a table that is there and whole; the first rank looks for all."""
        whole = False
        if trainer.is_global_zero and work.path.is_file():
            try:
                table = Table(work.path, work.key, work.places.count)
                whole = True
            except Damaged as damaged:
                note(f"tuning.cache: {work.path} cannot be used, since {damaged}; made anew.")
        if not trainer.strategy.broadcast(whole):
            return None
        if not trainer.is_global_zero:
            table = Table(work.path, work.key, work.places.count, check=False)
        note(f"tuning.cache: states of {WORDS[work.stage]} texts are read from {work.path}.")
        return table

    def _made(self, trainer: L.Trainer, trunk: Trunk, work: _Work) -> Table | None:
        """Compute a table, each rank its share of the passes."""
        if not work.places.count:
            return None
        smallest = work.collator.planned(work.passes[-1])
        sample = next(_states(trainer, trunk, [smallest]))
        beside = self.folder / f"{work.key}.{os.getpid()}-{time.time_ns()}.part"
        beside = Path(trainer.strategy.broadcast(str(beside)))
        file = TableFile(beside, work.key, work.places.count, sample.shape[1], sample.dtype)
        problem = self._problem(file) if trainer.is_global_zero else None
        if trainer.strategy.broadcast(problem is None):
            problem = self._fill(trainer, trunk, work, file)
        if not trainer.strategy.reduce_boolean_decision(problem is None):
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
            self._go_without(problem or "another process could not write")
            return None
        if trainer.is_global_zero:
            note(
                f"tuning.cache: states of {WORDS[work.stage]} texts ({_size(file.size)}, "
                f"{str(file.dtype).removeprefix('torch.')}) are kept in {work.path}."
            )
        return Table(work.path, work.key, work.places.count, check=False)

    def _problem(self, file: TableFile) -> str | None:
        """Return why a table should not be written, or could not be begun."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _clear(self.folder)
            free = shutil.disk_usage(self.folder).free
            most = free if self.forced else int(SHARE * free)
            if file.size > most:
                share = "" if self.forced else f", of which it takes at most {SHARE:.0%} unasked"
                return (
                    f"the states would take {_size(file.size)}, but {self.folder} has "
                    f"{_size(free)} free{share}"
                )
            file.create()
        except OSError as error:
            return f"{error.filename or self.folder}: {error.strerror or error}"
        return None

    def _fill(self, trainer: L.Trainer, trunk: Trunk, work: _Work, file: TableFile) -> str | None:
        """Run the trunk over this rank's passes; returns what went wrong."""
        problem = None
        try:
            rank, world = trainer.global_rank, trainer.world_size
            mine = work.passes[rank::world]
            with track(f"Reading {WORDS[work.stage]} texts", len(mine)) as advance:
                for planned in mine:
                    batch = work.collator.planned(planned)
                    _write(file, batch, next(_states(trainer, trunk, [batch])), work)
                    advance(1)
        except OSError as error:
            problem = f"{file.path}: {error.strerror or error}"
        whole = trainer.strategy.reduce_boolean_decision(problem is None)
        if whole and trainer.is_global_zero:
            try:
                file.finish(work.path)
            except OSError as error:
                problem = f"{work.path}: {error.strerror or error}"
        trainer.strategy.barrier("known states")
        return problem

    def _go_without(self, why: str) -> None:
        if self.forced:
            raise ConfigError(
                f"Expected `tuning.cache` to be auto or false for this run, but got true: {why}."
            )
        note(f"tuning.cache: every epoch runs the frozen trunk, since {why}.")


def _write(file: TableFile, batch: MicroBatch, states: torch.Tensor, work: _Work) -> None:
    """Write what each task of a pass reads."""
    numbers = {store.task: number for number, store in enumerate(work.collator.stores)}
    for name, part in batch.heads.items():
        rows = work.places.rows[numbers[name]]
        chosen = np.concatenate([rows[example] for example in part.examples])
        file.write(chosen, part.to(states.device).read(states))


def _states(trainer: L.Trainer, trunk: Trunk, batches: list[MicroBatch]) -> Iterator[torch.Tensor]:
    """Yield the hidden states (B * T, D) of some passes, as training would compute them."""
    device = trainer.strategy.root_device
    was_training = trunk.training
    trunk.eval()
    try:
        for batch in batches:
            with torch.no_grad(), trainer.precision_plugin.forward_context():
                yield trunk(batch.trunk.to(device))
    finally:
        trunk.train(was_training)


def _about(trainer: L.Trainer, trunk: Trunk, data: MultiTaskData) -> str:
    """Return all that states depend on, besides the texts."""
    import transformers

    config = trunk.config.to_dict()
    for key in ("_name_or_path", "transformers_version"):
        config.pop(key, None)
    batching = data.batching.model_dump(exclude={"examples"})
    found = {
        "format": FORMAT,
        "weights": digest(trunk.model.state_dict()),
        "config": config,
        "trunk": [trunk.architecture, trunk.attention, asdict(trunk.capabilities)],
        "batching": [batching, asdict(data.sharing)],
        "precision": str(trainer.precision),
        "device": trainer.strategy.root_device.type,
        "libraries": [torch.__version__, transformers.__version__],
    }
    return json.dumps(found, sort_keys=True, default=str)


def _clear(folder: Path) -> None:
    """Remove files that were begun long ago and never finished."""
    for path in folder.glob("*.part"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > STALE:
                path.unlink()


def _size(count: float) -> str:
    """Return a number of bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} TB"
