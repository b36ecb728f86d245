"""A sweep that searches: trials that Optuna proposes, run as jobs by Hydra's launcher.

Trials are asked for, run and told of in batches of ``search.workers``, in the order of their
numbers. What a search that was stopped has of trials is used when the same command goes on: trials
that ended are told of, those that did not are run anew.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import OmegaConf

from mtl.cli.folders import SWEEP
from mtl.cli.objectives import higher_is_better, objectives_of
from mtl.cli.outcomes import ENDED, Outcome, read_outcomes
from mtl.config.compose import Composed
from mtl.errors import ConfigError, Problem, one_of
from mtl.reporting.console import note
from mtl.search.space import Space, read_space
from mtl.search.study import FILE, Direction, number_of, open_study, sampler_of, tell, trials_of

if TYPE_CHECKING:
    from optuna import Study

Launch = Callable[[Sequence[Sequence[str]], int], object]
"""Runs jobs with these overrides, the first of which has this number."""
OWN = ("search.study=", "search.trial=")
"""Overrides that a search gives to its jobs."""
FREE = ("search.trials", "search.workers", "search.study", "search.trial")
"""Keys that may differ where a search goes on."""


def goes_on(folder: Path) -> bool:
    """Whether a folder holds a search that may go on."""
    return (folder / FILE).is_file()


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a search's folder, so that no other process goes on with it.

    Raises:
        ConfigError: If another one does.
    """
    with (folder / SWEEP).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            expected = "to be the folder of a search that has ended"
            found = f"{folder} is in use by another process"
            raise ConfigError(Problem("hydra.sweep.dir", expected, found)) from None
        yield


@dataclass
class Search:
    """The trials of one study.

    Args:
        composed: What the command asks for.
        folder: The sweep's.
        launch: Runs jobs.
    """

    composed: Composed
    folder: Path
    launch: Launch

    def __post_init__(self) -> None:
        config = self.composed.config
        self.settings = config.search
        self.objectives = objectives_of(config)
        self.space = space_of(self.composed)
        self.seed = config.seed if self.settings.seed is None else self.settings.seed
        self.study = self._open()

    def _open(self) -> Study:
        best = [higher_is_better(self.composed.config, name) for name in self.objectives]
        directions: list[Direction] = ["maximize" if high else "minimize" for high in best]
        own = self.settings.model_dump()
        rules = {f"search.{key}": str(own[key]) for key in own if f"search.{key}" not in FREE}
        signature = {n: v for n, v in self.space.signature().items() if n not in FREE}
        signature |= rules | {"search.objectives": str(self.objectives), "seed": str(self.seed)}
        return open_study(self.folder / FILE, signature, directions, self.settings)

    def run(self) -> None:
        """Run trials until there are as many as wanted.

        Raises:
            ConfigError: If a trial has not the objective.
        """
        total, size = self.settings.trials, self.settings.workers
        known = sum(trial.state.is_finished() for trial in trials_of(self.study).values())
        if known:
            note(f"search: going on after {known:,} of {total:,} trials in {self.folder}.")
        if len(self.objectives) > 1 and self.settings.pruner != "none":
            note("search: of several objectives none tells when a trial is to be pruned: none is.")
        while (start := self._first_open()) < total:
            self._batch(range(start, min(total, (start // size + 1) * size)))

    def _first_open(self) -> int:
        trials = trials_of(self.study)
        unfinished = (n for n, trial in trials.items() if not trial.state.is_finished())
        return min(unfinished, default=len(trials))

    def _batch(self, numbers: Sequence[int]) -> None:
        for number in range(number_of(self.study), numbers[-1] + 1):
            self.study.sampler = sampler_of(self.settings, self.seed, number)
            self.space.propose(self.study.ask())
        outcomes = self._outcomes()
        trials = trials_of(self.study)
        open_ones = [n for n in numbers if not trials[n].state.is_finished()]
        waiting = [n for n in open_ones if n not in outcomes or outcomes[n].status not in ENDED]
        for number in waiting:
            if number in outcomes:  # It was killed.
                shutil.rmtree(outcomes[number].folder, ignore_errors=True)
        for group in _runs(waiting):
            self.launch([self._job(number) for number in group], group[0])
        outcomes = self._outcomes()
        for number in open_ones:
            self._tell(outcomes[number])

    def _job(self, number: int) -> list[str]:
        trial = trials_of(self.study)[number]
        params = trial.params
        if params.keys() != self.space.varied.keys():  # It was killed while it was proposed.
            from optuna.trial import Trial

            self.study.sampler = sampler_of(self.settings, self.seed, number)
            params = self.space.propose(Trial(self.study, trial._trial_id))
        file = QuotedString(str(self.folder / FILE), Quote.single).with_quotes()
        own = [f"{OWN[0]}{file}", f"{OWN[1]}{number}"]
        return [*self.space.overrides(params), *own]

    def _outcomes(self) -> dict[int, Outcome]:
        return {outcome.job: outcome for outcome in read_outcomes(self.folder)}

    def _tell(self, outcome: Outcome) -> None:
        missing = [name for name in self.objectives if name not in outcome.metrics]
        if outcome.status == "done" and missing:
            known = [name for name in outcome.metrics if name.startswith("val/")]
            raise ConfigError(one_of("search.objectives", missing[0], known))
        values = [outcome.metrics.get(name, 0.0) for name in self.objectives]
        tell(self.study, outcome.job, outcome.status, values)


def space_of(composed: Composed) -> Space:
    """Return what a search varies: what its file says, and what was typed, which wins.

    Raises:
        ConfigError: If it varies nothing, or what cannot be searched.
    """
    params = composed.cfg.hydra.sweeper.get("params") or {}
    texts = [*(f"{key}={value}" for key, value in params.items()), *composed.jobs]
    loader = composed.hydra.config_loader
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(texts)
    typed = {override.key_or_group for override in parsed[len(params) :]}
    own = [o for o in parsed[: len(params)] if o.key_or_group not in typed]
    return read_space([*own, *parsed[len(params) :]])


def write_config(composed: Composed, folder: Path) -> None:
    """Write a sweep's configuration, as Hydra's own sweeper does."""
    OmegaConf.save(composed.cfg, folder / SWEEP)


def _runs(numbers: Sequence[int]) -> Iterator[list[int]]:
    """Yield numbers in groups of successive ones."""
    group: list[int] = []
    for number in numbers:
        if group and number != group[-1] + 1:
            yield group
            group = []
        group.append(number)
    if group:
        yield group
