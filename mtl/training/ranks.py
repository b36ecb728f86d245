"""Numbers of all ranks."""

from __future__ import annotations

import lightning as L
from torch import Tensor


def total(trainer: L.Trainer, value: Tensor) -> Tensor:
    """Return the sum over all ranks; all must ask."""
    found: Tensor = trainer.strategy.reduce(value, reduce_op="sum")
    return found


def gathered(trainer: L.Trainer, value: Tensor) -> Tensor:
    """Return the values of all ranks, (ranks, ...); all must ask."""
    found = trainer.strategy.all_gather(value.to(trainer.strategy.root_device))
    return found.reshape(trainer.world_size, *value.shape)
