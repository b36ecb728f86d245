"""The LightningModule: one Lightning batch is one optimiser step.

Loss of a step: for each task, the sum over all micro-batches and ranks divided by the task's
number of targets in the whole step, times its weight; summed over tasks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

import lightning as L
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import ModelParallelStrategy, ParallelStrategy
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from mtl.config.schema import Config
from mtl.data.store import ExampleStore
from mtl.metrics.names import SCORE, metric_name
from mtl.reporting.console import note
from mtl.secrets import hide_secrets
from mtl.training.balancing import Losses, Moment, build_balancing
from mtl.training.balancing.gradients import TaskGradients, combined, shared_parameters
from mtl.training.checkpoint import State
from mtl.training.contents import FrozenWeights, continue_loops
from mtl.training.dropout import cheap_dropout
from mtl.training.evaluation import Evaluation
from mtl.training.finite import (
    NonFinite,
    apply_only_finite,
    norms_of_parts,
    odd_ones,
    spoil,
)
from mtl.training.model import MultiTaskModel, seed_torch, touched
from mtl.training.optim import build_optimizer, build_schedule, clip, gradient_norm, set_rates
from mtl.training.ranks import total
from mtl.training.sharding import empty_pass, gather, is_sharded, passes_of_all, shard, whole
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
        self.balancing = build_balancing(weights, cfg.balancing)
        self.tuning = model.trunk.tuning
        self.tuning.start(steps)
        self.task_gradients = self._compared()
        self._norms: dict[str, float] = {}
        self._conflict: dict[str, float] = {}
        self._held: Tensor = torch.zeros(())
        """This rank's part of the latest step's distance to a teacher."""
        self.training_log = TrainingLog(weights, cfg.trainer.log_every_n_steps, steps)
        all_kept = cfg.init.run is not None or cfg.trainer.strategy not in ("auto", "ddp")
        self.frozen = FrozenWeights(model, kept=all_kept)
        self.evaluations = nn.ModuleDict(
            {stage: Evaluation(model.tasks, found) for stage, found in stores.items()}
        )
        self.results: dict[str, float] = {}
        """The latest validation and test metrics, by full name."""

    def _compared(self) -> TaskGradients | None:
        """Return what keeps tasks' gradients apart, where any step does."""
        if not (self.balancing.by_task or self.cfg.balancing.conflict):
            return None
        shared = shared_parameters(self.model.trunk, self.cfg.balancing)
        of_shared = set(shared)
        learning = [p for p in self.model.parameters() if p.requires_grad]
        return TaskGradients(shared, [p for p in learning if p not in of_shared])

    def configure_model(self) -> None:
        """Part the model among the ranks, where the strategy asks for it."""
        if isinstance(self.trainer.strategy, ModelParallelStrategy):
            assert self.device_mesh is not None
            if not is_sharded(self.model) and self.frozen.digest is not None:
                self.strict_loading = False  # What does not learn is not in checkpoints.
            shard(self.model, self.device_mesh["data_parallel"])

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return AdamW and its schedule; both are stepped by hand."""
        self.balancing.to(self.device)
        optimizer = build_optimizer(self.model, self.cfg, self.balancing)
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
            "balancing": self.balancing.state(),
        }

    def on_load_checkpoint(self, checkpoint: State) -> None:
        """Take back the results; let a longer run go on where a shorter one ended."""
        found = checkpoint["mtl"]
        self.results.update(found["results"])
        self.non_finite.load_state(found)
        self.tuning.load_state(found.get("tuning", {}))
        self.training_log.load_state(found.get("running"))
        if kept := found.get("balancing"):
            self.balancing.load_state(kept)
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
            losses = self._add_up_by_task(step) if step.by_task else self._add_up(step)
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
            more |= {**self._conflict, **self.balancing.logs()}
            if self.model.teacher is not None:
                more[metric_name("train", None, "distill_loss")] = float(
                    total(self.trainer, self._held)
                )
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
        if self.balancing.learns:
            self.balancing.learn(self._of_all_ranks(losses, step), norm.detach().isfinite())
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

    def _add_up(self, step: Step) -> dict[str, Tensor]:
        """Add up the gradients of the step's passes; returns this rank's part of each loss."""
        losses: dict[str, Tensor] = {}
        self._held = torch.zeros((), device=self.device)
        passes = self._passes(step)
        last = len(passes) - 1
        if last < 0:
            self._balance(step, {}, [])
        for number, micro_batch in enumerate(passes):
            self._seed(step.number, number)
            parts, more = self.pass_losses(micro_batch, step)
            if number == 0:
                self._balance(step, parts, passes[1:])
            add(losses, parts)
            if more is not None and self.model.teacher is not None:
                self._held = more.detach() + self._held
            apart = micro_batch.rows is not None
            with contextlib.nullcontext() if number == last and not apart else self.without_sync():
                self.manual_backward(self.whole_loss(parts, more))
        if last < 0 or (self._reduces and passes[last].rows is not None):
            self.manual_backward(self._nothing())
        return losses

    def _add_up_by_task(self, step: Step) -> dict[str, Tensor]:
        """Make one gradient of the tasks' own, of passes of one task each; returns the losses."""
        gradients = self.task_gradients
        assert gradients is not None
        losses: dict[str, Tensor] = {}
        passes = step.micro_batches
        moment = None if passes else self._balance(step, {}, [])
        for number, micro_batch in enumerate(passes):
            self._seed(step.number, number)
            parts, more = self.pass_losses(micro_batch, step)
            if number == 0:
                moment = self._balance(step, parts, passes[1:])
                gradients.begin(moment.present)
            add(losses, parts)
            loss = self.balancing(parts) if more is None else self.balancing(parts) + more
            loss = spoil(loss * self.trainer.world_size)
            with self.without_sync(), gradients.of(next(iter(parts))):
                self.manual_backward(loss)
        assert moment is not None
        if not passes:
            gradients.begin(moment.present)
        gradients.reduce(self.trainer)
        if self.cfg.balancing.conflict and self.training_log.due(step.number + 1):
            self._conflict = gradients.conflict()
        gradients.put(combined(self.balancing, gradients.rows, moment))
        return losses

    def _passes(self, step: Step) -> list[MicroBatch]:
        """Return the step's passes; as many on each rank, where they exchange parameters."""
        passes = step.micro_batches
        if is_sharded(self.model):
            more = passes_of_all(len(passes), self.device) - len(passes)
            return [*passes, *(empty_pass(self.device) for _ in range(more))]
        return passes

    def _balance(self, step: Step, first: Losses, others: Sequence[MicroBatch]) -> Moment:
        """Weigh the tasks of a step, before its first backward pass; all ranks must.

        Args:
            step: The step.
            first: The losses of this rank's first pass.
            others: Its further passes.
        """
        known: Losses = {}
        if self.balancing.reads_losses:
            losses: dict[str, Tensor] = {}
            add(losses, first)
            with torch.no_grad():
                for number, micro_batch in enumerate(others, start=1):
                    self._seed(step.number, number)
                    add(losses, self.pass_losses(micro_batch, step)[0])
            known = self._of_all_ranks(losses, step)
        present = [name for name in self.balancing.tasks if name in step.denominators]
        moment = Moment(step.number, self.cfg.seed, present, known)
        self.balancing.begin(moment)
        return moment

    def _of_all_ranks(self, losses: Losses, step: Step) -> Losses:
        """Return the whole step's losses of the tasks that are balanced; all ranks must ask."""
        names = [name for name in self.balancing.tasks if name in step.denominators]
        if not names:
            return {}
        zero = torch.zeros((), device=self.device)
        own = torch.stack([losses[n].detach().float() if n in losses else zero for n in names])
        return dict(zip(names, total(self.trainer, own).unbind(), strict=True))

    def pass_loss(self, micro_batch: MicroBatch, step: Step) -> Tensor:
        """Return this pass's part of the step's loss."""
        return self.whole_loss(*self.pass_losses(micro_batch, step))

    def pass_losses(
        self, micro_batch: MicroBatch, step: Step
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        """Return this pass's part of each task's loss, and what the whole loss has beside them.

        That is a zero that all parameters are in, or the part of what holds other runs' tasks.
        """
        logits, more, held = self.model.training_pass(micro_batch)
        parts = {
            name: self.model.head(name).loss(
                found, micro_batch.heads[name].given, step.denominators[name]
            )
            for name, found in logits.items()
        }
        if held is not None:
            more = self._nothing() + held / step.examples
        return parts, more

    def whole_loss(self, parts: Losses, more: Tensor | None) -> Tensor:
        """Return what the backward pass of a pass starts from; every head takes part in it."""
        loss_of_pass = self._nothing() if more is None else more
        if parts:
            loss_of_pass = loss_of_pass + self.balancing(parts)
        # DDP averages gradients over ranks; the denominators already count all of them.
        return spoil(loss_of_pass * self.trainer.world_size)

    def _nothing(self) -> Tensor:
        """Return an exact zero; where ranks reduce gradients it touches every learning parameter.

        So all ranks reduce the same ones, whichever tasks their own rows have.
        """
        zero = torch.zeros((), device=self.device)
        return touched(self.model.parameters(), zero) if self._reduces else zero

    @property
    def _reduces(self) -> bool:
        """Whether ranks reduce gradients."""
        return isinstance(self.trainer.strategy, ParallelStrategy)

    def _drop_idle_heads(self, step: Step) -> None:
        """Leave heads without rows on any rank as they are: no momentum, no decay."""
        busy = {self.model.tasks[name].head_name for name in step.denominators}
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

    def _seed(self, step: int, micro_batch: int) -> None:
        seed_torch(self.cfg.seed, "dropout", step, micro_batch, self.global_rank)

    def pass_context(self) -> AbstractContextManager[None]:
        """Return what passes run in, forward and backward: the one place of cheap dropout."""
        return cheap_dropout(self.device)

    def without_sync(self) -> AbstractContextManager[None]:
        """Return a context in which ranks do not exchange gradients."""
        strategy = self.trainer.strategy
        if isinstance(strategy, ParallelStrategy):
            return strategy.block_backward_sync()
        return contextlib.nullcontext()

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
            logs[whole_score] = evaluation.score(scores)
        self.results.update(logs)
        if (odd := odd_ones(logs)) and self.trainer.is_global_zero:
            note("; ".join(f"{name} is {value}" for name, value in odd.items()))
        if stage == "val":
            self.log_dict({k: torch.tensor(v) for k, v in logs.items()}, logger=False)
        log_metrics(self.trainer, logs, self.global_step)


def add(losses: dict[str, Tensor], parts: Losses) -> None:
    """Add the losses of a pass to those of the passes before."""
    for name, part in parts.items():
        losses[name] = losses.get(name, 0.0) + part.detach()


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
