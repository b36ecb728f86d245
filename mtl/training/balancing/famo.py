"""FAMO (Liu et al. 2023, "Fast Adaptive Multitask Optimization"): all losses fall at one rate.

Written here, because a task may be absent from a step, and what is learned is part of a checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

import torch
from torch import Tensor

from mtl.config.section import Field, Number, Section
from mtl.training.balancing.base import BALANCINGS, Balancing, Losses, Moment, State

TINY = 1e-8
"""Keeps logarithms finite."""


class FamoOptions(Section):
    """Options of ``famo``."""

    lr: Number = Field(0.025, ge=0)
    """The learning rate of the tasks' logits, by Adam."""
    weight_decay: Number = Field(0.001, ge=0)
    """How much logits are drawn to 0, the paper's gamma."""


@BALANCINGS.register("famo", options=FamoOptions)
class Famo(Balancing):
    """Tasks whose loss falls more slowly get a larger part of ``log L``.

    With ``z = softmax(w)`` a task's factor is ``z / L``, over the sum of these. The paper measures
    how far a loss fell by the same examples after the update. Here the next step's loss stands for
    that, which costs no pass: where all steps have the same examples, it is the same.
    """

    reads_losses: ClassVar[bool] = True
    learns: ClassVar[bool] = True

    def __init__(self, weights: Mapping[str, float], options: FamoOptions) -> None:
        super().__init__(weights)
        self.logits = {name: torch.zeros((), requires_grad=True) for name in self.tasks}
        self.optimizer = torch.optim.Adam(
            self.logits.values(), lr=options.lr, weight_decay=options.weight_decay
        )
        self.before: dict[str, Tensor] = {}
        """Each task's loss in the last step that had it and was taken."""

    def factors_of(self, moment: Moment) -> Mapping[str, Tensor | float]:
        """Learn from how far the losses fell since the last step, then weigh them."""
        losses = {name: loss.detach().float().cpu() for name, loss in moment.losses.items()}
        self._update(losses)
        if not losses:
            return {}
        parts = self._shares(losses).detach() / (torch.stack(list(losses.values())) + TINY)
        return dict(zip(losses, (parts / parts.sum()).tolist(), strict=True))

    def _update(self, losses: Losses) -> None:
        known = {n: loss for n, loss in losses.items() if n in self.before}
        fell = {n: ((self.before[n] + TINY) / (loss + TINY)).log() for n, loss in known.items()}
        if not fell or not torch.stack(list(fell.values())).isfinite().all():
            return
        with torch.enable_grad():  # Of other tasks nothing is known: their logits stay.
            (self._shares(fell) @ torch.stack(list(fell.values()))).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def _shares(self, names: Iterable[str]) -> Tensor:
        return torch.stack([self.logits[name] for name in names]).softmax(dim=0)

    def learn(self, losses: Losses, finite: Tensor) -> None:
        """Remember the losses of a step that is taken."""
        if bool(finite):
            self.before |= {name: loss.detach().float().cpu() for name, loss in losses.items()}

    def state(self) -> State:
        """Return logits, their moments and the last losses."""
        return {
            "logits": {name: logit.detach().clone() for name, logit in self.logits.items()},
            "optimizer": self.optimizer.state_dict(),
            "before": dict(self.before),
        }

    def load_state(self, state: State) -> None:
        """Take back what :meth:`state` returned."""
        with torch.no_grad():
            for name, logit in self.logits.items():
                logit.copy_(state["logits"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.before = dict(state["before"])
