"""Metrics for ``tensorboard --logdir RUN/tensorboard``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mtl.reporting.loggers.base import LOGGERS, RunFacts, RunLogger

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"


@LOGGERS.register("tensorboard")
class TensorBoardLogger(RunLogger):
    """Writes event files into ``tensorboard/``.

    A resumed run adds a file, which tells TensorBoard to hide what the stopped run wrote about
    the steps that are repeated.
    """

    package = "tensorboard"
    install = "'mtl[tensorboard]'"

    def __init__(self, facts: RunFacts) -> None:
        super().__init__(facts)
        self.path = facts.folder / FOLDER
        self._writer: SummaryWriter | None = None

    @property
    def experiment(self) -> SummaryWriter | None:
        """The writer, for what is no number; None before the first metrics."""
        return self._writer

    def write(self, metrics: Mapping[str, float], step: int) -> None:
        """Write one scalar a metric."""
        if self._writer is None:
            self._writer = self._begin(step)
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def _begin(self, step: int) -> SummaryWriter:
        from torch.utils.tensorboard import SummaryWriter

        resumed = self.path.is_dir() and any(self.path.iterdir())
        return SummaryWriter(str(self.path), purge_step=step + 1 if resumed else None)

    def finish(self, *, failed: bool) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
