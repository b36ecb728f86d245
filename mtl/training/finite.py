"""Losses and gradients that are not finite: found in every step, named, and never applied.

No process has to ask the others. A loss that is not finite makes its rank's gradient NaN, and the
sum of the ranks' gradients carries that to all of them: they see the same norm. What the optimiser
then leaves out, it leaves out on the device (`found_inf`, as for float16), so that nobody waits for
a GPU either; there the norms are read where training logs are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NoReturn

import lightning as L
import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim import Optimizer

from mtl.config.schema import Config
from mtl.errors import TrainingError
from mtl.metrics.names import metric_name
from mtl.reporting.console import note
from mtl.training.checkpoint import State
from mtl.training.model import MultiTaskModel
from mtl.training.optim import gradient_norm
from mtl.training.ranks import total
from mtl.training.sharding import whole
from mtl.training.training_log import Taken

SKIP = "skip"
IN_A_ROW = 20
"""So many steps left out one after the other end a run: it learns nothing any more."""


def spoil(loss: Tensor) -> Tensor:
    """Return a loss whose gradient is NaN everywhere if it is not finite, else the loss itself."""
    finite = loss.detach().isfinite()
    return loss * torch.where(finite, 1.0, math.nan).to(loss.dtype)


def apply_only_finite(optimizer: Optimizer, norm: Tensor) -> None:
    """Let a fused optimiser leave everything as it is where the gradient's norm is not finite."""
    optimizer.found_inf = (~norm.detach().isfinite()).float()  # type: ignore[attr-defined]


def odd_ones(values: Mapping[str, float]) -> dict[str, float]:
    """Return those that are not finite."""
    return {name: value for name, value in values.items() if not math.isfinite(value)}


def step_sentence(
    step: int, losses: Mapping[str, float], norm: float, parts: Mapping[str, float]
) -> str:
    """Return what is wrong with a step.

    A head's gradient is of its own tasks' losses alone, so the heads tell the tasks apart.

    Args:
        step: Counted from 1.
        losses: Of each task, over all ranks.
        norm: Of the gradient.
        parts: The norm of each part of it: the first is the trunk's, the others are heads'.
    """
    odd = odd_ones(losses)
    if not odd:
        trunk, *heads = parts or [""]
        found = [name for name in heads if name in odd_ones(parts)] or [trunk]
        where = f" in {' and '.join(found)}" if trunk else ""
        return f"step {step:,}: Expected a finite gradient, but its norm is {norm}{where}"
    named = " and ".join(f"that of task '{name}' is {value}" for name, value in odd.items())
    return f"step {step:,}: Expected finite losses, but {named}"


def _advice(cfg: Config, precision: str) -> str:
    keys = {"trunk.lr": cfg.trunk.lr, "head.lr": cfg.head.lr}
    parts = [f"`{key}` ({value:g})" for key, value in keys.items() if value > 0]
    if (largest := cfg.trainer.gradient_clip_val) is not None:
        parts.append(f"`trainer.gradient_clip_val` ({largest:g})")
    also = ", or choose trainer.precision=bf16-mixed" if precision == "16-mixed" else ""
    lower = f"lower {' or '.join(parts) or 'the learning rates'}{also}"
    if cfg.trainer.non_finite == SKIP:
        return lower
    return f"{lower}, or go on without such steps: resume=RUN trainer.non_finite=skip"


def norms_of_parts(model: MultiTaskModel, norm: Tensor) -> dict[str, Tensor]:
    """Return the norms of the gradient's parts, unless it is known by now to be finite."""
    if norm.device.type == "cpu" and norm.isfinite():
        return {}
    users: dict[str, list[str]] = {}
    for name, task in model.tasks.items():
        users.setdefault(task.head_name, []).append(f"'{name}'")
    modules: dict[str, nn.Module] = {"the trunk": model.trunk}
    for head, tasks in users.items():
        of = f"task{'s' if len(tasks) > 1 else ''} {' and '.join(tasks)}"
        modules[f"the head of {of}"] = model.heads[head]
    return {name: whole(gradient_norm(module.parameters())) for name, module in modules.items()}


class NonFinite:
    """Does what `trainer.non_finite` says about numbers that are not finite, and counts.

    Args:
        cfg: The run's configuration.
        tasks: In the order of the losses.
    """

    def __init__(self, cfg: Config, tasks: Sequence[str]) -> None:
        self.cfg = cfg
        self.tasks = list(tasks)
        self.skips = cfg.trainer.non_finite == SKIP
        self.skipped = 0
        """Steps that were left out."""
        self.in_a_row = 0
        """How many of them since the last step that was taken."""

    @staticmethod
    def scaler(trainer: L.Trainer) -> GradScaler | None:
        """Return what scales float16 losses; None in other precisions."""
        return getattr(trainer.precision_plugin, "scaler", None)

    def judge(self, trainer: L.Trainer, new: Sequence[Taken]) -> None:
        """Count which of some steps were left out, and do what is to be done about it.

        Raises:
            TrainingError: If that is to stop.
        """
        norms = torch.stack([taken.norm for taken in new]).tolist() if new else []
        for taken, norm in zip(new, norms, strict=True):
            self.in_a_row = 0 if math.isfinite(norm) else self.in_a_row + 1
            if self.in_a_row:
                self._left_out(trainer, taken, norm)

    def _left_out(self, trainer: L.Trainer, taken: Taken, norm: float) -> None:
        self.skipped += 1
        losses = dict(zip(self.tasks, total(trainer, taken.losses).tolist(), strict=True))
        parts = {name: float(value) for name, value in taken.parts.items()}
        sentence = step_sentence(taken.number, losses, norm, parts)
        if self.in_a_row >= IN_A_ROW:
            before = f"the {self.in_a_row - 1} steps before were no better"
            self._stop(trainer, f"{sentence}, and {before}")
        if self.scaler(trainer) is not None and not odd_ones(losses):
            return  # float16's way to find the scale that fits.
        self.report(trainer, sentence, f"step {taken.number:,} left out")

    def report(self, trainer: L.Trainer, sentence: str, consequence: str) -> None:
        """Stop because of something that is not finite, or go on and say so.

        Raises:
            TrainingError: If it is to stop.
        """
        if not self.skips:
            self._stop(trainer, sentence)
        if trainer.is_global_zero:
            note(f"{sentence}: {consequence} (trainer.non_finite=skip)")

    def _stop(self, trainer: L.Trainer, sentence: str) -> NoReturn:
        advice = _advice(self.cfg, str(trainer.precision))
        sentence = sentence[0].upper() + sentence[1:]
        raise TrainingError(f"{sentence}; {advice}. The checkpoints are as they were.")

    def logs(self) -> dict[str, float]:
        """Return what training logs of it."""
        if not self.skipped and not self.skips:
            return {}
        return {metric_name("train", None, "skipped_steps"): float(self.skipped)}

    def state(self) -> dict[str, int]:
        """Return the counts as plain data."""
        return {"skipped": self.skipped, "in_a_row": self.in_a_row}

    def load_state(self, state: State) -> None:
        """Take back what :meth:`state` returned."""
        self.skipped = state.get("skipped", 0)
        self.in_a_row = state.get("in_a_row", 0)
