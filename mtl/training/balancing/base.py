"""How the tasks' losses become one update: what all methods share.

A step is several passes on several ranks, and each pass has a part of each task's loss. So what a
method decides, it decides once for the whole step, from numbers that all ranks have alike, and
every pass and rank is weighed with that. A task without targets in a step takes no part in it.

Methods are found by registration, from this package or the entry points ``mtl.balancing``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mtl.config.schema import BalancingConfig
from mtl.config.section import Section
from mtl.metrics.names import metric_name
from mtl.registry import Registry

Losses = Mapping[str, Tensor]
"""Losses by task, each () and divided by the targets of the whole step: of a pass, or of a step."""
Balancer = Callable[[Losses], Tensor]
"""Losses of one pass to one scalar.

Passes add up: the balanced losses of a step's passes are those of the step, which every rank and
every split into passes must give alike. A :class:`Balancing` does more.
"""
State = dict[str, Any]
"""Plain data and tensors, as a checkpoint holds them."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What a method may know before the first backward pass of a step; the same on all ranks."""

    step: int
    """Its number, counted from 0."""
    seed: int
    """Of the run."""
    present: Sequence[str]
    """The tasks that have targets in it, on any rank, and a weight above 0."""
    losses: Losses
    """Their losses of the whole step, where the method :attr:`Balancing.reads_losses`."""


class Balancing:
    """A method, and what it remembers of earlier steps. This one is the weighted sum.

    Args:
        weights: Each task's own weight, `tasks.<name>.weight`. What a method finds is a factor
            on it, so that a weight means the same with every method.
    """

    reads_losses: ClassVar[bool] = False
    """Whether a step's factors follow from its own losses: they are computed before the first
    backward pass, which costs a forward pass more for each pass but the first."""
    learns: ClassVar[bool] = False
    """Whether :meth:`learn` is to be called."""
    by_task: ClassVar[bool] = False
    """Whether it needs each task's own gradient: steps then have passes of one task each."""

    by_length: ClassVar[bool] = False
    """Whether the lengths of these gradients will do: :meth:`measure` is called in place of
    :meth:`aggregate`, and the gradient is their sum."""

    @classmethod
    def compares_at(cls, step: int, options: Any) -> bool:
        """Whether it needs them in this step; of methods that are `by_task`.

        Args:
            step: Counted from 0.
            options: Of the method.
        """
        del step, options
        return True

    def __init__(self, weights: Mapping[str, float]) -> None:
        self.weights = dict(weights)
        self.tasks = [name for name, weight in weights.items() if weight > 0]
        self.factors: dict[str, Tensor | float] = {}
        """Of this step, by task; 1 for tasks that are not there."""

    def begin(self, moment: Moment) -> None:
        """Fix the factors of a step."""
        self.factors = dict(self.factors_of(moment))

    def factors_of(self, moment: Moment) -> Mapping[str, Tensor | float]:
        """Return the factors of the tasks that are present."""
        del moment
        return {}

    def __call__(self, losses: Losses) -> Tensor:
        """Return what the backward pass of one pass starts from."""
        first, *others = (
            self.weights[name] * self.factors.get(name, 1.0) * loss for name, loss in losses.items()
        )
        return sum(others, first)

    def aggregate(self, rows: Tensor, moment: Moment) -> Tensor:
        """Return (P,) the gradient of the shared parameters, of each task's own (K, P).

        Args:
            rows: The gradients of the tasks' weighted losses, in the order of `moment.present`.
            moment: The step.
        """
        del moment
        return rows.sum(dim=0)

    def measure(self, lengths: Tensor, moment: Moment) -> None:
        """Remember the lengths (K,) of the tasks' own gradients; of methods that are `by_length`.

        Args:
            lengths: Of the gradients of the weighted losses, in the order of `moment.present`.
            moment: The step.
        """

    def learn(self, losses: Losses, finite: Tensor) -> None:
        """Remember a step whose gradient is complete; before the optimizer takes it.

        Args:
            losses: Of the whole step, of the tasks that are present.
            finite: () whether its gradient is finite; if not, nothing is to be learned of it.
        """

    def parameters(self) -> list[nn.Parameter]:
        """Return what the optimizer is to learn beside the model; gradients come by `learn`."""
        return []

    @property
    def rate(self) -> float:
        """The learning rate of :meth:`parameters`."""
        return 0.0

    def to(self, device: torch.device) -> None:
        """Hold what is remembered on a device."""

    def shown(self) -> dict[str, float]:
        """Return the weights of the last step's tasks, their own times the method's factor."""
        factors = self.factors or dict.fromkeys(self.weights, 1.0)
        return {name: self.weights[name] * float(factor) for name, factor in factors.items()}

    def logs(self) -> dict[str, float]:
        """Return what training logs of it, by full name."""
        return {metric_name("train", name, "weight"): value for name, value in self.shown().items()}

    def state(self) -> State:
        """Return what is remembered."""
        return {}

    def load_state(self, state: State) -> None:
        """Take back what :meth:`state` returned."""


class PassByPass(Balancing):
    """A function of the losses of one pass, as other packages bring.

    Args:
        weights: Each task's own weight.
        balance: The function.
    """

    def __init__(self, weights: Mapping[str, float], balance: Balancer) -> None:
        super().__init__(weights)
        self.balance = balance

    def __call__(self, losses: Losses) -> Tensor:
        """Return what the function does."""
        return self.balance(losses)


BALANCINGS: Registry[Callable[[Mapping[str, float], Any], Balancer]] = Registry(
    "balancing.name", "mtl.balancing"
)
"""Name to a function, or a class, of the tasks' weights and of the section ``balancing``, or of the
method's own options where it is registered with some."""


@BALANCINGS.register("sum")
def weighted_sum(weights: Mapping[str, float], options: BalancingConfig) -> Balancing:
    """Add the losses, each times its task's weight."""
    del options
    return Balancing(weights)


def method_options(section: BalancingConfig) -> Section:
    """Return the options of the method that is chosen; the whole section where it has none."""
    own = BALANCINGS.options(section.name)
    return section if own is None else own(**section.options)


def build_balancing(weights: Mapping[str, float], section: BalancingConfig) -> Balancing:
    """Return the balancing that a configuration chooses.

    Raises:
        ConfigError: If no balancing has its name.
    """
    build = BALANCINGS.get(section.name, "balancing.name")
    found = build(weights, method_options(section))
    return found if isinstance(found, Balancing) else PassByPass(weights, found)
