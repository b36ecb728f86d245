"""The LightningModule: one Lightning batch is one optimiser step.

Loss of a step: for each task, the sum over all micro-batches and ranks divided by the task's
number of targets in the whole step, times its weight; summed over tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

import lightning as L
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import ModelParallelStrategy
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from mtl.config.schema import Config
from mtl.data.store import ExampleStore
from mtl.metrics.names import SCORE, metric_name
from mtl.reporting.console import note
from mtl.secrets import hide_secrets
from mtl.training.checkpoint import State
from mtl.training.contents import FrozenWeights, continue_loops
from mtl.training.dropout import cheap_dropout
from mtl.training.evaluation import Evaluation
from mtl.training.finite import (
    NonFinite,
    apply_only_finite,
    norms_of_parts,
    odd_ones,
)
from mtl.training.model import MultiTaskModel
from mtl.training.optim import build_optimizer, build_schedule, clip, gradient_norm, set_rates
from mtl.training.ranks import total
from mtl.training.sharding import gather, is_sharded, shard, whole
from mtl.training.step_gradients import StepGradients
from mtl.training.training_log import TrainingLog, log_metrics
from mtl.types import MicroBatch, Step, WriteBatch


class MultiTaskModule(L.LightningModule):
    """Trains a :class:`MultiTaskModel`.

    Args:
        model: Trunk, heads and tasks.
        cfg: The run's configuration: rates, optimiser, schedule, seed, and what to log.
        steps: Optimiser steps of the whole run.
        stores: By stage (``val``, ``test``): each task's examples, whose rows hold the targets.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        cfg: Config,
        *,
        steps: int,
        stores: Mapping[str, list[ExampleStore]],
        digests: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.cfg = cfg
        self.steps = steps
        self.digests = {name: dict(splits) for name, splits in (digests or {}).items()}
        self.non_finite = NonFinite(cfg, list(model.tasks))
        weights = {name: task.weight for name, task in model.tasks.items()}
        self.gradients = StepGradients(self, model, cfg)
        self.tuning = model.trunk.tuning
        self.tuning.start(steps)
        self._norms: dict[str, float] = {}
        self.training_log = TrainingLog(weights, cfg.trainer.log_every_n_steps, steps)
        all_kept = cfg.init.run is not None or cfg.trainer.strategy not in ("auto", "ddp")
        self.frozen = FrozenWeights(model, kept=all_kept)
        self.evaluations = nn.ModuleDict(
            {stage: Evaluation(model.tasks, found) for stage, found in stores.items()}
        )
        self.results: dict[str, float] = {}
        """The latest validation and test metrics, by full name."""

    def configure_model(self) -> None:
        """Part the model among the ranks, where the strategy asks for it."""
        if isinstance(self.trainer.strategy, ModelParallelStrategy):
            assert self.device_mesh is not None
            if not is_sharded(self.model) and self.frozen.digest is not None:
                self.strict_loading = False  # What does not learn is not in checkpoints.
            shard(self.model, self.device_mesh["data_parallel"])

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return AdamW and its schedule; both are stepped by hand."""
        self.gradients.balancing.to(self.device)
        optimizer = build_optimizer(self.model, self.cfg, self.gradients.balancing)
        schedule = build_schedule(optimizer, self.cfg.schedule, self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule}}

    def on_save_checkpoint(self, checkpoint: State) -> None:
        """Keep what the tasks learned, the configuration and the latest results; plain data."""
        self.frozen.leave_out(checkpoint["state_dict"])
        self.judge()
        checkpoint["mtl"] = {
            **self.non_finite.state(),
            "frozen": self.frozen.digest,
            "data": self.digests,
            "config": hide_secrets(self.cfg.model_dump()),
            "tuning": self.tuning.state(),
            "tasks": {n: task.learned.model_dump() for n, task in self.model.tasks.items()},
            "results": dict(self.results),
            "running": self.training_log.state(self.trainer),
            "balancing": self.gradients.balancing.state(),
        }

    def on_load_checkpoint(self, checkpoint: State) -> None:
        """Take back the results; let a longer run go on where a shorter one ended."""
        found = checkpoint["mtl"]
        self.results.update(found["results"])
        self.non_finite.load_state(found)
        self.tuning.load_state(found.get("tuning", {}))
        self.training_log.load_state(found.get("running"))
        if kept := found.get("balancing"):
            self.gradients.balancing.load_state(kept)
        checkpoint["state_dict"] = self.frozen.put_back(checkpoint["state_dict"])
        continue_loops(checkpoint, self.steps)

    def on_train_start(self) -> None:
        """Start from the rates of this run's schedule, not of the shorter one that it continues."""
        schedule = self.lr_schedulers()
        assert isinstance(schedule, LambdaLR)
        set_rates(schedule)
        self.training_log.start(self.trainer)
        if self.model.teacher is not None:
            self.model.teacher.to(self.device)

    def training_step(self, step: Step, batch_idx: int) -> None:
        """Take one optimiser step over all of its micro-batches."""
        optimizer = self.optimizers(use_pl_optimizer=True)
        assert not isinstance(optimizer, list)
        optimizer.zero_grad(set_to_none=True)
        with self.pass_context():
            losses = self.gradients.make(step, logged=self.training_log.due(step.number + 1))
        self._drop_idle_heads(step)
        drop_zeros(self.model.trunk.part_time())
        self._update(step, optimizer, losses)
        number = step.number + 1
        due = self.training_log.due(number)
        if due or self.device.type == "cpu":
            self.judge()
        if due:
            more = {**self.non_finite.logs(), **self._norms}
            more |= {metric_name("train", "trunk", n): v for n, v in self.tuning.logs().items()}
            more["epoch"] = number / self.steps_per_epoch
            more |= self.gradients.logs()
            self.training_log.write(self.trainer, number, optimizer.optimizer, more)

    def _update(
        self, step: Step, optimizer: LightningOptimizer, losses: Mapping[str, Tensor]
    ) -> None:
        scaler = self.non_finite.scaler(self.trainer)
        if scaler is not None:  # Undone, so that the gradients' true norm is clipped.
            scaler.unscale_(optimizer.optimizer)
        self.tuning.before_update(step.number)
        learning = [p for p in self.model.parameters() if p.requires_grad]
        parted = gradient_norm(learning)
        norm = whole(parted)
        parts = norms_of_parts(self.model, norm)
        if self.training_log.due(step.number + 1):
            self._norms = self._norms_to_log()
        clip(learning, self.cfg.trainer.gradient_clip_val, parted)
        if scaler is None:  # which does the same for float16
            apply_only_finite(optimizer.optimizer, norm)
        if self.gradients.balancing.learns:
            whole_losses = self.gradients.of_all_ranks(losses, step)
            self.gradients.balancing.learn(whole_losses, norm.detach().isfinite())
        optimizer.step()
        self.tuning.after_update(step.number + 1, norm)
        schedule = self.lr_schedulers()
        assert isinstance(schedule, LambdaLR)
        schedule.step()
        self.training_log.add(step, losses, norm, parts)

    def _norms_to_log(self) -> dict[str, float]:
        """Return the norms of the trunk's gradient and of each head's, by full name."""
        modules = {"trunk": self.model.trunk, **dict(self.model.heads.items())}
        return {
            metric_name("train", name, "grad_norm"): float(whole(gradient_norm(m.parameters())))
            for name, m in modules.items()
            if any(p.grad is not None for p in m.parameters())
        }

    def _drop_idle_heads(self, step: Step) -> None:
        """Leave heads without rows on any rank as they are: no momentum, no decay.

        So are heads of tasks that teach nothing, and all else in a step that has no other task.
        """
        taught = step.denominators.keys() - self.gradients.silent
        if self.gradients.silent and not taught and self.model.teacher is None:
            self.zero_grad(set_to_none=True)
        busy = {self.model.tasks[name].head_name for name in taught}
        for name, head in self.model.heads.items():
            if name not in busy:
                for parameter in head.parameters():
                    parameter.grad = None

    def judge(self) -> None:
        """Find what was left out since the last look, and do what `trainer.non_finite` says.

        Raises:
            TrainingError: If that is to stop.
        """
        self.non_finite.judge(self.trainer, self.training_log.new())

    def pass_context(self) -> AbstractContextManager[None]:
        """Return what passes run in, forward and backward: the one place of cheap dropout."""
        return cheap_dropout(self.device)

    @property
    def training_logs(self) -> dict[str, float]:
        """The latest training metrics, by full name."""
        return self.training_log.latest

    @property
    def steps_per_epoch(self) -> int:
        """Steps in one pass over the mixture."""
        return int(self.trainer.datamodule.planner.steps_per_epoch)  # type: ignore[attr-defined]

    def evaluation(self, stage: str) -> Evaluation:
        """Return the running scores of ``val`` or ``test``."""
        found = self.evaluations[stage]
        assert isinstance(found, Evaluation)
        return found

    def validation_step(self, batch: MicroBatch | WriteBatch, batch_idx: int) -> None:
        """Count one pass."""
        self.evaluation("val").count(self.model, batch)

    def test_step(self, batch: MicroBatch | WriteBatch, batch_idx: int) -> None:
        """Count one pass."""
        self.evaluation("test").count(self.model, batch)

    def on_validation_start(self) -> None:
        """Stop the clock that training's speed is measured with."""
        self.judge()
        self.training_log.pause()

    def on_validation_end(self) -> None:
        """Let the clock run on; the checkpoint has been written by now."""
        self.training_log.go_on()

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation."""
        self._gather()
        self.evaluation("val").reset()
        self.evaluation("val").forget_tuning()

    def on_test_epoch_start(self) -> None:
        """Forget the last test."""
        self._gather()
        self.evaluation("test").reset()

    def _gather(self) -> None:
        """Hold the whole model: ranks evaluate, and write texts, in passes of their own."""
        if is_sharded(self.model):
            gather(self.model)

    def on_validation_epoch_end(self) -> None:
        """Compute every task's scores and the aggregate that drives checkpoints."""
        self._finish("val")

    def on_test_epoch_end(self) -> None:
        """Compute every task's scores on the test splits."""
        self._finish("test")

    def _check_logits(self, stage: str) -> None:
        """Object to logits that were not finite; after a test, whose weights are old, only say so.

        Raises:
            TrainingError: If that is to stop the run.
        """
        zero = torch.zeros((), dtype=torch.int64, device=self.device)
        counted = self.evaluation(stage).odd
        names = list(self.evaluation(stage).tasks)
        counts = total(self.trainer, torch.stack([zero + counted.get(name, 0) for name in names]))
        odd = {name: n for name, n in zip(names, counts.tolist(), strict=True) if n}
        if not odd:
            return
        named = " and ".join(f"{count:,} of task '{name}'" for name, count in odd.items())
        what = "validation" if stage == "val" else "test"
        sentence = f"{what} after step {self.global_step:,}: Expected finite logits, but {named}"
        sentence += " are not" if sum(odd.values()) > 1 else " is not"
        if stage == "val":
            self.non_finite.report(self.trainer, sentence, "its scores say little")
        elif self.trainer.is_global_zero:
            note(f"{sentence}.")

    def _finish(self, stage: str) -> None:
        evaluation = self.evaluation(stage)
        logs = {}
        if evaluation.tasks:
            self._check_logits(stage)
            if stage == "val":
                evaluation.tune()
            scores = evaluation.compute()
            for name, found in scores.items():
                logs.update({metric_name(stage, name, metric): v for metric, v in found.items()})
            whole_score = SCORE if stage == "val" else metric_name(stage, None, "score")
            logs[whole_score] = evaluation.score(scores, without=self.gradients.silent)
        self.results.update(logs)
        if (odd := odd_ones(logs)) and self.trainer.is_global_zero:
            note("; ".join(f"{name} is {value}" for name, value in odd.items()))
        if stage == "val":
            self.log_dict({k: torch.tensor(v) for k, v in logs.items()}, logger=False)
        log_metrics(self.trainer, logs, self.global_step)


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
