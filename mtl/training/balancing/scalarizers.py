"""Methods that look at losses alone: a factor for each task, by TorchJD where it has the method.

A scalarization is a function of the step's losses. What it is to a pass is its gradient with
regard to them: the factor that each task's part of the loss is to be multiplied by.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mtl.config.schema import BalancingConfig
from mtl.config.section import Field, Number, Section, Whole
from mtl.data.plan import generator
from mtl.training.balancing.base import BALANCINGS, Balancing, Losses, Moment, State


def scalarizer(name: str) -> Callable[..., Any]:
    """Return a class of :mod:`torchjd.scalarization`; imported only here, where it is chosen."""
    found: Callable[..., Any] = getattr(importlib.import_module("torchjd.scalarization"), name)
    return found


def slopes(combine: Callable[[Tensor], Tensor], losses: Losses) -> dict[str, Tensor]:
    """Return the derivative of a scalarization with regard to each loss, by task."""
    with torch.enable_grad():
        values = torch.stack([loss.detach() for loss in losses.values()]).requires_grad_()
        (found,) = torch.autograd.grad(combine(values), values)
    return dict(zip(losses, found.unbind(), strict=True))


@BALANCINGS.register("random")
class RandomWeights(Balancing):
    """Random weighting (Lin et al. 2022): the softmax of a normal draw for each task and step."""

    def __init__(self, weights: Mapping[str, float], options: BalancingConfig) -> None:
        del options
        super().__init__(weights)

    def factors_of(self, moment: Moment) -> dict[str, Tensor | float]:
        """Return factors that add up to 1; the step's number and the seed decide."""
        drawn = generator(moment.seed, "balancing", moment.step).standard_normal(len(self.tasks))
        of = dict(zip(self.tasks, drawn.tolist(), strict=True))
        found = torch.tensor([of[name] for name in moment.present]).softmax(dim=0).tolist()
        return dict(zip(moment.present, found, strict=True))


class _FromOwnLosses(Balancing):
    """A scalarization without memory, of the step's own losses."""

    needs: ClassVar[tuple[str, ...]] = ("torchjd",)
    reads_losses: ClassVar[bool] = True
    combine: Callable[[Tensor], Tensor]

    def factors_of(self, moment: Moment) -> Mapping[str, Tensor | float]:
        """Return the scalarization's derivatives."""
        return slopes(self.combine, moment.losses) if moment.losses else {}


@BALANCINGS.register("geometric_mean")
class GeometricMean(_FromOwnLosses):
    """The geometric mean of the losses (Chennupati et al. 2019)."""

    def __init__(self, weights: Mapping[str, float], options: BalancingConfig) -> None:
        del options
        super().__init__(weights)
        self.combine = scalarizer("GeometricMean")()


class SmoothOptions(Section):
    """Options of ``stch``."""

    mu: Number = Field(0.1, gt=0)
    """How smooth the maximum is: towards 0 it is the largest loss alone."""


@BALANCINGS.register("stch", options=SmoothOptions)
class SmoothMaximum(_FromOwnLosses):
    """Smooth Tchebycheff scalarization (Lin et al. 2024): a smooth maximum of the losses."""

    def __init__(self, weights: Mapping[str, float], options: SmoothOptions) -> None:
        super().__init__(weights)
        self.combine = scalarizer("STCH")(mu=options.mu)


class WindowOptions(Section):
    """Options of ``dwa``."""

    temperature: Number = Field(2.0, gt=0)
    """Larger ones make the weights more alike."""
    window: Whole = Field(50, ge=1)
    """Optimizer steps that a loss is averaged over: what an epoch is in the paper."""


@BALANCINGS.register("dwa", options=WindowOptions)
class DynamicWeightAverage(Balancing):
    """Dynamic weight average (Liu et al. 2019): more for tasks whose loss falls more slowly.

    A factor follows from a task's mean losses over the last two windows of steps. A mean is of the
    steps that have the task; where a window has none, the task's mean is that of the one before.
    """

    needs: ClassVar[tuple[str, ...]] = ("torchjd",)
    learns: ClassVar[bool] = True

    def __init__(self, weights: Mapping[str, float], options: WindowOptions) -> None:
        super().__init__(weights)
        self.options = options
        self.sums = torch.zeros(len(self.tasks))
        self.counts = torch.zeros(len(self.tasks))
        self.steps = 0
        """In this window."""
        self.means: list[Tensor] = []
        """(T,) of the last two windows, on the host; NaN for tasks that were in none so far."""

    def factors_of(self, moment: Moment) -> Mapping[str, Tensor | float]:
        """Return factors whose mean is 1."""
        places = [self.tasks.index(name) for name in moment.present]
        if not places:
            return {}
        combine = scalarizer("DWA")(self.options.temperature)
        means = [mean[places] for mean in self.means]
        # Without a ratio of two means, as at the start, all factors are 1.
        known = len(means) == 2 and bool((means[1] / means[0]).isfinite().all())
        for mean in means if known else ():
            combine(mean)
            combine.step()
        found = slopes(combine, dict.fromkeys(moment.present, torch.zeros(())))
        return {name: float(factor) for name, factor in found.items()}

    def learn(self, losses: Losses, finite: Tensor) -> None:
        """Add a step to its window."""
        self.to(finite.device)
        for name, loss in losses.items():
            place = self.tasks.index(name)
            self.sums[place] += torch.where(finite, loss, 0.0)
            self.counts[place] += finite
        self.steps += 1
        if self.steps == self.options.window:
            sums, counts = self.sums.cpu(), self.counts.cpu()
            before = self.means[-1] if self.means else torch.full_like(sums, torch.nan)
            self.means = [*self.means, torch.where(counts > 0, sums / counts, before)][-2:]
            self.sums, self.counts = torch.zeros_like(self.sums), torch.zeros_like(self.counts)
            self.steps = 0

    def to(self, device: torch.device) -> None:
        """Hold sums on a device."""
        self.sums, self.counts = self.sums.to(device), self.counts.to(device)

    def state(self) -> State:
        """Return the sums of this window and the means of those before."""
        sums, counts = self.sums.cpu(), self.counts.cpu()
        return {"sums": sums, "counts": counts, "steps": self.steps, "means": list(self.means)}

    def load_state(self, state: State) -> None:
        """Take back what :meth:`state` returned."""
        self.sums, self.counts = state["sums"].clone(), state["counts"].clone()
        self.steps, self.means = state["steps"], list(state["means"])


class RateOptions(Section):
    """Options of ``uncertainty`` and ``imtl_l``."""

    lr: Number = Field(0.01, ge=0)
    """The learning rate of the tasks' scales, a group of the run's optimizer without decay."""


class _Learned(Balancing):
    """A scalarization with one learned number a task, whose terms are each of one task.

    The gradient of these numbers is computed of the whole step's losses, after its passes.
    """

    needs: ClassVar[tuple[str, ...]] = ("torchjd",)
    learns: ClassVar[bool] = True
    kind: ClassVar[str]

    def __init__(self, weights: Mapping[str, float], options: RateOptions) -> None:
        super().__init__(weights)
        self.options = options
        self.terms: dict[str, nn.Module] = {t: scalarizer(self.kind)(()) for t in self.tasks}

    def factors_of(self, moment: Moment) -> Mapping[str, Tensor | float]:
        """Return what each term multiplies its loss by."""
        found: dict[str, Tensor | float] = {}
        for name in moment.present:
            (parameter,) = self.terms[name].parameters()
            # A term is linear in its loss: any value would do.
            loss = torch.zeros((), device=parameter.device)
            found[name] = self._slope(self.terms[name], loss)
        return found

    @staticmethod
    def _slope(term: nn.Module, loss: Tensor) -> Tensor:
        return slopes(lambda values: term(values[0]), {"": loss})[""]

    def learn(self, losses: Losses, finite: Tensor) -> None:
        """Give the numbers of the tasks that are present their gradients."""
        del finite  # The optimizer leaves such a step out.
        for name, term in self.terms.items():
            term.zero_grad(set_to_none=True)
            if name in losses:
                with torch.enable_grad():
                    term(losses[name].detach()).backward()

    def parameters(self) -> list[nn.Parameter]:
        """Return one number a task."""
        return [p for term in self.terms.values() for p in term.parameters()]

    @property
    def rate(self) -> float:
        """Their learning rate."""
        return self.options.lr

    def to(self, device: torch.device) -> None:
        """Hold the numbers on a device."""
        for term in self.terms.values():
            term.to(device)

    def state(self) -> State:
        """Return the numbers; their moments are the optimizer's."""
        names = self.terms
        return {n: p.detach().cpu() for n, p in zip(names, self.parameters(), strict=True)}

    def load_state(self, state: State) -> None:
        """Take back what :meth:`state` returned."""
        with torch.no_grad():
            for name, parameter in zip(self.terms, self.parameters(), strict=True):
                parameter.copy_(state[name])


@BALANCINGS.register("uncertainty", options=RateOptions)
class Uncertainty(_Learned):
    """Uncertainty weighting (Kendall et al. 2018): ``exp(-s) L / 2 + s / 2``, with s learned."""

    kind = "UW"


@BALANCINGS.register("imtl_l", options=RateOptions)
class LossScales(_Learned):
    """IMTL-L (Liu et al. 2021): ``exp(s) L - s``, with s learned."""

    kind = "IMTLL"
