"""The gradient of a step: its passes, each task's loss in them, and how these become one.

The balancing decides once a step (:mod:`mtl.training.balancing`); passes, and where tasks' own
gradients are kept apart also ranks, are added up here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from contextlib import AbstractContextManager

import lightning as L
import torch
from lightning.pytorch.strategies import ParallelStrategy
from torch import Tensor

from mtl.config.schema import Config
from mtl.metrics.names import metric_name
from mtl.training.allocator import giving_back_at_once
from mtl.training.balancing import Losses, Moment, build_balancing
from mtl.training.balancing.gradients import TaskGradients, combined, shared_parameters
from mtl.training.finite import spoil
from mtl.training.model import MultiTaskModel, seed_torch, touched
from mtl.training.ranks import total
from mtl.training.sharding import empty_pass, is_sharded, passes_of_all
from mtl.types import MicroBatch, Step


class StepGradients:
    """Makes gradients of steps.

    Args:
        module: Whose backward passes, ranks and device these are.
        model: What is trained.
        cfg: The run's configuration: balancing, seed.
    """

    def __init__(self, module: L.LightningModule, model: MultiTaskModel, cfg: Config) -> None:
        self.module = module
        self.model = model
        self.cfg = cfg
        self.silent = frozenset(cfg.fork.without)
        """Tasks whose losses are measured and teach nothing."""
        weights = {name: task.weight for name, task in model.tasks.items()}
        self.balancing = build_balancing(weights, cfg.balancing)
        self.by_task = self._compared()
        """Keeps tasks' gradients apart, where any step does."""
        self._conflict: dict[str, float] = {}
        self._held: Tensor = torch.zeros(())
        """This rank's part of the latest step's distance to a teacher."""

    def _compared(self) -> TaskGradients | None:
        """Return what keeps tasks' gradients apart, where any step does."""
        if not (self.balancing.by_task or self.cfg.balancing.conflict):
            return None
        shared = shared_parameters(self.model.trunk, self.cfg.balancing)
        of_shared = set(shared)
        learning = [p for p in self.model.parameters() if p.requires_grad]
        others = [p for p in learning if p not in of_shared]
        lengths = self.balancing.by_length and not self.cfg.balancing.conflict
        return TaskGradients(shared, others, lambda: self.module.trainer, lengths=lengths)

    def make(self, step: Step, *, logged: bool) -> dict[str, Tensor]:
        """Make a step's gradient; returns this rank's part of each loss.

        Args:
            step: The step.
            logged: Whether training is logged after it.
        """
        in_parts = any(micro_batch.rows is not None for micro_batch in step.micro_batches)
        with giving_back_at_once() if in_parts else contextlib.nullcontext():
            return self._add_up_by_task(step, logged) if step.by_task else self._add_up(step)

    def logs(self) -> dict[str, float]:
        """Return what training logs of the latest step, by full name; all ranks must ask."""
        found = {**self._conflict, **self.balancing.logs()}
        if self.model.teacher is not None:
            held = total(self.module.trainer, self._held)
            found[metric_name("train", None, "distill_loss")] = float(held)
        return found

    def _add_up(self, step: Step) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = {}
        self._held = torch.zeros((), device=self.module.device)
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
                self.module.manual_backward(self.whole_loss(parts, more))
        if last < 0 or (self._reduces and passes[last].rows is not None):
            self.module.manual_backward(self._nothing())
        return losses

    def _add_up_by_task(self, step: Step, logged: bool) -> dict[str, Tensor]:
        """Make one gradient of the tasks' own, of passes of one task each; returns the losses."""
        gradients = self.by_task
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
            loss = self.balancing(self._teaching(parts))
            loss = loss if more is None else loss + more
            loss = spoil(loss * self.module.trainer.world_size)
            with self.without_sync(), gradients.of(next(iter(parts))):
                self.module.manual_backward(loss)
        assert moment is not None
        if not passes:
            gradients.begin(moment.present)
        gradients.reduce()
        if self.cfg.balancing.conflict and logged:
            self._conflict = gradients.conflict()
        gradients.put(combined(self.balancing, gradients, moment))
        return losses

    def _passes(self, step: Step) -> list[MicroBatch]:
        """Return the step's passes; as many on each rank, where they exchange parameters."""
        passes = step.micro_batches
        if is_sharded(self.model):
            more = passes_of_all(len(passes), self.module.device) - len(passes)
            return [*passes, *(empty_pass(self.module.device) for _ in range(more))]
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
            known = self.of_all_ranks(losses, step)
        present = [name for name in self.balancing.tasks if name in step.denominators]
        if self.balancing.by_task:
            present = [name for name in present if name not in self.silent]
        moment = Moment(step.number, self.cfg.seed, present, known)
        self.balancing.begin(moment)
        return moment

    def of_all_ranks(self, losses: Losses, step: Step) -> Losses:
        """Return the whole step's losses of the tasks that are balanced; all ranks must ask."""
        names = [name for name in self.balancing.tasks if name in step.denominators]
        if not names:
            return {}
        zero = torch.zeros((), device=self.module.device)
        own = torch.stack([losses[n].detach().float() if n in losses else zero for n in names])
        return dict(zip(names, total(self.module.trainer, own).unbind(), strict=True))

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
            loss_of_pass = loss_of_pass + self.balancing(self._teaching(parts))
        # DDP averages gradients over ranks; the denominators already count all of them.
        return spoil(loss_of_pass * self.module.trainer.world_size)

    def _teaching(self, parts: Losses) -> Losses:
        """Return losses of which those of silent tasks have the value, and gradients of zero."""
        return {n: p.detach() + 0.0 * p if n in self.silent else p for n, p in parts.items()}

    def _nothing(self) -> Tensor:
        """Return an exact zero; where ranks reduce gradients it touches every learning parameter.

        So all ranks reduce the same ones, whichever tasks their own rows have.
        """
        zero = torch.zeros((), device=self.module.device)
        return touched(self.model.parameters(), zero) if self._reduces else zero

    @property
    def _reduces(self) -> bool:
        """Whether ranks reduce gradients."""
        return isinstance(self.module.trainer.strategy, ParallelStrategy)

    def _seed(self, step: int, micro_batch: int) -> None:
        seed_torch(self.cfg.seed, "dropout", step, micro_batch, self.module.global_rank)

    def without_sync(self) -> AbstractContextManager[None]:
        """Return a context in which ranks do not exchange gradients."""
        strategy = self.module.trainer.strategy
        if isinstance(strategy, ParallelStrategy):
            return strategy.block_backward_sync()
        return contextlib.nullcontext()


def add(losses: dict[str, Tensor], parts: Losses) -> None:
    """Add the losses of a pass to those of the passes before."""
    for name, part in parts.items():
        losses[name] = losses.get(name, 0.0) + part.detach()
