"""Compose a command's configuration, once, and report everything that is wrong with it at once.

Hydra puts files and overrides together, over the schema's defaults and without types; pydantic
checks the result against the schema (:mod:`mtl.config.section`), and :mod:`mtl.config.rules` what
has to hold between its keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.version import setbase
from omegaconf import DictConfig, OmegaConf, flag_override

from mtl.config.code import called
from mtl.config.groups import Groups
from mtl.config.hydra_errors import as_config_error
from mtl.config.keys import dotted_keys
from mtl.config.options import option_keys
from mtl.config.overrides import OPEN, Overrides, first_job, opened, read_overrides, unchosen
from mtl.config.plain import to_plain
from mtl.config.rules import broken_rules
from mtl.config.schema import Config, TaskConfig
from mtl.config.section import check
from mtl.errors import ConfigError, Place, Problem

if TYPE_CHECKING:
    from mtl.registry import Registry
    from mtl.tasks.base import TaskType

VERSION = "1.3"  # of Hydra whose behavior conf/ is written for
NAME = "train"


@dataclass
class Composed:
    """What a command asks for, checked."""

    config: Config
    cfg: DictConfig
    """The same as Hydra composed it, with Hydra's own settings."""
    typed: list[str]
    """The overrides for Hydra, its own settings among them."""
    hydra: Hydra
    """Runs a job, or launches a sweep."""

    @property
    def jobs(self) -> list[str]:
        """The overrides of a sweep, from which its sweeper makes those of the jobs."""
        return [text for text in self.typed if not text.lstrip("+~").startswith("hydra")]

    @property
    def multirun(self) -> bool:
        """Whether it is a sweep."""
        return bool(self.cfg.hydra.mode == RunMode.MULTIRUN)


def compose_checked(
    overrides: Sequence[str],
    folders: Sequence[Path],
    multirun: bool = False,
    task_types: Registry[TaskType] | None = None,
) -> Composed:
    """Compose the configuration of a command without side effects.

    Args:
        overrides: What was typed, tasks joined.
        folders: Configuration folders, the project's own first; a file of a later one wins over
            one of the same name.
        multirun: Whether it is a sweep; its varied values are left for its jobs to check.
        task_types: The registered task types; those of :mod:`mtl.tasks` when unset.

    Raises:
        ConfigError: With a problem for each misspelt group, choice or key and each wrong value.
    """
    groups = Groups(folders)
    read = read_overrides(overrides, groups, multirun)
    hydra = start_hydra(folders)
    misspelt = tuple(f"tasks.{name}." for name in read.wrong.get("task", []))
    read.values = [value for value in read.values if not value.key_or_group.startswith(misspelt)]
    try:
        cfg = _compose(hydra, [*read.choices, *read.hydra, *map(first_job, read.values)], folders)
    except ConfigError as error:
        raise ConfigError(*read.problems, *error.problems) from error
    if multirun or cfg.hydra.mode == RunMode.MULTIRUN:
        _add_sweep_file(read, cfg, groups)
    else:
        cfg.hydra.mode = RunMode.RUN
    problems = [*read.problems, *_files(read, cfg), *called(cfg.hydra)]
    problems += _called_in_jobs(hydra, read, folders)
    config, wrong = check_composed(cfg, task_types, groups.choices("task"), set(read.wrong))
    problems += [problem for problem in wrong if not _left_for_jobs(problem, read, config)]
    if problems:
        raise ConfigError(*dict.fromkeys(problems))
    composed = Composed(config, cfg, [opened(text) for text in overrides], hydra)
    with flag_override(cfg, ["struct", "readonly"], False):
        cfg.hydra.overrides.task = [text.removeprefix("++") for text in composed.jobs]
    return composed


def start_hydra(folders: Sequence[Path]) -> Hydra:
    """Return Hydra over some folders; see :func:`compose_checked`."""
    setbase(VERSION)
    store = ConfigStore.instance()
    # Without types: every key that is wrong is to reach our check, not Hydra's, which stops at one.
    store.store(group="schema", name="mtl", node=Config().model_dump(), package="_global_")
    GlobalHydra.instance().clear()
    places = create_config_search_path(str(folders[0].absolute()))
    for folder in folders[1:]:
        places.prepend("--config-dir", f"file://{folder.absolute()}", anchor="main")
    return Hydra.create_main_hydra2(NAME, places)


def _compose(hydra: Hydra, overrides: list[str], folders: Sequence[Path]) -> DictConfig:
    try:
        with as_config_error():
            cfg = hydra.compose_config(NAME, overrides, RunMode.RUN, with_log_configuration=False)
    except ConfigError:
        raise
    except Exception as error:  # Hydra meets a file that is no mapping in many ways
        raise ConfigError(_odd_file(folders[1:], error)) from error
    HydraConfig.instance().set_config(cfg)  # What ${hydra:...} reads; it locks the node.
    OmegaConf.set_struct(cfg, False)
    OmegaConf.set_readonly(cfg.hydra, False)
    return cfg


def _odd_file(folders: Sequence[Path], error: Exception) -> Problem | str:
    """Return the problem of the file that Hydra cannot have composed."""
    for file in (file for folder in folders for file in sorted(folder.glob("**/*.yaml"))):
        try:
            values = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as problem:
            return Problem(Place(file), "YAML", f"it cannot be read: {_first_line(problem)}")
        if values is not None and not (isinstance(values, dict) and all(map(_is_text, values))):
            return Problem(Place(file), "`key: value` lines", f"got {str(values)[:40]!r}")
    return f"Expected files that Hydra can compose, but got: {_first_line(error)}."


def _is_text(key: object) -> bool:
    return isinstance(key, str)


def _first_line(error: Exception) -> str:
    """Return what an error says first, without its full stop."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _files(read: Overrides, cfg: DictConfig) -> list[Problem]:
    """Return the problems of the chosen task files, and of keys of tasks that were not chosen."""
    tasks = cfg.get("tasks")
    known = list(tasks) if isinstance(tasks, DictConfig) else []
    typed = [name for name in known if not is_untyped(tasks[name])]
    problems = []
    misplaced = cfg.pop("task", None) is not None
    for name in read.chosen("task"):
        file = Place(f"task/{name}.yaml")
        if misplaced and name not in known:
            line = f"the line `# @package tasks.{name}` at its beginning"
            problems.append(Problem(file, line, "its keys are not there"))
        elif name in known and name not in typed:
            expected = f"`tasks.{name}.type` to be given, such as text_classification"
            problems.append(Problem(file, expected, "it is missing"))
    if problems:
        read.wrong.setdefault("task", [])
    # A trunk's or an experiment's file may have keys for a task that the run leaves out.
    for value in read.values:
        if (stray := unchosen(value, map(str, typed or known))) is not None:
            problems.append(stray)
            tasks.pop(value.key_or_group.split(".")[1], None)
    return problems


def is_untyped(task: object) -> bool:
    """Whether a task has keys, but its type is missing."""
    if not isinstance(task, Mapping | DictConfig):
        return False
    return "type" not in task or OmegaConf.is_missing(task, "type")


def _add_sweep_file(read: Overrides, cfg: DictConfig, groups: Groups) -> None:
    """Check what a sweep's file varies as if it had been typed."""
    cfg.hydra.mode = RunMode.MULTIRUN
    given = {value.key_or_group for value in read.values} | set(read.varied)
    params = cfg.hydra.sweeper.get("params") or {}
    texts = [f"{key}={value}" for key, value in params.items() if key not in given]
    more = read_overrides(texts, groups, multirun=True)
    read.problems += more.problems
    read.varied |= more.varied
    for value in more.values:
        first = yaml.safe_load(first_job(value).partition("=")[2])
        OmegaConf.update(cfg, value.key_or_group, first, force_add=True)
    read.values += more.values


def _called_in_jobs(hydra: Hydra, read: Overrides, folders: Sequence[Path]) -> list[Problem]:
    """Return what :func:`called` objects to in the other files that a sweep varies.

    The project's own files name nothing; those of further folders are read one after the other.
    """
    problems: list[Problem] = []
    for group, names in read.varied.items() if len(folders) > 1 else ():
        others = [text for text in read.choices if not text.startswith(f"{group}=")]
        for name in names:
            try:
                cfg = _compose(hydra, [*others, f"{group}={name}", *read.hydra], folders)
            except ConfigError:  # its own job will say so
                continue
            problems += called(cfg.hydra)
    return problems


def _left_for_jobs(problem: Problem, read: Overrides, config: Config) -> bool:
    """Whether a problem is about a value that a sweep varies, so that only one job may have it."""
    key = str(problem.where).partition("[")[0]
    known = dotted_keys(names=tuple(config.tasks))
    return key in read.varied and (key in known or key.rpartition(".")[0].endswith(OPEN))


def _choose(config: Config, skip: set[str]) -> None:
    """Put what it stands for in the place of what is left to be chosen."""
    from mtl.training.balancing.checks import AUTO, automatic

    if config.balancing.name == AUTO and "balancing" not in skip:
        config.balancing.name = automatic(config)


def check_composed(
    cfg: DictConfig,
    task_types: Registry[TaskType] | None = None,
    known_tasks: Sequence[str] | None = None,
    skip: set[str] | None = None,
) -> tuple[Config, list[Problem]]:
    """Return the typed tree of what Hydra composed, and everything that is wrong with it.

    Tasks that have keys but were not chosen are left out: an experiment may describe more tasks
    than a run trains, and so may the overrides of a sweep over sets of tasks.

    Args:
        cfg: What Hydra composed; the defaults of its tasks are filled in.
        task_types: The registered task types; those of :mod:`mtl.tasks` when unset.
        known_tasks: The tasks that have files; one without, and without a type, is misspelt. All
            are right when unset.
        skip: Groups whose choice is known to be wrong; rules about them are left out.
    """
    _fill_tasks(cfg, known_tasks)
    values, unresolved = to_plain(
        OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
    )
    tasks = values.get("tasks")
    names = tuple(map(str, tasks)) if isinstance(tasks, dict) else ()
    if task_types is None:
        from mtl.tasks import TASK_TYPES

        task_types = TASK_TYPES
    known = [*dotted_keys(names=names), *option_keys(values, task_types)]
    config, wrong = check(Config, values, known=known)
    for task in config.tasks.values():
        task.columns = {role: column for role, column in task.columns.items() if column is not None}
    _choose(config, skip or set())
    problems = []
    for why, (key, *more) in unresolved.items():
        advice = f"So it is with {len(more)} more keys." if more else ""
        problems.append(Problem(key, "to resolve", f"got: {why}", advice))
    failed = {key for keys in unresolved.values() for key in keys}
    problems += [problem for problem in wrong if problem.where not in failed]
    keys = [str(problem.where) for problem in problems]
    rules = broken_rules(config, task_types, skip or set())
    return config, problems + [rule for rule in rules if not _follows(str(rule.where), keys)]


def _fill_tasks(cfg: DictConfig, known: Sequence[str] | None) -> None:
    """Put the defaults of a task under what its file says; drop tasks that were not chosen."""
    tasks = cfg.get("tasks")
    with flag_override(cfg, ["struct", "readonly"], False):
        for name in list(tasks) if isinstance(tasks, DictConfig) else []:
            if is_untyped(tasks[name]) and (known is None or name in known):
                tasks.pop(name)
            elif isinstance(tasks[name], DictConfig):
                tasks[name] = OmegaConf.merge(TaskConfig().model_dump(), tasks[name])


def _follows(key: str, wrong: Sequence[str]) -> bool:
    """Whether a rule only fails since a key that it reads is wrong."""
    return any(key == w or key.startswith(f"{w}.") or w == f"{key}.type" for w in wrong)


def checked(cfg: DictConfig, task_types: Registry[TaskType] | None = None) -> Config:
    """Return the typed tree of what Hydra composed.

    Raises:
        ConfigError: With a problem for every key, type, value and rule that is wrong.
    """
    config, problems = check_composed(cfg, task_types)
    if problems:
        raise ConfigError(*problems)
    return config
