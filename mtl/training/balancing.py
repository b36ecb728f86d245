"""How the tasks' losses become one.

A balancing weighs the losses of each pass of a step; what it needs to know of other steps it keeps
itself. It is found by registration, from this package or the entry points ``mtl.balancing``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from mtl.config.schema import BalancingConfig
from mtl.registry import Registry

Losses = Mapping[str, Tensor]
Balancer = Callable[[Losses], Tensor]
"""Losses of one pass by task, each divided by the targets of the whole step, to one scalar.

Passes add up: the balanced losses of a step's passes are those of the step, which every rank and
every split into passes must give alike.
"""

BALANCINGS: Registry[Callable[[Mapping[str, float], Any], Balancer]] = Registry(
    "balancing.name", "mtl.balancing"
)
"""Name to a function of the tasks' weights and of the section ``balancing``, or of the method's own
options where it is registered with some."""


@BALANCINGS.register("sum")
def weighted_sum(weights: Mapping[str, float], options: BalancingConfig) -> Balancer:
    """Add the losses, each times its task's weight."""

    def balance(losses: Losses) -> Tensor:
        first, *others = (weights[name] * loss for name, loss in losses.items())
        return sum(others, first)

    return balance


def build_balancer(weights: Mapping[str, float], section: BalancingConfig) -> Balancer:
    """Return the balancer that a configuration chooses.

    Raises:
        ConfigError: If no balancing has its name.
    """
    build = BALANCINGS.get(section.name, "balancing.name")
    own = BALANCINGS.options(section.name)
    return build(weights, section if own is None else own(**section.options))
