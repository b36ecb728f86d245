"""What a run keeps in ``report/`` for its report: facts, curves, tables, and answers to look at.

``run.json`` is written when training begins, ``curves.csv`` grows with it, ``validation.json`` is
of the best validation so far, and ``test.json`` of the test.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lightning as L
import torch.distributed as dist

from mtl.config.section import Values
from mtl.files import write_whole
from mtl.metrics.base import TableMetric
from mtl.reporting.console import note
from mtl.reporting.report.files import FOLDER, TEST, VALIDATION
from mtl.training.checkpoint import RunCheckpoint
from mtl.training.evaluation import Evaluation, higher_is_better
from mtl.training.module import MultiTaskModule
from mtl.training.samples import Samples

FILES = {"val": VALIDATION, "test": TEST}


class KeepEvidence(L.Callback):
    """Writes down what the best validation and the test say.

    Args:
        run_dir: The run's folder.
        keeper: Knows the best validation; it is asked before it looks at the new one.
    """

    def __init__(self, run_dir: Path, keeper: RunCheckpoint) -> None:
        self.folder = run_dir / FOLDER
        self.keeper = keeper

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Let evaluations keep answers."""
        assert isinstance(pl_module, MultiTaskModule)
        for name in FILES:
            evaluation = pl_module.evaluation(name)
            if evaluation.samples is None:
                evaluation.samples = Samples(evaluation.tasks, evaluation.stores)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Keep a validation that is better than all before it."""
        assert isinstance(pl_module, MultiTaskModule)
        best, value = self.keeper.best_score, pl_module.results[self.keeper.monitor]
        better = best is None or self.keeper.sign * value > self.keeper.sign * best
        if better or self.keeper.save_top_k == 0:
            self._write(trainer, pl_module, "val")

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Keep the test."""
        assert isinstance(pl_module, MultiTaskModule)
        self._write(trainer, pl_module, "test")

    def _write(self, trainer: L.Trainer, module: MultiTaskModule, stage: str) -> None:
        """Write a file of evidence on the first rank; all ranks must call it."""
        evaluation = module.evaluation(stage)
        found = {
            "step": trainer.global_step,
            "metrics": {k: v for k, v in module.results.items() if k.startswith(f"{stage}/")},
            "tasks": evidence(evaluation),
        }
        if not trainer.is_global_zero:
            return
        try:
            self.folder.mkdir(exist_ok=True)
            write_whole(self.folder / FILES[stage], json.dumps(found, ensure_ascii=False))
        except OSError as error:
            note(f"{self.folder}: the report will lack this {stage}: {error.strerror}.")


def evidence(evaluation: Evaluation) -> dict[str, Values]:
    """Return tables, confusions and answers of each task over all ranks; all must ask."""
    samples = evaluation.samples
    own = samples.found() if samples is not None else {}
    every: list[Any] = [own]
    if dist.is_available() and dist.is_initialized():
        every = [None] * dist.get_world_size()
        dist.all_gather_object(every, own)
    joined = samples.found(_others(every, own)) if samples is not None else {}
    return {
        name: {
            "type": task.type,
            "metric": task.primary_metric,
            "higher_is_better": higher_is_better(task),
            "examples": len(evaluation.stores[name]),
            "tables": {
                title: [row._asdict() for row in rows]
                for title, rows in evaluation.tables(name).items()
            },
            "pairs": _pairs(evaluation, name),
            **joined.get(name, {}),
        }
        for name, task in evaluation.tasks.items()
    }


def _others(every: list[Any], own: dict[str, Values]) -> list[dict[str, Values]]:
    """Return what the other ranks kept."""
    rank = dist.get_rank() if len(every) > 1 else 0
    return [found for number, found in enumerate(every) if number != rank]


def _pairs(evaluation: Evaluation, name: str) -> Values:
    """Return the confusions of a task by the metric's name, with their labels."""
    found = {}
    for title, metric in evaluation.metrics(name).items():
        counts = metric.pairs() if isinstance(metric, TableMetric) else None
        if counts is not None:
            found[title] = {"labels": list(metric.labels), "counts": counts}
    return found
