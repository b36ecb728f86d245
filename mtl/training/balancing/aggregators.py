"""Methods that make one gradient of the tasks' own, each by TorchJD.

They look at how gradients lie to each other: where two point against each other, the sum would
help one task at the cost of the other.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from mtl.config.section import Field, Lower, Number, Section, Whole
from mtl.metrics.names import metric_name
from mtl.reporting.console import note
from mtl.training.balancing.base import BALANCINGS, Balancing, Moment, State


class CagradOptions(Section):
    """Options of ``cagrad``."""

    c: Number = Field(0.4, ge=0)
    """How far from the mean gradient, as a share of its norm, the worst task may draw."""


class MgdaOptions(Section):
    """Options of ``mgda``."""

    epsilon: Number = Field(0.001, gt=0)
    max_iters: Whole = Field(100, ge=1)


class NashOptions(Section):
    """Options of ``nash_mtl``."""

    max_norm: Number = Field(1.0, ge=0)
    """Largest norm of the result; no limit when 0."""
    optim_niter: Whole = Field(20, ge=1)


class AlignedOptions(Section):
    """Options of ``aligned_mtl``."""

    scale_mode: Annotated[Literal["min", "median", "rmse"], Lower] = "min"


class VaccineOptions(Section):
    """Options of ``gradvac``."""

    beta: Number = Field(0.5, ge=0, le=1)
    """How fast the similarity that is aimed at follows the one found."""


class FairOptions(Section):
    """Options of ``fairgrad``."""

    alpha: Number = Field(1.0, ge=0)
    """0 is the mean, 1 proportional fairness; towards infinity, the worst task alone."""


class Aggregation(Balancing):
    """A method of TorchJD.

    Tasks may be absent from a step: each set of tasks has an aggregator, and a memory, of its own.

    Args:
        weights: Each task's own weight.
        method: Which one.
        options: What its class is told.
    """

    by_task = True

    def __init__(
        self, weights: Mapping[str, float], method: Method, options: Mapping[str, Any]
    ) -> None:
        super().__init__(weights)
        self.method = method
        self.options = dict(options)
        self.aggregators: dict[str, Any] = {}
        """By the names of the tasks that they are for."""
        self.found: dict[str, float] = {}
        """Each task's factor in the last step's gradient, where there is one."""
        self.failed = 0

    def aggregator(self, tasks: str) -> Any:
        """Return the aggregator of a set of tasks, ``a,b``."""
        if tasks not in self.aggregators:
            count = {"n_tasks": tasks.count(",") + 1} if self.method.counts else {}
            kind = getattr(importlib.import_module("torchjd.aggregation"), self.method.kind)
            self.aggregators[tasks] = kind(**count, **self.options)
        return self.aggregators[tasks]

    def begin(self, moment: Moment) -> None:
        """Forget the factors of the step before."""
        self.found = {}

    def aggregate(self, rows: Tensor, moment: Moment) -> Tensor:
        """Return (P,) what TorchJD makes of the rows (K, P); their sum where it cannot."""
        aggregator = self.aggregator(",".join(moment.present))
        weights: list[Tensor] = []
        hook = None
        if self.method.weighs:
            hook = aggregator.weighting.register_forward_hook(lambda *call: weights.append(call[2]))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Of solvers, about their own accuracy.
                gradient: Tensor = aggregator(rows)
        except Exception as error:  # Each solver has errors of its own.
            self._say(error, moment)
            return rows.sum(dim=0)
        finally:
            if hook is not None:
                hook.remove()
        if weights:
            self.found = dict(zip(moment.present, weights[-1].tolist(), strict=True))
        return gradient

    def _say(self, error: Exception, moment: Moment) -> None:
        self.failed += 1
        if self.failed == 1:
            why = str(error).partition("\n")[0]
            note(
                f"step {moment.step + 1:,}: balancing={self.method.name} found no gradient "
                f"({why}), so the step takes the sum; train/unbalanced_steps counts such steps."
            )

    def shown(self) -> dict[str, float]:
        """Return the tasks' weights in the last step; their own where the method has none."""
        factors = self.found or dict.fromkeys(self.weights, 1.0)
        return {name: self.weights[name] * factor for name, factor in factors.items()}

    def logs(self) -> dict[str, float]:
        """Return the tasks' weights, and how many steps took the sum, if any did."""
        count = {metric_name("train", None, "unbalanced_steps"): float(self.failed)}
        return {**super().logs(), **(count if self.failed else {})}

    def state(self) -> State:
        """Return what aggregators remember, by their tasks, and how many steps took the sum."""
        kept = {tasks: self.method.memory(one) for tasks, one in self.aggregators.items()}
        memory = {tasks: one for tasks, one in kept.items() if one is not None}
        return {"memory": memory, "failed": self.failed}

    def load_state(self, state: State) -> None:
        """Take back what :meth:`state` returned."""
        self.failed = state["failed"]
        for tasks, memory in state["memory"].items():
            self.method.remember(self.aggregator(tasks), memory)


@dataclass(frozen=True)
class Method:
    """A class of TorchJD under a name.

    TorchJD has no way to save what a class remembers, so that is known here.
    """

    name: str
    kind: str
    """The class's name."""
    needs: tuple[str, ...] = ("torchjd",)
    """What has to be installed."""
    own: type[Section] | None = None
    """Its options."""
    counts: bool = False
    """Whether it is to be told how many tasks there are."""

    weighs: bool = True
    """Whether its gradient is a weighted sum of the tasks' own."""

    by_task = True

    def __call__(self, weights: Mapping[str, float], options: Section) -> Aggregation:
        """Return the balancing."""
        return Aggregation(weights, self, {} if self.own is None else options.model_dump())

    def memory(self, aggregator: Any) -> Tensor | None:
        """Return what an aggregator remembers; None if nothing."""
        if self.kind == "GradVac":
            found: Tensor | None = aggregator.gramian_weighting._phi_t
            return None if found is None else found.clone()
        if self.kind == "NashMTL":
            return torch.as_tensor(aggregator.weighting.prvs_alpha).clone()
        return None

    def remember(self, aggregator: Any, memory: Tensor) -> None:
        """Let an aggregator remember."""
        if self.kind == "GradVac":
            weighting = aggregator.gramian_weighting
            weighting._phi_t = memory.clone()
            weighting._state_key = (len(memory), memory.dtype)
        else:
            aggregator.weighting.prvs_alpha = memory.numpy().copy()


QP = ("torchjd", "qpsolvers", "quadprog")
AGGREGATORS = (
    Method("upgrad", "UPGrad", QP),
    Method("dualproj", "DualProj", QP),
    Method("pcgrad", "PCGrad"),
    Method("gradvac", "GradVac", own=VaccineOptions),
    Method("cagrad", "CAGrad", ("torchjd", "cvxpy", "clarabel"), CagradOptions),
    Method("mgda", "MGDA", own=MgdaOptions),
    Method("nash_mtl", "NashMTL", ("torchjd", "cvxpy", "ecos"), NashOptions, counts=True),
    Method("imtl_g", "IMTLG"),
    Method("aligned_mtl", "AlignedMTL", own=AlignedOptions),
    Method("graddrop", "GradDrop", weighs=False),
    Method("config", "ConFIG", weighs=False),
    Method("fairgrad", "FairGrad", ("torchjd", "scipy"), FairOptions),
)
for _method in AGGREGATORS:
    BALANCINGS.register(_method.name, options=_method.own)(_method)
