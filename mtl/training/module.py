"""The LightningModule: one Lightning batch is one optimiser step.

Loss of a step: for each task, the sum over all micro-batches and ranks divided by the task's
number of targets in the whole step, times its weight; summed over tasks.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any, NoReturn

import lightning as L
import torch
from lightning.pytorch.strategies import ModelParallelStrategy, ParallelStrategy
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from mtl.data.plan import generator
from mtl.data.store import ExampleStore
from mtl.errors import TrainingError
from mtl.metrics.names import SCORE, metric_name
from mtl.reporting.console import note
from mtl.training.dropout import cheap_dropout
from mtl.training.evaluation import Evaluation
from mtl.training.finite import (
    IN_A_ROW,
    SKIP,
    STOP,
    apply_only_finite,
    odd_ones,
    spoil,
    step_sentence,
    what_to_lower,
)
from mtl.training.model import TOUCHED, MultiTaskModel
from mtl.training.optim import (
    OptimizerSettings,
    build_optimizer,
    build_schedule,
    clip,
    gradient_norm,
    set_rates,
)
from mtl.training.resumed import PREFIX, reopen, repeat_validation
from mtl.training.running import Running, Taken
from mtl.training.sharding import empty_pass, gather, is_sharded, passes_of_all, shard, whole
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
        non_finite: What to do about a loss or gradient that is not finite: ``stop``, or ``skip``
            the step and count it.
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
        non_finite: str = STOP,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.settings = settings
        self.steps = steps
        self.seed = seed
        self.log_every = log_every
        self.whole = whole
        self.non_finite = non_finite
        self.skipped = 0
        """Steps that were left out because a loss or the gradient was not finite."""
        self.in_a_row = 0
        """How many of them since the last step that was taken."""
        self.evaluations = nn.ModuleDict(
            {stage: Evaluation(model.tasks, found) for stage, found in stores.items()}
        )
        self.results: dict[str, float] = {}
        """The latest validation and test metrics, by full name."""
        self.training_logs: dict[str, float] = {}
        """The latest training metrics, by full name."""
        self.plain_config: dict[str, Any] = {}
        """The resolved configuration, kept in every checkpoint."""
        self._running = Running(list(model.tasks))
        self._kept: Mapping[str, Any] | None = None
        """What the run that this one continues had summed up since its last training log."""

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
        self._judge()
        checkpoint["mtl"] = {
            "skipped": self.skipped,
            "in_a_row": self.in_a_row,
            "frozen": self._frozen_digest if frozen else None,
            "config": self.plain_config,
            "tasks": {n: task.learned.model_dump() for n, task in self.model.tasks.items()},
            "results": dict(self.results),
            "running": self._running.state(self._gathered),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take back the results; let a longer run go on where a shorter one ended."""
        self.results.update(checkpoint["mtl"]["results"])
        self._kept = checkpoint["mtl"].get("running")
        self.skipped = checkpoint["mtl"].get("skipped", 0)
        self.in_a_row = checkpoint["mtl"].get("in_a_row", 0)
        checkpoint["state_dict"] = self.completed(checkpoint["state_dict"])
        if any(state.get("unfinished") for state in checkpoint["callbacks"].values()):
            repeat_validation(checkpoint["loops"]["fit_loop"])
        if checkpoint["global_step"] < self.steps:
            reopen(checkpoint["loops"]["fit_loop"], checkpoint["global_step"])

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
        self._running = Running(list(self.model.tasks))
        if self._kept is not None:
            self._running.load(self._kept, self.global_rank, self.trainer.world_size, self.device)

    def training_step(self, step: Step, batch_idx: int) -> None:
        """Take one optimiser step over all of its micro-batches."""
        del batch_idx
        optimizer = self.optimizers(use_pl_optimizer=True)
        assert not isinstance(optimizer, list)
        optimizer.zero_grad(set_to_none=True)
        with cheap_dropout(self.device):
            losses = self._add_up(step)
        self._drop_idle_heads(step)
        drop_zeros(self.model.trunk.part_time())
        self._unscale(optimizer)
        learning = [p for p in self.model.parameters() if p.requires_grad]
        parted = gradient_norm(learning)
        norm = whole(parted)
        parts = self._norms_of_parts(norm)
        clip(learning, self.settings.clip_norm, parted)
        if self._scaler is None:  # which does the same for float16
            apply_only_finite(optimizer.optimizer, norm)
        optimizer.step()
        schedule = self.lr_schedulers()
        assert schedule is not None
        assert not isinstance(schedule, list)
        schedule.step()
        self._running.add(step, losses, norm, parts)
        due = (step.number + 1) % self.log_every == 0 or step.number + 1 == self.steps
        if due or self.device.type == "cpu":
            self._judge()
        if due:
            self._log_training(step.number + 1, optimizer)

    def _add_up(self, step: Step) -> dict[str, Tensor]:
        """Add up the gradients of the step's passes; returns this rank's part of each loss."""
        losses: dict[str, Tensor] = {}
        passes = self._passes(step)
        last = len(passes) - 1
        for number, micro_batch in enumerate(passes):
            self._seed(step.number, number)
            with contextlib.nullcontext() if number == last else self._no_sync():
                self.manual_backward(self._loss(micro_batch, step, losses))
        if last < 0:
            self.manual_backward(self._nothing())
        return losses

    def _passes(self, step: Step) -> list[MicroBatch]:
        """Return the step's passes; as many on each rank, where they exchange parameters."""
        passes = step.micro_batches
        if is_sharded(self.model):
            more = passes_of_all(len(passes), self.device) - len(passes)
            return [*passes, *(empty_pass(self.device) for _ in range(more))]
        return passes

    def _loss(self, micro_batch: MicroBatch, step: Step, losses: dict[str, Tensor]) -> Tensor:
        """Return this pass's part of the step's loss; every head takes part, if only with zero.

        Each task's part is added to `losses`.
        """
        logits = self.model(micro_batch)
        touched = logits.pop(TOUCHED, None)
        total = self._nothing() if touched is None else touched
        for name, found in logits.items():
            part = micro_batch.heads[name]
            loss = self.model.head(name).loss(found, part.given, step.denominators[name])
            total = total + self.model.tasks[name].weight * loss
            losses[name] = losses.get(name, 0.0) + loss.detach()
        # DDP averages gradients over ranks; the denominators already count all of them.
        return spoil(total * self.trainer.world_size)

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

    def _norms_of_parts(self, norm: Tensor) -> dict[str, Tensor]:
        """Return the norms of the gradient's parts, unless it is known by now to be finite."""
        if norm.device.type == "cpu" and norm.isfinite():
            return {}
        users: dict[str, list[str]] = {}
        for name, task in self.model.tasks.items():
            users.setdefault(task.head_name, []).append(f"'{name}'")
        modules: dict[str, nn.Module] = {"the trunk": self.model.trunk}
        for head, tasks in users.items():
            of = f"task{'s' if len(tasks) > 1 else ''} {' and '.join(tasks)}"
            modules[f"the head of {of}"] = self.model.heads[head]
        return {name: whole(gradient_norm(module.parameters())) for name, module in modules.items()}

    def _unscale(self, optimizer: Any) -> None:
        """Undo the scale of float16 losses, so that the gradients' true norm is clipped."""
        if self._scaler is not None:
            self._scaler.unscale_(optimizer.optimizer)

    @property
    def _scaler(self) -> Any:
        return getattr(self.trainer.precision_plugin, "scaler", None)

    def _judge(self) -> None:
        """Find what was left out since the last look, and do what `non_finite` says.

        Raises:
            TrainingError: If that is to stop.
        """
        new = self._running.new()
        norms = torch.stack([taken.norm for taken in new]).tolist() if new else []
        for taken, norm in zip(new, norms, strict=True):
            self.in_a_row = 0 if math.isfinite(norm) else self.in_a_row + 1
            if self.in_a_row:
                self._left_out(taken, norm)

    def _left_out(self, taken: Taken, norm: float) -> None:
        self.skipped += 1
        losses = dict(zip(self.model.tasks, self._total(taken.losses).tolist(), strict=True))
        parts = {name: float(value) for name, value in taken.parts.items()}
        sentence = step_sentence(taken.number, losses, norm, parts)
        if self.in_a_row >= IN_A_ROW:
            self._stop(f"{sentence}, and the {self.in_a_row - 1} steps before were no better")
        if self._scaler is not None and not odd_ones(losses):
            return  # float16's way to find the scale that fits.
        self._object(sentence, f"step {taken.number:,} left out")

    def _object(self, sentence: str, consequence: str) -> None:
        """Stop because of something that is not finite, or go on and say so."""
        if self.non_finite == STOP:
            self._stop(sentence)
        if self.trainer.is_global_zero:
            note(f"{sentence}: {consequence} (trainer.non_finite=skip)")

    def _stop(self, sentence: str) -> NoReturn:
        skips = self.non_finite == SKIP
        advice = what_to_lower(self.settings, str(self.trainer.precision), skips=skips)
        sentence = sentence[0].upper() + sentence[1:]
        raise TrainingError(f"{sentence}; {advice}. The checkpoints are as they were.")

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
        losses = found.losses(self._total)
        tokens, shares = self._read(found)
        logs = {metric_name("train", name, "loss"): loss for name, loss in losses.items()}
        weighted = [self.model.tasks[name].weight * loss for name, loss in losses.items()]
        logs[metric_name("train", None, "loss")] = sum(weighted)
        logs[metric_name("train", None, "grad_norm")] = float(found.steps[-1].norm)
        logs[metric_name("train", None, "tokens_per_second")] = tokens / found.seconds
        logs[metric_name("train", None, "examples_per_second")] = found.examples / found.seconds
        for name, share in shares.items():
            logs[metric_name("train", name, "share")] = share
        if self.skipped or self.non_finite == SKIP:
            logs[metric_name("train", None, "skipped_steps")] = float(self.skipped)
        for group in optimizer.param_groups:
            logs[metric_name("train", group["name"], "lr")] = group["lr"]
        logs["epoch"] = number / self.steps_per_epoch
        self.training_logs = logs
        self._write(logs, number)

    def _total(self, value: Tensor) -> Tensor:
        """Return the sum over all ranks."""
        total: Tensor = self.trainer.strategy.reduce(value, reduce_op="sum")
        return total

    def _gathered(self, value: Tensor) -> Tensor:
        """Return the values of all ranks, (ranks, ...)."""
        found = self.trainer.strategy.all_gather(value.to(self.device))
        return found.reshape(self.trainer.world_size, *value.shape)

    def _read(self, found: Running) -> tuple[float, dict[str, float]]:
        """Return the tokens, and each task's share of the examples, that all ranks read."""
        names = found.names
        counts = [found.tokens, *(found.read.get(name, 0) for name in names)]
        local = torch.tensor(counts, dtype=torch.float32, device=self.device)
        tokens, *examples = self.trainer.strategy.reduce(local, reduce_op="sum").tolist()
        everything = max(1.0, sum(examples))
        pairs = zip(names, examples, strict=True)
        return tokens, {name: count / everything for name, count in pairs if count}

    @property
    def steps_per_epoch(self) -> int:
        """Steps in one pass over the mixture."""
        return int(self.trainer.datamodule.planner.steps_per_epoch)  # type: ignore[attr-defined]

    def _write(self, logs: Mapping[str, float], step: int) -> None:
        for logger in self.trainer.loggers:
            logger.log_metrics(dict(logs), step=step)

    def evaluation(self, stage: str) -> Evaluation:
        """Return the running scores of ``val`` or ``test``."""
        found = self.evaluations[stage]
        assert isinstance(found, Evaluation)
        return found

    def validation_step(self, batch: MicroBatch | WriteBatch, batch_idx: int) -> None:
        """Count one pass."""
        del batch_idx
        self.evaluation("val").count(self.model, batch)

    def test_step(self, batch: MicroBatch | WriteBatch, batch_idx: int) -> None:
        """Count one pass."""
        del batch_idx
        self.evaluation("test").count(self.model, batch)

    def on_validation_start(self) -> None:
        """Stop the clock that training's speed is measured with."""
        self._judge()
        self._running.pause()

    def on_validation_end(self) -> None:
        """Let the clock run on; the checkpoint has been written by now."""
        self._running.go_on()

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation."""
        self._gather()
        self.evaluation("val").reset()

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
        counts = self._total(torch.stack([zero + counted.get(name, 0) for name in names]))
        odd = {name: n for name, n in zip(names, counts.tolist(), strict=True) if n}
        if not odd or self.trainer.sanity_checking:
            return
        named = " and ".join(f"{count:,} of task '{name}'" for name, count in odd.items())
        what = "validation" if stage == "val" else "test"
        sentence = f"{what} after step {self.global_step:,}: Expected finite logits, but {named}"
        sentence += " are not" if sum(odd.values()) > 1 else " is not"
        if stage == "val":
            self._object(sentence, "its scores say little")
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
