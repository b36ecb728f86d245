"""What validations decide of the mixture: shares that follow scores, and tasks that leave.

Scores are those over all ranks, so that every rank decides alike. What was decided is part of each
checkpoint, and a resumed run plans the steps of the unbroken one.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import lightning as L
from lightning.pytorch.trainer.states import TrainerFn

from mtl.config.schema import MixingConfig
from mtl.config.section import Values
from mtl.data.mixing import Changing, Mixer
from mtl.data.plan import Planner
from mtl.data.rounds import Decision, Rounds
from mtl.errors import ConfigError, Problem, few, one_of
from mtl.metrics.names import metric_name
from mtl.reporting.console import note
from mtl.tasks import Task
from mtl.training.evaluation import higher_is_better


def follows(section: MixingConfig, mixer: Mixer) -> bool:
    """Whether the mixture changes with validations."""
    by_scores = isinstance(mixer, Changing) and mixer.follows_scores
    return by_scores or section.patience is not None


def check_scores(section: MixingConfig, mixer: Mixer, tasks: Sequence[Task]) -> None:
    """Refuse shares by scores where a task has none from 0 to 1, and targets of no task.

    Raises:
        ConfigError: Then.
    """
    if not (isinstance(mixer, Changing) and mixer.follows_scores):
        return
    names = [task.name for task in tasks]
    for name in section.options.get("targets", {}):
        if name not in names:
            raise ConfigError(one_of("mixing.options.targets", name, names))
    lower = [task for task in tasks if not higher_is_better(task)]
    if lower:
        raise ConfigError(
            Problem(
                "mixing.name",
                f"to be another than {section.name}, which needs scores from 0 to 1",
                f"{lower[0].primary_metric} of task '{lower[0].name}' is better the lower it is",
                f"Set `tasks.{lower[0].name}.metric` to another one, or mixing=temperature.",
            )
        )


def check_stages(section: MixingConfig, resting: Collection[str]) -> None:
    """Refuse a stage whose tasks are all held as they are.

    Raises:
        ConfigError: Then.
    """
    for number, stage in enumerate(section.stages):
        if set(stage.tasks) <= set(resting):
            expected, found = "to name a task that is trained", f"got {few(stage.tasks)}"
            advice = "Leave the stage out, or set init.rehearse."
            raise ConfigError(Problem(f"mixing.stages[{number}].tasks", expected, found, advice))


def say_what_stays(section: MixingConfig, mixer: Mixer, rounds: Rounds) -> None:
    """Say that shares which change from epoch to epoch do not in a run of one."""
    changes = isinstance(mixer, Changing) and not mixer.follows_scores
    if changes and rounds.total <= rounds.steps_per_epoch:
        note(
            f"mixing.name={section.name} changes shares from epoch to epoch, and this run has no "
            "second one: they stay as in the first."
        )


def following(
    section: MixingConfig, planner: Planner, tasks: Mapping[str, Task]
) -> list[L.Callback]:
    """Return what tells a planner of validations, where the mixture follows them."""
    if planner.rounds.every is None:
        return []
    trained = {name: task for name, task in tasks.items() if planner.rounds.sizes[name]}
    return [FollowValidations(planner, trained, section.patience, section.min_delta)]


class FollowValidations(L.Callback):
    """Tells the planner what each validation decides.

    Args:
        planner: Plans the steps after it.
        tasks: Those that are trained, by name.
        patience: Validations without a better score after which a task leaves; never when None.
        min_delta: How much better counts as better.
    """

    def __init__(
        self,
        planner: Planner,
        tasks: Mapping[str, Task],
        patience: int | None,
        min_delta: float,
    ) -> None:
        self.planner = planner
        self.tasks = tasks
        self.patience = patience
        self.min_delta = min_delta
        self.best: dict[str, float] = {}
        self.waited: dict[str, int] = dict.fromkeys(tasks, 0)
        self.left: list[str] = []

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Change the shares of what follows; end the run where every task has left."""
        if trainer.state.fn != TrainerFn.FITTING:
            return
        results: Any = pl_module.results
        found = {n: results[_metric(task)] for n, task in self.tasks.items()}
        step = trainer.global_step
        leaving = [n for n, score in found.items() if n not in self.left and self._done(n, score)]
        for name in leaving:
            self._say(name, step)
        self.left += leaving
        usable = {n: score for n, score in found.items() if math.isfinite(score)}
        self.planner.decide(Decision(step, usable, list(self.left)))
        if len(self.left) == len(self.tasks):
            note(f"every task has left the mixture: training ends after step {step:,}.")
            trainer.should_stop = True

    def _done(self, name: str, score: float) -> bool:
        """Count a score; returns whether it was the last one that had to be better."""
        if self.patience is None:
            return False
        sign = 1.0 if higher_is_better(self.tasks[name]) else -1.0
        best = self.best.get(name)
        better = best is None or sign * score > sign * best + self.min_delta
        if math.isfinite(score) and better:
            self.best[name], self.waited[name] = score, 0
        else:
            self.waited[name] += 1
        return self.waited[name] >= self.patience

    def _say(self, name: str, step: int) -> None:
        count = self.waited[name]
        times = "1 validation" if count == 1 else f"{count:,} validations"
        best = f"{self.best[name]:.4f}" if name in self.best else "a number"
        others = [n for n in self.tasks if n != name and n not in self.left]
        then = f"; its part goes to {few(others)}" if others else ""
        note(
            f"{name} leaves the mixture after step {step:,}: {_metric(self.tasks[name])} has not "
            f"been better than {best} for {times}{then} (mixing.patience={self.patience})."
        )

    def state_dict(self) -> Values:
        """Return what was decided so far."""
        return {
            "history": self.planner.rounds.state(),
            "best": dict(self.best),
            "waited": dict(self.waited),
            "left": list(self.left),
            "all_left": len(self.left) == len(self.tasks),
        }

    def load_state_dict(self, state_dict: Values) -> None:
        """Take back what was decided."""
        self.planner.rounds.load_state(state_dict["history"])
        self.best, self.waited = dict(state_dict["best"]), dict(state_dict["waited"])
        self.left = list(state_dict["left"])


def _metric(task: Task) -> str:
    return metric_name("val", task.name, task.primary_metric)
