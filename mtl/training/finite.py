"""Losses and gradients that are not finite: found in every step, named, and never applied.

No process has to ask the others. A loss that is not finite makes its rank's gradient NaN, and the
sum of the ranks' gradients carries that to all of them: they see the same norm. What the optimiser
then leaves out, it leaves out on the device (`found_inf`, as for float16), so that nobody waits for
a GPU either; there the norms are read where training logs are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from mtl.training.optim import OptimizerSettings

STOP, SKIP = "stop", "skip"
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


def what_to_lower(settings: OptimizerSettings, precision: str, *, skips: bool = False) -> str:
    """Return what to do about it, with the settings' present values.

    Args:
        settings: Of the optimiser.
        precision: `trainer.precision`.
        skips: Whether such steps are left out already.
    """
    keys = {"trunk.lr": settings.trunk_lr, "head.lr": settings.head_lr}
    parts = [f"`{key}` ({value:g})" for key, value in keys.items() if value > 0]
    if settings.clip_norm is not None:
        parts.append(f"`trainer.gradient_clip_val` ({settings.clip_norm:g})")
    also = ", or choose trainer.precision=bf16-mixed" if precision == "16-mixed" else ""
    lower = f"lower {' or '.join(parts) or 'the learning rates'}{also}"
    if skips:
        return lower
    return f"{lower}, or go on without such steps: resume=RUN trainer.non_finite=skip"


def count_odd(logits: Tensor) -> Tensor:
    """Return () how many numbers are not finite."""
    found: Any = (~logits.detach().isfinite()).sum()
    return found
