"""A language head for long stretches of targets: scores over the vocabulary, a few at a time.

Where every token of a text is a target, logits (N, V) and their gradient would be by far the
largest tensors of a pass. Here a block of positions is projected, scored and differentiated at
once, and only its loss, its gradients and what metrics need are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtl.heads.base import as_float
from mtl.heads.language import LanguageHead

BLOCK = 256
"""Positions whose logits exist at one time."""


class LikelihoodHead(LanguageHead):
    """What :class:`LanguageHead` computes, as a loss and two figures a position, not as logits."""

    def score(self, states: Tensor, targets: dict[str, Tensor]) -> Tensor:
        """Return (N, 3) for (N, D) states and `targets["labels"]`, (N,) token ids.

        The columns are the loss; the negative log-likelihood, in nats, without smoothing; and 1
        where the label has the highest score, else 0. Only the loss has a gradient.
        """
        learning = torch.is_grad_enabled()
        job = _Job(self.forward, targets["labels"], self.label_smoothing, learning)
        weights = [p for p in self._projection().parameters() if p.requires_grad]
        found: Tensor = _Blocks.apply(job, states, *weights)
        return found

    def within(self, given: dict[str, Tensor], outputs: Tensor) -> dict[str, Tensor]:
        """Return what is given of some positions: each is scored by itself."""
        return {name: values[outputs] for name, values in given.items()}

    def loss_sum(self, logits: Tensor, targets: dict[str, Tensor]) -> Tensor:
        """Return the summed loss of what :meth:`score` returned."""
        del targets
        return logits[:, 0].sum()

    def _projection(self) -> nn.Module:
        return self._output[0].projection if self.linear is None else self.linear


class _Job(NamedTuple):
    """What is done with each block of states (n, D)."""

    project: Callable[[Tensor], Tensor]
    labels: Tensor
    smoothing: float
    learning: bool
    """Whether gradients will be asked for."""

    def __call__(self, states: Tensor, at: slice) -> tuple[Tensor, Tensor]:
        """Return the block's losses (n,) and its (n, 3) figures."""
        logits, labels = as_float(self.project(states)), self.labels[at]
        losses = F.cross_entropy(logits, labels, label_smoothing=self.smoothing, reduction="none")
        with torch.no_grad():
            plain = losses
            if self.smoothing:
                plain = F.cross_entropy(logits, labels, reduction="none")
            best = (logits.argmax(-1) == labels).to(losses.dtype)
        return losses, torch.stack([losses.detach(), plain.detach(), best], dim=1)


class _Blocks(torch.autograd.Function):
    """Runs a job block by block; gradients are taken on the way, so that no logits are kept.

    The gradients are those of the *sum* of losses: backward takes one factor for all positions.
    """

    @staticmethod
    def forward(ctx: Any, job: _Job, states: Tensor, *weights: Tensor) -> Tensor:
        wanted = job.learning and any(ctx.needs_input_grad[1:])
        found = states.new_zeros((len(states), 3), dtype=torch.float32)
        sums = [torch.zeros_like(w) for w in weights]
        slopes = torch.zeros_like(states)
        for first in range(0, len(states), BLOCK):
            at = slice(first, first + BLOCK)
            with torch.set_grad_enabled(wanted):
                block = states[at].detach().requires_grad_(wanted)
                losses, found[at] = job(block, at)
                total = losses.sum()
            if wanted:
                slopes[at], *more = torch.autograd.grad(total, [block, *weights])
                for slope, part in zip(sums, more, strict=True):
                    slope += part
        if wanted:
            ctx.save_for_backward(slopes, *sums)
        return found

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        slopes, *sums = ctx.saved_tensors
        factors = grads[0][:, 0]
        if not len(factors):
            return None, slopes, *sums
        assert bool((factors == factors[0]).all()), "the losses are only ever summed"
        return None, slopes * factors[0].to(slopes.dtype), *(s * factors[0] for s in sums)
