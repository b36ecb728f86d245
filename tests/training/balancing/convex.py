"""Two convex tasks of two parameters, and a plain loop that a balancing weighs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mtl.config.schema import BalancingConfig
from mtl.training.balancing import Balancing, Moment, build_balancing
from mtl.training.balancing.gradients import TaskGradients

WEIGHTS = {"flat": 1.0, "steep": 1.0}
START = (2.0, -1.0)
RATE = 0.02
SEED = 7


def losses_of(point: Tensor) -> dict[str, Tensor]:
    """Return the losses: their minima are apart, and one is far steeper."""
    flat = 0.3 * (point[0] - 1) ** 2 + 0.1 * point[1] ** 2 + 0.2
    steep = 4 * (point[0] + 1) ** 2 + 2 * (point[1] - 2) ** 2 + 1.0
    return {"flat": flat, "steep": steep}


def start() -> Tensor:
    return torch.tensor(START, requires_grad=True)


def kept(rows: Tensor) -> TaskGradients:
    """Return rows (K, P) as a step has them."""
    found = TaskGradients([nn.Parameter(rows[0])], [], lambda: None)  # type: ignore[arg-type, return-value]
    found.rows = rows
    return found


def made(name: str, weights: dict[str, float] | None = None, **options: object) -> Balancing:
    section = BalancingConfig(name=name, options=options)
    return build_balancing(weights or WEIGHTS, section)


def descend(
    balancing: Balancing,
    steps: int,
    absent: Callable[[int], set[str]] = lambda step: set(),
    first: int = 0,
    point: Tensor | None = None,
    optimizer: torch.optim.Optimizer | None = None,
) -> list[Tensor]:
    """Take steps as training does; returns the points after each.

    Args:
        balancing: What weighs.
        steps: How many.
        absent: The tasks that a step does not have.
        first: The number of the first.
        point: Where to begin.
        optimizer: Of the point and of what the balancing learns; SGD when None.
    """
    point = start() if point is None else point
    groups: list[dict[str, Any]] = [{"params": [point]}]
    if own := balancing.parameters():
        groups.append({"params": own, "lr": balancing.rate})
    optimizer = optimizer or torch.optim.SGD(groups, lr=RATE)
    path = []
    for step in range(first, first + steps):
        losses = {n: loss for n, loss in losses_of(point).items() if n not in absent(step)}
        known = {name: loss.detach() for name, loss in losses.items()}
        balancing.begin(Moment(step, SEED, list(losses), known if balancing.reads_losses else {}))
        optimizer.zero_grad()
        balancing(losses).backward()
        balancing.learn(known, torch.tensor(True))
        optimizer.step()
        path.append(point.detach().clone())
    return path
