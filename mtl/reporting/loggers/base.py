"""What W&B, TensorBoard and CSV loggers share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from mtl.config.schema import WandbConfig
from mtl.metrics.names import SCORE, metric_name
from mtl.registry import Registry

TaskMetricNames = Mapping[str, tuple[Sequence[str], Collection[str]]]
"""Task to its metrics' names, and those of them that are lower when better."""


@dataclass(frozen=True)
class RunFacts:
    """What a logger is told about a run."""

    folder: Path
    config: Mapping[str, object] = field(default_factory=dict)
    """Resolved, as plain values; secrets already hidden."""
    directions: Mapping[str, str] = field(default_factory=dict)
    """Full metric name to ``max`` or ``min``."""
    wandb: WandbConfig = field(default_factory=WandbConfig)
    sweep: str | None = None
    """The sweep's name."""
    job: str | None = None
    """The job's number in the sweep."""


class RunLogger(Logger):
    """Writes a run's metrics into the run's folder, on rank 0.

    Nothing is closed when Lightning's Trainer ends a stage, since the next one goes on logging;
    :meth:`finish` closes.
    """

    package: ClassVar[str | None] = None
    """The module that it needs, if that may be missing."""
    install: ClassVar[str] = ""
    """What to give to pip where it is missing."""

    def __init__(self, facts: RunFacts) -> None:
        super().__init__()
        self.facts = facts
        self._step = 0

    @property
    def name(self) -> str:
        """The logger's own name."""
        return type(self).__name__

    @property
    def version(self) -> str:
        """The run's folder tells runs apart."""
        return self.facts.folder.name

    @property
    def save_dir(self) -> str:
        """The run's folder."""
        return str(self.facts.folder)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log metrics by full name, at a number of optimiser steps."""
        self._step = self._step if step is None else step
        self.write({name: float(value) for name, value in metrics.items()}, self._step)

    def log_hyperparams(self, *args: object, **kwargs: object) -> None:
        """Do nothing: the configuration was logged at the start."""

    @abstractmethod
    def write(self, metrics: Mapping[str, float], step: int) -> None:
        """Write metrics; called on rank 0 only."""

    @abstractmethod
    def finish(self, *, failed: bool) -> None:
        """Write what is left and close; called once, on every rank."""


LOGGERS: Registry[type[RunLogger]] = Registry("logger")


def directions(tasks: TaskMetricNames) -> dict[str, str]:
    """Return which way each metric is better: ``max`` or ``min``, by full name."""
    found = {SCORE: "max", metric_name("test", None, "score"): "max"}
    for task, (metrics, lower) in tasks.items():
        for stage in ("val", "test"):
            found.update(
                {metric_name(stage, task, m): "min" if m in lower else "max" for m in metrics}
            )
        found[metric_name("train", task, "loss")] = "min"
    found[metric_name("train", None, "loss")] = "min"
    return found
