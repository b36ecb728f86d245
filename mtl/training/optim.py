"""AdamW with its parameter groups, and the learning rate over the run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from mtl.config.schema import Config, ScheduleConfig
from mtl.registry import Registry
from mtl.training.balancing import Balancing
from mtl.training.model import MultiTaskModel
from mtl.trunk import Trunk
from mtl.trunk.tuning import depths


def parameter_groups(model: MultiTaskModel, cfg: Config) -> list[dict[str, object]]:
    """Return AdamW's groups: trunk and heads, each with and without decay.

    Biases and normalisation weights (one dimension or none) do not decay, nor do factors of IA3,
    which begin at one. Where `tuning.layer_decay` says so, each layer of the trunk has a rate of
    its own (Howard and Ruder 2018, section 3.1); of groups called ``trunk`` the last is the
    fastest.
    """
    groups: list[dict[str, object]] = []
    decay = cfg.tuning.layer_decay
    depth = layer_depths(model.trunk) if decay < 1 else {}
    parts = (("trunk", model.trunk, cfg.trunk.lr), ("heads", model.heads, cfg.head.lr))
    for name, module, lr in parts:
        found: dict[tuple[int, bool], list[nn.Parameter]] = {}
        for own, p in module.named_parameters():
            if p.requires_grad:
                decays = p.ndim > 1 and ".ia3_l." not in own
                found.setdefault((-depth.get(id(p), 0), not decays), []).append(p)
        for (below, still), chosen in sorted(found.items(), key=lambda group: group[0]):
            weight_decay = 0.0 if still else cfg.optimizer.weight_decay
            rate = lr * decay**-below
            groups.append(
                {"name": name, "params": chosen, "lr": rate, "weight_decay": weight_decay}
            )
    return groups


def layer_depths(trunk: Trunk) -> dict[int, int]:
    """Return how many layers lie above each parameter of a trunk, by its `id`.

    Raises:
        ConfigError: If its layers cannot be told apart.
    """
    return depths(trunk, "tuning.layer_decay", "to be 1 for this trunk")


def build_optimizer(
    model: MultiTaskModel, cfg: Config, balancing: Balancing | None = None
) -> AdamW:
    """Return AdamW (Loshchilov & Hutter 2019), fused into one kernel.

    What a balancing learns has a group of its own, without decay.
    """
    first, second = cfg.optimizer.betas
    groups = parameter_groups(model, cfg)
    if balancing is not None and (own := balancing.parameters()):
        groups.append(
            {"name": "balancing", "params": own, "lr": balancing.rate, "weight_decay": 0.0}
        )
    return AdamW(groups, betas=(first, second), eps=cfg.optimizer.eps, fused=True)


Shape = Callable[[float], float]

SCHEDULES: Registry[Shape] = Registry("schedule.name")
"""Name to the rate after warm-up as a function of progress, both from 0 to 1."""

SCHEDULES.register("constant")(lambda progress: 1.0)
SCHEDULES.register("linear")(lambda progress: 1.0 - progress)
SCHEDULES.register("cosine")(lambda progress: 0.5 * (1.0 + math.cos(math.pi * progress)))


def rate(step: int, steps: int, warmup: float, shape: Shape) -> float:
    """Return the factor on the learning rate at `step` of `steps`, counted from 0.

    Args:
        step: The step about to be taken.
        steps: Steps of the whole run.
        warmup: Share of the steps in which the rate climbs linearly from zero.
        shape: The rate after warm-up.
    """
    climbing = math.ceil(warmup * steps)
    if step < climbing:
        return step / climbing
    return shape(min(1.0, (step - climbing) / max(1, steps - climbing)))


def build_schedule(
    optimizer: torch.optim.Optimizer, schedule: ScheduleConfig, steps: int
) -> LambdaLR:
    """Return the schedule of every group's rate over `steps`."""
    shape = SCHEDULES.get(schedule.name)
    return LambdaLR(optimizer, lambda step: rate(step, steps, schedule.warmup, shape))


def set_rates(schedule: LambdaLR) -> None:
    """Give every group its rate at the schedule's step, whatever rate it was left with."""
    groups = schedule.optimizer.param_groups
    for group, base, factor in zip(groups, schedule.base_lrs, schedule.lr_lambdas, strict=True):
        group["lr"] = base * factor(schedule.last_epoch)


def gradient_norm(parameters: Iterable[nn.Parameter]) -> torch.Tensor:
    """Return () the joint norm of gradients; in parts where they are."""
    return torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])


def clip(parameters: list[nn.Parameter], largest: float | None, norm: torch.Tensor) -> None:
    """Scale gradients so that their joint norm, which is `norm`, is at most `largest`.

    Our own, because Lightning refuses its clipping beside fused AdamW under bf16-mixed.
    """
    if largest is not None:
        torch.nn.utils.clip_grads_with_norm_(parameters, largest, norm)
