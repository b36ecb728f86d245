"""What a head reads of a trunk's layers: the last one, another one, or a learned mix of all.

Shapes: G outputs, D hidden, K layers whose states stand beside each other, the last one's first.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class OneLayer(nn.Module):
    """The states of one layer, normalized; those of the last one are as they are.

    Args:
        size: D.
        place: Which of the K it is.
    """

    def __init__(self, size: int, place: int) -> None:
        super().__init__()
        self.size = size
        self.place = place

    def forward(self, states: Tensor) -> Tensor:
        """Return (G, D) of (G, K * D) states."""
        found = states[:, self.place * self.size : (self.place + 1) * self.size]
        return F.layer_norm(found, (self.size,)) if self.place else found


class LayerMix(nn.Module):
    """A weighted mean of all layers, times a factor: ``gamma * sum_k softmax(s)_k h_k``.

    Peters et al. 2018 (ELMo), equation 1, with the states normalized first, as they suggest; the
    weights s and the factor gamma are learned. It begins with the plain mean.

    Args:
        size: D.
        layers: K.
    """

    def __init__(self, size: int, layers: int) -> None:
        super().__init__()
        self.size = size
        self.weights = nn.Parameter(torch.zeros(layers))
        self.gamma = nn.Parameter(torch.ones(()))

    def forward(self, states: Tensor) -> Tensor:
        """Return (G, D) of (G, K * D) states; the weights are in the order of the layers."""
        parts = states.unflatten(1, (len(self.weights), self.size)).roll(-1, 1)
        normal = F.layer_norm(parts, (self.size,))
        share = self.weights.softmax(0).to(normal.dtype)
        return self.gamma.to(normal.dtype) * (share[:, None] * normal).sum(1)
