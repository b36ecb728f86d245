"""The side of mtl: what `train.py` does between the first step and the last, timed."""

from __future__ import annotations

import ctypes
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.loggers import Logger
from torch import Tensor

from mtl.config.compose import compose_checked
from mtl.config.schema import Config
from mtl.training.allocator import give_back, keep_freed_memory
from mtl.training.module import MultiTaskModule
from mtl.training.run import _loggers, _quiet
from mtl.training.setup import Prepared, prepare
from mtl.training.stopping import StopOnSignal
from mtl.training.trainer import build_trainer, keeper_of
from mtl.types import MicroBatch, Step
from scripts.benchmarks.runner import ROOT

ADAPTED = {-4: 65536, -3: 32 << 20, -1: 64 << 20}
"""glibc's M_MMAP_MAX, and the largest M_MMAP_THRESHOLD and M_TRIM_THRESHOLD it adapts to."""
SKIPPED = 2
"""Steps at the start of a round that are not timed."""


@dataclass(frozen=True)
class Timing:
    """What was done in a number of seconds."""

    seconds: float
    steps: int
    tokens: int
    """Real ones, without padding; a shared document counts once."""
    examples: int


class Clock(L.Callback):
    """Times the steps after the first few, loading between them included."""

    def __init__(self) -> None:
        self.start = self.end = 0.0
        self.tokens = self.examples = self.steps = 0

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Step, batch_idx: int
    ) -> None:
        """Count one step."""
        del trainer, pl_module, outputs
        self.end = time.perf_counter()
        if batch_idx < SKIPPED:
            self.start = self.end
            return
        self.steps += 1
        self.examples += batch.examples
        self.tokens += sum(real_tokens(m) for m in batch.micro_batches)

    def timing(self) -> Timing:
        """Return what was counted."""
        return Timing(self.end - self.start, self.steps, self.tokens, self.examples)


def real_tokens(batch: MicroBatch) -> int:
    """Return a micro-batch's tokens that are no padding."""
    return int((batch.trunk.unit >= 0).sum())


@contextmanager
def allocator_as_in_training() -> Iterator[None]:
    """Let the allocator do what it does under `train.py`; the other side's rounds do without.

    What glibc does out of the box adapts to what is freed, and no longer once it was told
    anything. So it is then told what it adapts to with tensors of many megabytes.
    """
    kept = keep_freed_memory()
    try:
        yield
    finally:
        if kept:
            libc = ctypes.CDLL(None)
            for option, value in ADAPTED.items():
                libc.mallopt(option, value)
            give_back()


class Training:
    """A run that can be started again and again from the same weights.

    Args:
        line: Settings, as for `train.py`.
        threads: Of one operator; must be the same for all sides of a case.
    """

    def __init__(self, line: Sequence[str], threads: int) -> None:
        _quiet()
        shared = [
            f"trainer.threads={threads}",
            "trainer.progress=false",
            "trainer.test=false",
            "trainer.accelerator=cpu",
        ]
        self.cfg = compose_checked([*line, *shared], [ROOT / "conf"]).config
        self.folder = tempfile.TemporaryDirectory()
        self.prepared: Prepared = prepare(self.cfg, Path(self.folder.name))
        state = self.prepared.model.state_dict()
        self.start = {name: value.clone() for name, value in state.items()}

    @property
    def model(self) -> Any:
        """The model that is trained."""
        return self.prepared.model

    def step(self, number: int = 0) -> Step:
        """Return one of the run's steps."""
        return self.prepared.data.train_dataloader().step(number)

    def pairs(self, number: int = 0) -> list[tuple[int, int]]:
        """Return the examples of a step: the task's place among the run's, and the row."""
        planner = self.prepared.data.planner
        return [pair for group in planner.epoch(0).step(number) for pair in group]

    def round(self, steps: int, callbacks: Sequence[L.Callback] = ()) -> Timing:
        """Train from the first weights, as `train.py` does, and time it."""
        self.model.load_state_dict(self.start)
        run_dir = Path(tempfile.mkdtemp(dir=self.folder.name))
        module = MultiTaskModule(
            self.model,
            self.cfg,
            steps=self.prepared.data.steps,
            stores={"val": self.prepared.data.validation, "test": []},
        )
        loggers = _loggers(self.cfg, run_dir, self.prepared.tasks)
        trainer = lightning(self.cfg, run_dir, self.prepared, loggers, steps)
        clock = Clock()
        trainer.callbacks[:0] = [clock, *callbacks]  # type: ignore[attr-defined]
        trainer.limit_val_batches = 0
        with allocator_as_in_training():
            trainer.fit(module, datamodule=self.prepared.data)
        return clock.timing()

    def together(self, pairs: Sequence[tuple[int, int]], *, grouped: bool) -> Step:
        """Return a step of some examples, each with its document to itself if not `grouped`."""
        loader = self.prepared.data.train_dataloader()
        groups: dict[int, list[tuple[int, int]]] = {}
        for place, (task, row) in enumerate(pairs):
            key = int(self.prepared.data.train[task].keys[row]) if grouped else place
            groups.setdefault(key, []).append((task, row))
        found = list(groups.values())
        return Step(0, loader.collator(found), loader.collator.denominators(found), len(pairs))

    def loss(self, step: Step | None = None) -> float:
        """Return a step's loss with gradients left on the parameters; dropout is off.

        Args:
            step: The run's first, if none is given.
        """
        self.model.load_state_dict(self.start)
        self.model.eval()
        self.model.zero_grad(set_to_none=True)
        step, total = step or self.step(), 0.0
        for batch in step.micro_batches:
            part = torch.zeros(())
            for name, found in self.model(batch).items():
                given = batch.heads[name].given
                loss = self.model.head(name).loss(found, given, step.denominators[name])
                part = part + self.model.tasks[name].weight * loss
            part.backward()
            total += float(part.detach())
        self.model.train()
        return total


def lightning(
    cfg: Config, run_dir: Path, prepared: Prepared, loggers: list[Logger], steps: int
) -> L.Trainer:
    """Return the Trainer that `train.py` makes for a run."""
    keeper = keeper_of(cfg, run_dir, higher_is_better=True)
    stopper = StopOnSignal(keeper, run_dir)
    return build_trainer(cfg, run_dir, prepared.data, keeper, [stopper], loggers, steps)


def norm(parameters: Sequence[Tensor | None]) -> float:
    """Return the joint norm of gradients."""
    found = [g.double().pow(2).sum() for g in parameters if g is not None]
    return float(torch.stack(found).sum().sqrt())
