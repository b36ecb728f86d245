"""What a run began with, beside the model that it trains: its answers are to stay as they were.

Li and Hoiem 2016 ("Learning without Forgetting"): on every text that is trained on, what the old
heads say of the trunk's states is held to what they said before, whatever task the text is of.
Here of every token's state, since each task reads others. Holds a second trunk, and costs a forward
pass of it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtl.heads.base import Head, as_float
from mtl.types import TrunkBatch

if TYPE_CHECKING:
    from mtl.training.model import MultiTaskModel

TEMPERATURE = 2.0
"""Of the softmax of both (Hinton et al. 2015), as in the paper."""


class Teacher:
    """A copy of the trunk and of some heads that never learns; no part of the model or its files.

    Args:
        model: With the weights that are to be kept.
        tasks: Whose heads' answers are held. Of those that write texts, or whose answers depend on
            which states belong together, the states themselves are.
        weight: Of the loss.
    """

    def __init__(self, model: MultiTaskModel, tasks: Sequence[str], weight: float) -> None:
        used = {model.tasks[name].head_name: model.tasks[name] for name in tasks}
        heads = {name: model.heads[name] for name in used}
        alone = {
            name
            for name, head in heads.items()
            if getattr(type(head), "score", None) is Head.score and not used[name].traits.writes
        }
        self.holds_states = len(alone) < len(heads)
        own = nn.ModuleDict({name: heads[name] for name in alone})
        self.trunk, self.heads = copy.deepcopy((model.trunk, own))
        for module in (self.trunk, self.heads):
            module.requires_grad_(False).eval()
        self.weight = weight

    def to(self, device: torch.device) -> None:
        """Move to a device."""
        self.trunk.to(device)
        self.heads.to(device)

    def loss(self, batch: TrunkBatch, hidden: Tensor, heads: nn.ModuleDict) -> Tensor:
        """Return how far a pass is from what it was, a scalar: summed over units.

        Args:
            batch: (B, T) tokens of the pass.
            hidden: (B * T, D) the learning trunk's states of them.
            heads: The learning ones.
        """
        with torch.no_grad():
            before = self.trunk(batch)
        real, share = _shares(batch.unit)
        then, now = as_float(before[real]), as_float(hidden[real])
        total = now.new_zeros(())
        for name, head in self.heads.items():
            assert isinstance(head, Head)
            own = heads[name]
            assert isinstance(own, Head)
            with torch.no_grad():
                wanted = as_float(head(head.picked(then.to(hidden.dtype))))
            found = as_float(own(own.picked(now.to(hidden.dtype))))
            total = total + (share * distance(wanted, found, head.chooses)).sum()
        if self.holds_states:
            size = then.square().mean(-1).clamp_min(1e-6)
            total = total + (share * (now - then).square().mean(-1) / size).sum()
        return self.weight * total


def distance(wanted: Tensor, found: Tensor, chooses: str | None) -> Tensor:
    """Return how far logits (N, C) are from others, (N,), which is 0 where they are equal.

    Args:
        wanted: What they were.
        found: What they are.
        chooses: ``one`` of the labels (divergence of softened distributions, times the square of
            the temperature), ``any`` (the same for each label), or None (mean square).
    """
    if chooses == "one":
        old, new = ((x / TEMPERATURE).log_softmax(-1) for x in (wanted, found))
        return TEMPERATURE**2 * (old.exp() * (old - new)).sum(-1)
    if chooses == "any":
        old = wanted.sigmoid()
        cross = F.binary_cross_entropy_with_logits(found, old, reduction="none")
        own = F.binary_cross_entropy_with_logits(wanted, old, reduction="none")
        return (cross - own).sum(-1)
    return (found - wanted).square().mean(-1)


def _shares(unit: Tensor) -> tuple[Tensor, Tensor]:
    """Return which of (B, T) tokens are real, (n,), and one over how many their unit has, (n,)."""
    rows = torch.arange(len(unit), device=unit.device)[:, None] * (unit.max() + 2)
    real = (unit >= 0).flatten().nonzero()[:, 0]
    numbers = (rows + unit).flatten()[real]
    _, inverse, counts = numbers.unique(return_inverse=True, return_counts=True)
    return real, 1.0 / counts[inverse].float()
