"""A trial of a search that is ended early, because others were better at the same validation."""

from __future__ import annotations

from typing import Any

import lightning as L
from lightning.pytorch.trainer.states import TrainerFn

from mtl.config.schema import Config
from mtl.config.section import Values
from mtl.reporting.console import is_rank_zero, note
from mtl.search.study import Reports


class PruneTrial(L.Callback):
    """Reports each validation of a trial, and stops where the study says so.

    Args:
        reports: The trial; None on other ranks than the first.
        objective: The metric that is reported.
        planned: Steps of the whole run.
    """

    def __init__(self, reports: Reports | None, objective: str, planned: int) -> None:
        self.reports = reports
        self.objective = objective
        self.planned = planned
        self.validations = 0
        self.pruned = False

    def state_dict(self) -> Values:
        """Return how many validations there were, for a run that goes on."""
        return {"validations": self.validations}

    def load_state_dict(self, state_dict: Values) -> None:
        """Take back how many validations there were."""
        self.validations = int(state_dict["validations"])

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Report, and end training after this step if the trial is pruned."""
        if trainer.state.fn != TrainerFn.FITTING:
            return
        self.validations += 1
        step, prune = trainer.global_step, False
        if self.reports is not None:
            results: Any = pl_module.results
            value = results[self.objective]
            prune = self.reports.add(step, self.planned, self.validations, value)
        if trainer.world_size > 1:
            prune = bool(trainer.strategy.reduce_boolean_decision(prune, all=False))
        if prune:
            self.pruned = trainer.should_stop = True
            note(f"pruned after step {step:,} of {self.planned:,}: earlier trials were better.")


def pruner_of(cfg: Config, planned: int) -> PruneTrial | None:
    """Return what reports a run's validations to its search; None if it is no trial of one."""
    settings = cfg.search
    if settings.trial is None or settings.study is None:
        return None
    reports = Reports(settings) if is_rank_zero() else None
    return PruneTrial(reports, (settings.objectives or [cfg.monitor])[0], planned)
