"""Losses weighed so that every task's gradient on the trunk is as long, measured now and then.

AdamW divides an update by the size of the whole gradient, so a task with a short one hardly moves
the trunk, however small its loss still could become. This is GradNorm's aim for tasks that train
alike (Chen et al. 2018, alpha = 0) in closed form, and the magnitude half of DB-MTL (Lin et al.
2023), from gradients of few steps in place of all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from mtl.config.section import Field, Number, Section, Whole
from mtl.training.balancing.base import BALANCINGS, Balancing, Moment, State


class EqualNormsOptions(Section):
    """Options of ``equal_norms``."""

    every: Whole = Field(10, ge=1)
    """Steps between two measurements: there are more at the beginning of a run, and later fewer,
    a tenth of the steps so far between two."""
    decay: Number = Field(0.4, ge=0, lt=1)
    """How much of what was measured before stays, of squared norms."""
    limit: Number = Field(20.0, ge=1)
    """How many times a task's factor may be another's."""


@BALANCINGS.register("equal_norms", options=EqualNormsOptions)
class EqualNorms(Balancing):
    """A factor of each task's loss, inverse to the norm of its gradient on the shared parameters.

    Norms are root mean squares over measured steps, later ones counting more. Factors have a mean
    of 1 over the tasks of a step; a task whose gradient was not measured yet has 1.
    """

    by_task: ClassVar[bool] = True
    by_length: ClassVar[bool] = True

    def __init__(self, weights: Mapping[str, float], options: EqualNormsOptions) -> None:
        super().__init__(weights)
        self.options = options
        self.squares: dict[str, float] = {}
        """By task the mean square of the norm of its loss's gradient, without weight and factor."""

    @classmethod
    def compares_at(cls, step: int, options: Any) -> bool:
        """Whether a step is measured: 0, 1, 2, 4, 8, ..., every so many, then a tenth further."""
        if step < options.every:
            return step & (step - 1) == 0
        measured = int(options.every)
        while measured < step:
            measured += max(options.every, measured // 10)
        return measured == step

    def factors_of(self, moment: Moment) -> Mapping[str, Tensor | float]:
        """Return what follows from the norms so far."""
        norms = {n: self.squares[n] ** 0.5 for n in moment.present if self.squares.get(n, 0) > 0}
        least = max(norms.values(), default=1.0) / self.options.limit
        inverse = {name: 1 / max(norm, least) for name, norm in norms.items()}
        mean = sum(inverse.values()) / len(inverse) if inverse else 1.0
        return {name: inverse[name] / mean if name in inverse else 1.0 for name in moment.present}

    def measure(self, lengths: Tensor, moment: Moment) -> None:
        """Remember the norms of the tasks' gradients."""
        decay = self.options.decay
        for name, norm in zip(moment.present, lengths.tolist(), strict=True):
            square = (norm / (self.weights[name] * float(self.factors[name]))) ** 2
            before = self.squares.get(name, square)
            self.squares[name] = decay * before + (1 - decay) * square

    def state(self) -> State:
        """Return what was measured."""
        return {"squares": dict(self.squares)}

    def load_state(self, state: State) -> None:
        """Take back what :meth:`state` returned."""
        self.squares = dict(state["squares"])
