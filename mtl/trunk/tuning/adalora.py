"""AdaLoRA: low-rank adapters whose ranks follow from what training finds important.

Zhang et al. 2023: a linear layer computes ``W x + (alpha / initial rank) B diag(E) A x``. Training
begins with the initial rank everywhere; then, from step to step, the least important of all
singular values are set to zero, until the mean rank is the one that was asked for. A and B are
kept near to orthogonal by a penalty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mtl.config.schema import TuningConfig
from mtl.config.section import Values
from mtl.errors import ConfigError, Problem
from mtl.trunk.schedule import TuningSchedule
from mtl.trunk.trunk import Trunk
from mtl.trunk.tuning.adapters import ADAPTER, adapt, adapters, chosen, transposed
from mtl.trunk.tuning.base import TUNINGS

if TYPE_CHECKING:
    from peft import AdaLoraModel

SOMEDAY = 10**9
"""Steps of a run whose length is not known yet."""
KEPT = ("exp_avg_ipt", "exp_avg_unc")
"""peft's names for the running importance of each weight, and its uncertainty."""


@TUNINGS.register("adalora")
def adalora(trunk: Trunk, options: TuningConfig) -> RankSchedule:
    """Let low-rank adapters learn whose ranks are chosen on the way.

    Raises:
        ConfigError: If there is no rank to give away.
    """
    from peft import AdaLoraConfig, AdaLoraModel

    if options.initial_rank <= options.rank:
        expected = f"to be above `tuning.rank`, which is {options.rank}"
        found = f"got {options.initial_rank}"
        raise ConfigError(Problem("tuning.initial_rank", expected, found))
    names = chosen(trunk, options)
    config = AdaLoraConfig(
        init_r=options.initial_rank,
        target_r=options.rank,
        lora_alpha=options.alpha,  # type: ignore[arg-type]  # Any number.
        lora_dropout=options.dropout,
        target_modules=names,
        fan_in_fan_out=transposed(trunk, names),
        bias="none",
        orth_reg_weight=options.orthogonality,
        deltaT=options.rank_every,
        total_step=SOMEDAY,
    )
    return RankSchedule(trunk, adapt(trunk, AdaLoraModel, config, names), options)


class RankSchedule(TuningSchedule):
    """Drives peft's allocation of ranks.

    Args:
        trunk: With its adapters.
        tuner: peft's, which allocates.
        options: The section ``tuning``.
    """

    def __init__(self, trunk: Trunk, tuner: AdaLoraModel, options: TuningConfig) -> None:
        self.trunk = trunk
        self.tuner = tuner
        self.options = options
        self.config: Any = tuner.peft_config[ADAPTER]
        self._orthogonality = torch.zeros(())
        self._loaded: dict[str, Any] = {}

    def start(self, steps: int) -> None:
        """Lay the schedule over the steps.

        Raises:
            ConfigError: If no step is left in which ranks could be given away.
        """
        before = round(self.options.rank_warmup * steps)
        after = round(self.options.rank_settled * steps)
        if steps - before - after < max(self.options.rank_every, 2):
            raise ConfigError(
                Problem(
                    "tuning.rank_every",
                    f"to be at most the steps in which ranks change, {steps - before - after} of "
                    f"the run's {steps}",
                    f"got {self.options.rank_every}",
                    "Train longer, or lower `tuning.rank_warmup` and `tuning.rank_settled`.",
                )
            )
        self.config.total_step = steps
        self.config.tinit, self.config.tfinal = before, after

    def before_update(self, step: int) -> None:
        """Add the gradient of the penalty, once a step, alike on every rank."""
        del step
        if not self.options.orthogonality:
            return
        penalty, learning = self._penalty()
        for parameter, found in zip(learning, torch.autograd.grad(penalty, learning), strict=True):
            parameter.grad = found if parameter.grad is None else parameter.grad + found
        self._orthogonality = penalty.detach()

    def _penalty(self) -> tuple[Tensor, list[nn.Parameter]]:
        """Return the mean distance of A's rows and B's columns from orthonormal ones (eq. 4)."""
        learning, distances = [], []
        for layer in self._layers():
            for side in (layer.lora_A[ADAPTER], layer.lora_B[ADAPTER].T):
                one = torch.eye(len(side), device=side.device, dtype=side.dtype)
                distances.append(torch.linalg.matrix_norm(side @ side.T - one))
            learning += [layer.lora_A[ADAPTER], layer.lora_B[ADAPTER]]
        return self.options.orthogonality * torch.stack(distances).mean(), learning

    def after_update(self, done: int, norm: Tensor) -> None:
        """Note what is important, and set to zero what is not."""
        if done < self.config.total_step - self.config.tfinal and not norm.isfinite():
            return  # The step was left out; its gradients say nothing.
        self._take_back()
        for layer in self._layers():  # Without rows that pass it, a layer has no gradient.
            for part in (layer.lora_A, layer.lora_B, layer.lora_E):
                if part[ADAPTER].grad is None:
                    part[ADAPTER].grad = torch.zeros_like(part[ADAPTER])
        self.tuner.update_and_allocate(done)

    def _layers(self) -> list[Any]:
        return list(adapters(self.trunk.model).values())

    def ranks(self) -> dict[str, int]:
        """Return how many singular values of each layer's adapter are not zero."""
        found: dict[str, Any] = dict(adapters(self.trunk.model))
        return {n: int((layer.lora_E[ADAPTER] != 0).sum()) for n, layer in found.items()}

    def logs(self) -> dict[str, float]:
        """Return the mean rank, and the penalty."""
        ranks = list(self.ranks().values())
        return {"rank": sum(ranks) / len(ranks), "orthogonality": float(self._orthogonality)}

    def facts(self) -> Values:
        """Return the rank of each layer's adapter."""
        return {"initial_rank": self.options.initial_rank, "ranks": self.ranks()}

    def state(self) -> Values:
        """Return the importance of each weight, and which singular values are kept."""
        allocator: Any = self.tuner.rankallocator
        found = {name: dict(getattr(allocator, name)) for name in KEPT}
        return {**found, "rank_pattern": self.config.rank_pattern, **self._loaded}

    def load_state(self, state: Values) -> None:
        """Take back what :meth:`state` returned, once the model is where it trains."""
        self._loaded = dict(state)

    def _take_back(self) -> None:
        if not self._loaded:
            return
        allocator: Any = self.tuner.rankallocator
        where = {name: p.device for name, p in self.trunk.model.named_parameters()}
        for kind in KEPT:
            found = {n: v.to(where[n]) for n, v in self._loaded[kind].items()}
            setattr(allocator, kind, found)
        allocator.ipt = dict.fromkeys(allocator.exp_avg_ipt)  # Made anew in every step.
        self.config.rank_pattern = self._loaded["rank_pattern"]
        self._loaded = {}
