"""What our metrics share: states that are added to, and tables over all ranks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import numpy.typing as npt
import torch
from torchmetrics import Metric, MetricCollection

R = TypeVar("R")


def on_this_rank(metrics: MetricCollection) -> None:
    """Let metrics count what this rank sees alone, because every rank sees the same."""
    for metric in metrics.values():
        metric.distributed_available_fn = lambda: False


class TableMetric(Metric, Generic[R]):
    """A metric with a table; `R` is the type of its rows."""

    full_state_update = False
    is_differentiable = False

    @property
    def update_called(self) -> bool:
        """True: a rank that had no example joins with a state as good as any."""
        return True

    @abstractmethod
    def rows(self) -> Sequence[R]:
        """Return the table's rows from the state as it is; each metric says which."""

    def table(self) -> list[R]:
        """Return the table's rows over all ranks; every rank must call it, as with ``compute``."""
        with self.sync_context(dist_sync_fn=self.dist_sync_fn, should_sync=not self._is_synced):
            return list(self.rows())

    def pairs(self) -> list[list[int]] | None:
        """Return how often each label (row) was given each label (column), where that is known.

        Over all ranks: every rank must call it.
        """
        return None


class CountMetric(TableMetric[R]):
    """A metric whose states are sums, which ranks add up."""

    def count(self, name: str, *shape: int, dtype: torch.dtype = torch.int64) -> None:
        """Declare a state of zeros that ranks sum."""
        self.add_state(name, torch.zeros(shape, dtype=dtype), dist_reduce_fx="sum")

    def add(self, name: str, values: npt.ArrayLike) -> None:
        """Add to a state."""
        state = getattr(self, name)
        setattr(self, name, state + torch.as_tensor(values, dtype=state.dtype, device=state.device))

    def counts(self, name: str) -> npt.NDArray[Any]:
        """Return a state as an array on the host."""
        array: npt.NDArray[Any] = getattr(self, name).cpu().numpy()
        return array
