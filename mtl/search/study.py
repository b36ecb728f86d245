"""A study on disk: Optuna's journal in the sweep's folder, which its jobs report to.

A trial's sampler is seeded by the trial's number, and trials are told of in the order of their
numbers, so that a search that was killed and goes on proposes what it would have proposed.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mtl.config.schema import SearchConfig
from mtl.config.section import Values
from mtl.errors import ConfigError, Place, Problem, few

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import JournalStorage
    from optuna.trial import FrozenTrial

Direction = Literal["maximize", "minimize"]
FILE, NAME, SIGNATURE = "study.log", "search", "signature"
STEPS, PLANNED, PRUNED = "steps", "planned", "pruned"
"""What a job says of its training: steps taken, steps of the whole run, whether it was pruned."""


def check_installed() -> None:
    """Refuse a search without Optuna.

    Raises:
        ConfigError: With the extra to install.
    """
    try:
        import optuna
    except ImportError as error:
        expected = "to be null, because Optuna is not installed"
        advice = "Install it: pip install 'mtl[search]'."
        raise ConfigError(Problem("search.engine", expected, "got optuna", advice)) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def open_study(
    file: Path,
    signature: Mapping[str, str],
    directions: Sequence[Direction],
    settings: SearchConfig,
) -> Study:
    """Return the study of a search, a new one or one that was begun by the same command.

    Args:
        file: The journal.
        signature: What makes two searches the same.
        directions: Of each objective.
        settings: Of the search.

    Raises:
        ConfigError: If the file is no study, or that of another search.
    """
    import optuna

    check_installed()
    _check_lines(file)
    try:
        storage = _storage(file)
        names = [study.study_name for study in storage.get_all_studies()]
        new = not names
        if not new and names != [NAME]:
            raise ConfigError(_other(file, f"holds a study called {few(names)}"))
        if new:
            study = optuna.create_study(storage=storage, study_name=NAME, directions=directions)
        else:
            study = optuna.load_study(study_name=NAME, storage=storage)
    except ConfigError:
        raise
    except Exception as error:  # A journal of JSON that is no study's may fail anywhere.
        raise ConfigError(_damaged(Place(file), f"{type(error).__name__}: {error}")) from error
    if new:
        study.set_user_attr(SIGNATURE, dict(signature))
    elif (known := study.user_attrs.get(SIGNATURE)) != dict(signature):
        raise ConfigError(_other(file, _difference(known or {}, signature)))
    study.pruner = pruner_of(settings)
    return study


def _storage(file: Path) -> JournalStorage:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(str(file)))


def _check_lines(file: Path) -> None:
    """Cut off a line whose writing was killed, and refuse others that cannot be read."""
    if not file.is_file():
        return
    content = file.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            found = json.loads(line)
        except ValueError as error:
            raise ConfigError(_damaged(Place(file, number), str(error))) from None
        if not isinstance(found, dict):
            raise ConfigError(_damaged(Place(file, number), "it is no object"))
    if len(whole) < len(content):
        file.write_bytes(whole)


def _damaged(place: Place, why: str) -> Problem:
    advice = "Remove the file to begin the search anew, or choose another `hydra.sweep.dir`."
    return Problem(place, "a study of Optuna", f"it cannot be read ({why.rstrip('.')})", advice)


def _other(file: Path, what: str) -> Problem:
    expected = "to be a new folder, or that of a search which the same command began"
    advice = "Choose another folder, or repeat the command that began it."
    return Problem("hydra.sweep.dir", expected, f"{file} {what}", advice)


def _difference(known: Mapping[str, str], asked: Mapping[str, str]) -> str:
    """Return the first key in which two searches differ, in words."""
    key = next(key for key in {**known, **asked} if known.get(key) != asked.get(key))
    has, wants = (side.get(key, "unset") for side in (known, asked))
    return f"was begun with {key}={has}, and now it is {wants}"


def sampler_of(settings: SearchConfig, seed: int, number: int) -> Any:
    """Return what proposes the values of a trial of this number."""
    from optuna.samplers import RandomSampler, TPESampler

    own = (seed * 1_000_003 + number) % 2**32
    if settings.sampler == "random":
        return RandomSampler(seed=own)
    return TPESampler(seed=own, n_startup_trials=settings.startup)


def pruner_of(settings: SearchConfig) -> Any:
    """Return what decides which trials go on."""
    from optuna.pruners import MedianPruner, NopPruner

    if settings.pruner == "none" or len(settings.objectives) > 1:
        return NopPruner()
    return MedianPruner(n_startup_trials=settings.startup, n_warmup_steps=settings.warmup + 1)


def number_of(study: Study) -> int:
    """Return how many trials a study has."""
    return len(study.get_trials(deepcopy=False))


def trials_of(study: Study) -> dict[int, FrozenTrial]:
    """Return a study's trials by number."""
    return {trial.number: trial for trial in study.get_trials(deepcopy=False)}


def tell(study: Study, number: int, status: str, values: Sequence[float]) -> None:
    """Tell a study how a trial ended: ``done`` with its values, ``pruned``, or not well."""
    from optuna.trial import TrialState

    if status == "done" and all(map(math.isfinite, values)):
        study.tell(number, list(values))
        return
    state = TrialState.PRUNED if status == "pruned" else TrialState.FAIL
    study.tell(number, state=state)


@dataclass
class Reports:
    """What a job says of its trial while it runs, and is told.

    Args:
        settings: With the study's file and the trial's number.
    """

    settings: SearchConfig

    def __post_init__(self) -> None:
        import optuna

        check_installed()
        assert self.settings.study is not None
        storage = _storage(Path(self.settings.study))
        pruner = pruner_of(self.settings)
        self.study = optuna.load_study(study_name=NAME, storage=storage, pruner=pruner)
        self.single = len(self.study.directions) == 1
        frozen = trials_of(self.study)[self.settings.trial or 0]
        self.finished = frozen.state.is_finished()
        """Whether it was told of already: a run of it goes on by itself."""
        self.trial = optuna.trial.Trial(self.study, frozen._trial_id)

    def add(self, step: int, planned: int, validation: int, value: float) -> bool:
        """Report a validation; returns whether the trial is to be pruned.

        Args:
            step: Steps taken.
            planned: Steps of the whole run.
            validation: Its number, counted from 1.
            value: Of the objective.
        """
        if self.finished:
            return False
        prune = False
        if self.single and math.isfinite(value):
            with warnings.catch_warnings():  # A job that was killed has reported some before.
                warnings.simplefilter("ignore")
                self.trial.report(value, validation)
                prune = step < planned and bool(self.trial.should_prune())
        for name, found in ((STEPS, step), (PLANNED, planned), (PRUNED, prune)):
            self.trial.set_user_attr(name, found)
        return prune


def said_of(settings: SearchConfig) -> Values:
    """Return what the job of a trial has said: its steps, and whether it was pruned."""
    study = Reports(settings).study
    return dict(trials_of(study)[settings.trial or 0].user_attrs)
