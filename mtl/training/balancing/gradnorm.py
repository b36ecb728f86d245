"""GradNorm (Chen et al. 2018): gradients of like norm, larger for tasks that train more slowly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from mtl.config.section import Field, Number, Section
from mtl.training.balancing.base import BALANCINGS, Balancing, Losses, Moment, State

LEAST = 1e-3
"""The smallest factor: a step of its optimizer could make it negative."""


class GradNormOptions(Section):
    """Options of ``gradnorm``."""

    alpha: Number = Field(1.5, ge=0)
    """How much a task that trains more slowly is pulled back; 0: all norms alike."""
    lr: Number = Field(0.025, ge=0)
    """The learning rate of the tasks' factors, by Adam."""


@BALANCINGS.register("gradnorm", options=GradNormOptions)
class GradNorm(Balancing):
    """A factor w of each task's loss, learned so that gradients have the norms that are wanted.

    With ``G = |w dL/dW|`` on the shared parameters W, what is wanted is ``mean(G) * r ** alpha``,
    where r is a task's loss as a share of its first one, over the mean of these shares. Factors
    follow the gradient of ``sum |G - wanted|``, the wanted norms being constants, and are then
    scaled to add up to what they did before: the number of tasks (the paper's algorithm 1).
    """

    by_task: ClassVar[bool] = True
    by_length: ClassVar[bool] = True
    learns: ClassVar[bool] = True

    def __init__(self, weights: Mapping[str, float], options: GradNormOptions) -> None:
        super().__init__(weights)
        self.alpha = options.alpha
        self.learned = {name: torch.ones((), requires_grad=True) for name in self.tasks}
        self.optimizer = torch.optim.Adam(self.learned.values(), lr=options.lr)
        self.first: dict[str, float] = {}
        """Each task's first loss."""
        self.norms: dict[str, float] = {}
        """Of the gradients of this step's losses, without weights and factors."""

    def factors_of(self, moment: Moment) -> Mapping[str, Tensor | float]:
        """Return what is learned so far."""
        self.norms = {}
        return {name: float(self.learned[name].detach()) for name in moment.present}

    def measure(self, lengths: Tensor, moment: Moment) -> None:
        """Note the norms of the tasks' gradients."""
        for name, norm in zip(moment.present, lengths.tolist(), strict=True):
            self.norms[name] = norm / (self.weights[name] * float(self.factors[name]))

    def learn(self, losses: Losses, finite: Tensor) -> None:
        """Take a step of the factors of the tasks that are present."""
        if not bool(finite):
            return
        values = {name: float(loss) for name, loss in losses.items()}
        self.first = {**values, **self.first}
        names = [name for name in values if name in self.norms and self.first[name] > 0]
        if len(names) < 2:
            return
        norms = torch.tensor([self.norms[name] for name in names])
        rates = torch.tensor([values[name] / self.first[name] for name in names])
        with torch.enable_grad():
            factors = torch.stack([self.learned[name] for name in names])
            weighted = factors * norms
            wanted = weighted.detach().mean() * (rates / rates.mean()) ** self.alpha
            (weighted - wanted).abs().sum().backward()
        before = factors.detach().sum()
        self.optimizer.step()
        self.optimizer.zero_grad()
        self._scale(names, before)

    def _scale(self, names: list[str], whole: Tensor) -> None:
        with torch.no_grad():
            for name in names:
                self.learned[name].clamp_(min=LEAST)
            found = torch.stack([self.learned[name] for name in names]).sum()
            for name in names:
                self.learned[name].mul_(whole / found)

    def state(self) -> State:
        """Return factors, their moments and the first losses."""
        return {
            "learned": {name: value.detach().clone() for name, value in self.learned.items()},
            "optimizer": self.optimizer.state_dict(),
            "first": dict(self.first),
        }

    def load_state(self, state: State) -> None:
        """Take back what :meth:`state` returned."""
        with torch.no_grad():
            for name, value in self.learned.items():
                value.copy_(state["learned"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.first = dict(state["first"])
