"""What runs have logged: metrics, tables, and where in W&B."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mtl.reporting.dashboard.tables import tables_of
from mtl.reporting.report.reading import read_run, runs_of


@dataclass
class Logged:
    """What some runs have logged."""

    names: list[str] = field(default_factory=list)
    """Full names of metrics."""
    primary: dict[str, str] = field(default_factory=dict)
    """Task to its primary metric."""
    tables: list[str] = field(default_factory=list)
    project: str = "mtl"
    entity: str | None = None


def logged(folders: Sequence[Path]) -> Logged:
    """Return what runs, or the runs of sweeps, have logged.

    Raises:
        CheckpointError: If a folder is none of a run.
    """
    found = Logged()
    for folder in (run for given in folders for run in runs_of(given, "mtl dashboard")):
        run = read_run(folder)
        found.names += [name for name in run.curves if name not in found.names]
        found.tables += [name for name in tables_of(run.evidence) if name not in found.tables]
        for split in run.evidence.values():
            tasks = split.get("tasks", {}).items()
            found.primary |= {task: str(one.get("metric")) for task, one in tasks}
        options = (run.config.get("logger") or {}).get("wandb") or {}
        found.project = str(options.get("project") or found.project)
        found.entity = options.get("entity") or found.entity
    return found
