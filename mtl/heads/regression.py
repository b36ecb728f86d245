"""A head that estimates a number."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from mtl.heads.base import LinearHead, as_float


class RegressionHead(LinearHead):
    """One number per output, by squared error on standardised targets."""

    def __init__(self, hidden_size: int, dropout: float = 0.0) -> None:
        super().__init__(hidden_size, 1, dropout)

    def loss_sum(self, logits: Tensor, targets: dict[str, Tensor]) -> Tensor:
        """Return the summed squared error; `targets["values"]` is (G,)."""
        return F.mse_loss(as_float(logits)[:, 0], targets["values"].float(), reduction="sum")

    def mass(self, targets: dict[str, Tensor]) -> float:
        """Return the number of targets."""
        return float(targets["values"].numel())
