"""The LightningModule: one Lightning batch is one optimiser step.

Loss of a step: for each task, the sum over all micro-batches and ranks divided by the task's
number of targets in the whole step, times its weight; summed over tasks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

import lightning as L
import torch
from lightning.pytorch.strategies import ModelParallelStrategy, ParallelStrategy
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from mtl.data.plan import generator
from mtl.data.store import ExampleStore
from mtl.metrics.names import SCORE, metric_name
from mtl.tasks import TaskMetrics
from mtl.training.model import TOUCHED, MultiTaskModel, answers
from mtl.training.optim import (
    OptimizerSettings,
    build_optimizer,
    build_schedule,
    clip,
    set_rates,
)
from mtl.training.resumed import PREFIX
from mtl.training.running import Running
from mtl.training.sharding import empty_pass, gather, is_sharded, part, passes_of_all, shard, whole
from mtl.trunk.fingerprint import digest
from mtl.types import MicroBatch, Step, WriteBatch


class MultiTaskModule(L.LightningModule):
    """Trains a :class:`MultiTaskModel`.

    Args:
        model: Trunk, heads and tasks.
        settings: Optimiser and schedule.
        steps: Optimiser steps of the whole run.
        seed: Of the whole run; dropout of each pass follows from it and the step's number.
        stores: By stage (``val``, ``test``): each task's examples, whose rows hold the targets.
        log_every: Steps between training logs.
        whole: Whether checkpoints hold weights that do not learn, too. Without them a resumed run
            takes them from where this one did, and a digest says whether they are the same.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        settings: OptimizerSettings,
        *,
        steps: int,
        seed: int,
        stores: Mapping[str, list[ExampleStore]],
        log_every: int = 10,
        whole: bool = False,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.settings = settings
        self.steps = steps
        self.seed = seed
        self.log_every = log_every
        self.whole = whole
        self.stores = {stage: {s.task: s for s in found} for stage, found in stores.items()}
        self.scores = nn.ModuleDict(
            {
                stage: nn.ModuleDict({s.task: model.tasks[s.task].metrics() for s in found})
                for stage, found in stores.items()
            }
        )
        self.results: dict[str, float] = {}
        """The latest validation and test metrics, by full name."""
        self.training_logs: dict[str, float] = {}
        """The latest training metrics, by full name."""
        self.plain_config: dict[str, Any] = {}
        """The resolved configuration, kept in every checkpoint."""
        self._running = Running()

    def configure_model(self) -> None:
        """Part the model among the ranks, where the strategy asks for it."""
        if isinstance(self.trainer.strategy, ModelParallelStrategy):
            assert self.device_mesh is not None
            if not self.whole and self.model.frozen() and not is_sharded(self.model):
                self.strict_loading = False  # What does not learn is not in checkpoints.
                _ = self._frozen_digest  # While the weights are whole.
            shard(self.model, self.device_mesh["data_parallel"])

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return AdamW and its schedule; both are stepped by hand."""
        optimizer = build_optimizer(self.model, self.settings)
        schedule = build_schedule(optimizer, self.settings, self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what the tasks learned, the configuration and the latest results; plain data.

        Weights that do not learn are left out unless they are wanted.
        """
        frozen = {} if self.whole else self.model.frozen()
        for name in frozen:
            checkpoint["state_dict"].pop(PREFIX + name, None)  # Not there on all ranks: FSDP2.
        checkpoint["mtl"] = {
            "frozen": self._frozen_digest if frozen else None,
            "config": self.plain_config,
            "tasks": {name: task.state() for name, task in self.model.tasks.items()},
            "results": dict(self.results),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take back the results; let a longer run go on where a shorter one ended."""
        self.results.update(checkpoint["mtl"]["results"])
        if "state_dict" in checkpoint:  # FSDP2 has loaded it by now.
            checkpoint["state_dict"] = self.completed(checkpoint["state_dict"])
        if checkpoint["global_step"] < self.steps:
            _reopen(checkpoint["loops"]["fit_loop"], checkpoint["global_step"])

    def completed(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a checkpoint's weights with those of this model that it leaves out."""
        own = {PREFIX + name: p.detach() for name, p in self.model.frozen().items()}
        return {**own, **weights}

    @cached_property
    def _frozen_digest(self) -> str:
        return digest(self.model.frozen())

    def on_train_start(self) -> None:
        """Start from the rates of this run's schedule, not of the shorter one that it continues."""
        schedule = self.lr_schedulers()
        assert isinstance(schedule, LambdaLR)
        set_rates(schedule)
        self._running = Running()

    def training_step(self, step: Step, batch_idx: int) -> None:
        """Take one optimiser step over all of its micro-batches."""
        del batch_idx
        optimizer = self.optimizers(use_pl_optimizer=True)
        assert not isinstance(optimizer, list)
        optimizer.zero_grad(set_to_none=True)
        passes = self._passes(step)
        last = len(passes) - 1
        for number, micro_batch in enumerate(passes):
            self._seed(step.number, number)
            with contextlib.nullcontext() if number == last else self._no_sync():
                self.manual_backward(self._loss(micro_batch, step))
        if last < 0:
            self.manual_backward(self._nothing())
        self._drop_idle_heads(step)
        drop_zeros(self.model.trunk.part_time())
        self._unscale(optimizer)
        learning = [p for p in self.model.parameters() if p.requires_grad]
        norm = whole(clip(learning, self.settings.clip_norm))
        optimizer.step()
        schedule = self.lr_schedulers()
        assert schedule is not None
        assert not isinstance(schedule, list)
        schedule.step()
        self._running.add(step, norm)
        if (step.number + 1) % self.log_every == 0 or step.number + 1 == self.steps:
            self._log_training(step.number + 1, optimizer)

    def _passes(self, step: Step) -> list[MicroBatch]:
        """Return the step's passes; as many on each rank, where they exchange parameters."""
        passes = step.micro_batches
        if is_sharded(self.model):
            more = passes_of_all(len(passes), self.device) - len(passes)
            return [*passes, *(empty_pass(self.device) for _ in range(more))]
        return passes

    def _loss(self, micro_batch: MicroBatch, step: Step) -> Tensor:
        """Return this pass's part of the step's loss; every head takes part, if only with zero."""
        logits = self.model(micro_batch)
        touched = logits.pop(TOUCHED, None)
        total = self._nothing() if touched is None else touched
        for name, found in logits.items():
            part = micro_batch.heads[name]
            loss = self.model.head(name).loss(found, part.targets, step.denominators[name])
            total = total + self.model.tasks[name].weight * loss
            self._running.losses.setdefault(name, []).append(loss.detach())
        # DDP averages gradients over ranks; the denominators already count all of them.
        return total * self.trainer.world_size

    def _nothing(self) -> Tensor:
        """Return an exact zero; where ranks reduce gradients it touches every learning parameter.

        So all ranks reduce the same ones, whichever tasks their own rows have.
        """
        zero = torch.zeros((), device=self.device)
        if isinstance(self.trainer.strategy, ParallelStrategy):
            for parameter in self.model.parameters():
                if parameter.requires_grad:
                    zero = zero + 0.0 * parameter.sum()
        return zero

    def _drop_idle_heads(self, step: Step) -> None:
        """Leave heads without rows on any rank as they are: no momentum, no decay."""
        busy = {self.model.tasks[name].head_name for name in step.denominators}
        for name, head in self.model.heads.items():
            if name not in busy:
                for parameter in head.parameters():
                    parameter.grad = None

    def _unscale(self, optimizer: Any) -> None:
        """Undo the scale of float16 losses, so that the gradients' true norm is clipped."""
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        if scaler is not None:
            scaler.unscale_(optimizer.optimizer)

    def _seed(self, step: int, micro_batch: int) -> None:
        """Seed what dropout draws from, for this pass alone."""
        random = generator(self.seed, "dropout", step, micro_batch, self.global_rank)
        torch.manual_seed(int(random.integers(2**63 - 1)))

    def _no_sync(self) -> AbstractContextManager[None]:
        strategy = self.trainer.strategy
        if isinstance(strategy, ParallelStrategy):
            return strategy.block_backward_sync()
        return contextlib.nullcontext()

    def _log_training(self, number: int, optimizer: Any) -> None:
        found = self._running.flush()
        losses = self._summed(found)
        tokens, shares = self._read(found)
        logs = {metric_name("train", name, "loss"): loss for name, loss in losses.items()}
        weighted = [self.model.tasks[name].weight * loss for name, loss in losses.items()]
        logs[metric_name("train", None, "loss")] = sum(weighted)
        logs[metric_name("train", None, "grad_norm")] = found.norm
        logs[metric_name("train", None, "tokens_per_second")] = tokens / found.seconds
        logs[metric_name("train", None, "examples_per_second")] = found.examples / found.seconds
        for name, share in shares.items():
            logs[metric_name("train", name, "share")] = share
        for group in optimizer.param_groups:
            logs[metric_name("train", group["name"], "lr")] = group["lr"]
        logs["epoch"] = number / self.steps_per_epoch
        self.training_logs = logs
        self._write(logs, number)

    def _summed(self, found: Running) -> dict[str, float]:
        """Return each task's mean loss over the steps that had rows of it, over all ranks."""
        names = sorted(found.present)
        zero = torch.zeros((), device=self.device)
        local = torch.stack([torch.stack([zero, *found.losses.get(n, [])]).sum() for n in names])
        total = self.trainer.strategy.reduce(local, reduce_op="sum")
        return {n: float(loss) / found.present[n] for n, loss in zip(names, total, strict=True)}

    def _read(self, found: Running) -> tuple[float, dict[str, float]]:
        """Return the tokens, and each task's share of the examples, that all ranks read."""
        names = sorted(found.present)
        counts = [found.tokens, *(found.read.get(name, 0) for name in names)]
        local = torch.tensor(counts, dtype=torch.float32, device=self.device)
        tokens, *examples = self.trainer.strategy.reduce(local, reduce_op="sum").tolist()
        everything = max(1.0, sum(examples))
        return tokens, {n: count / everything for n, count in zip(names, examples, strict=True)}

    @property
    def steps_per_epoch(self) -> int:
        """Steps in one pass over the mixture."""
        return int(self.trainer.datamodule.planner.steps_per_epoch)  # type: ignore[attr-defined]

    def _write(self, logs: Mapping[str, float], step: int) -> None:
        for logger in self.trainer.loggers:
            logger.log_metrics(dict(logs), step=step)

    def validation_step(self, batch: MicroBatch | WriteBatch, batch_idx: int) -> None:
        """Count one pass."""
        del batch_idx
        self._evaluate("val", batch)

    def test_step(self, batch: MicroBatch | WriteBatch, batch_idx: int) -> None:
        """Count one pass."""
        del batch_idx
        self._evaluate("test", batch)

    def _evaluate(self, stage: str, batch: MicroBatch | WriteBatch) -> None:
        for name, examples, outputs in answers(self.model, batch, self.stores[stage]):
            rows = [self.stores[stage][name].rows[i] for i in examples]
            self.metrics(stage, name).update(outputs, rows)

    def metrics(self, stage: str, task: str) -> TaskMetrics:
        """Return the running scores of a task."""
        by_stage = self.scores[stage]
        assert isinstance(by_stage, nn.ModuleDict)
        found = by_stage[task]
        assert isinstance(found, TaskMetrics)
        return found

    def on_validation_start(self) -> None:
        """Stop the clock that training's speed is measured with."""
        self._running.pause()

    def on_validation_end(self) -> None:
        """Let the clock run on; the checkpoint has been written by now."""
        self._running.go_on()

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation."""
        self._gather()
        self._reset("val")

    def on_test_epoch_start(self) -> None:
        """Forget the last test."""
        self._gather()
        self._reset("test")

    def _gather(self) -> None:
        """Hold the whole model: ranks evaluate, and write texts, in passes of their own."""
        if is_sharded(self.model):
            gather(self.model)

    def _reset(self, stage: str) -> None:
        for name in self.stores[stage]:
            self.metrics(stage, name).reset()

    def on_validation_epoch_end(self) -> None:
        """Compute every task's scores and the aggregate that drives checkpoints."""
        self._finish("val")

    def on_test_epoch_end(self) -> None:
        """Compute every task's scores on the test splits."""
        self._finish("test")

    def _finish(self, stage: str) -> None:
        if is_sharded(self.model):
            part(self.model)
        logs = {}
        primary = {}
        for name in self.stores[stage]:
            task, scores = self.model.tasks[name], self.metrics(stage, name)
            if stage == "val":
                task.tune(scores)
            found = scores.compute()
            primary[name] = (task.weight, found[task.primary_metric], task.higher_is_better)
            logs.update({metric_name(stage, name, metric): v for metric, v in found.items()})
        if primary:
            score = aggregate(primary)
            logs[SCORE if stage == "val" else metric_name(stage, None, "score")] = score
        self.results.update(logs)
        if stage == "val":
            self.log_dict({k: torch.tensor(v) for k, v in logs.items()}, logger=False)
        if not self.trainer.sanity_checking:
            self._write(logs, self.global_step)


def drop_zeros(parameters: Sequence[nn.Parameter]) -> None:
    """Leave parameters as they are that nothing in the step used: no momentum, no decay.

    Ranks that reduce gradients have exact zeros there, a single process has none.
    """
    learning = [p for p in parameters if p.grad is not None]
    if not learning:
        return
    largest = torch.stack([whole(p.grad.abs().amax()) for p in learning if p.grad is not None])
    for parameter, value in zip(learning, largest.tolist(), strict=True):
        if value == 0.0:
            parameter.grad = None


def _reopen(fit_loop: dict[str, Any], step: int) -> None:
    """Make the end of a shorter run look like any other of its steps to Lightning's loops."""
    fit_loop["epoch_loop.batch_progress"]["is_last_batch"] = False
    for count in fit_loop["epoch_progress"].values():
        count.update(processed=0, completed=0)
    fit_loop["state_dict"]["combined_loader"] = [{"step": step}]


def aggregate(primary: Mapping[str, tuple[float, float, bool]]) -> float:
    """Return the weighted mean of the tasks' primary metrics, the score of a model.

    Args:
        primary: By task: weight, value, and whether higher is better. An error (lower is
            better) counts as 1 / (1 + value), which lies on 0 to 1 like the others.
    """
    total = sum(weight for weight, _, _ in primary.values())
    if not total:
        return 0.0
    values = (w * (v if higher else 1.0 / (1.0 + v)) for w, v, higher in primary.values())
    return sum(values) / total
