"""Compose a command's configuration and report everything that is wrong with it at once."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mtl.config.code import called
from mtl.config.groups import Groups
from mtl.config.hydra_errors import as_config_error, sentence
from mtl.config.overrides import Overrides, read_overrides
from mtl.config.schema import Config, TaskConfig
from mtl.config.store import register
from mtl.config.validate import check, chosen_only, is_untyped
from mtl.errors import ConfigError, did_you_mean, join_problems

VERSION = "1.3"  # of Hydra whose behaviour conf/ is written for
NAME = "train"


@dataclass
class Composed:
    """What a command asks for, checked."""

    config: Config
    multirun: bool
    sweep_dir: str
    run_dir: str | None
    """None if only Hydra knows it, since it is named after the job."""


def compose_checked(
    overrides: Sequence[str],
    folders: Sequence[Path],
    multirun: bool = False,
    task_types: Any = None,
) -> Composed:
    """Compose the configuration of a command without side effects.

    Args:
        overrides: What was typed, tasks joined.
        folders: Configuration folders, the project's own first.
        multirun: Whether it is a sweep; its varied values are left for its jobs to check.
        task_types: The registered task types; those of :mod:`mtl.tasks` when unset.

    Raises:
        ConfigError: With a sentence for each misspelt group, choice or key and each wrong value.
    """
    groups = Groups(folders)
    read = read_overrides(overrides, groups, multirun)
    try:
        cfg = compose_untyped([*read.groups, *read.hydra], folders)
    except ConfigError as error:
        raise ConfigError(join_problems([*read.problems, str(error)])) from error
    sweep = multirun or cfg.hydra.mode == RunMode.MULTIRUN
    if sweep and cfg.hydra.sweeper.get("params"):
        _add_sweeper(read, cfg.hydra.sweeper.params, groups)
    typed = _typed_tasks(read.groups)
    files = _misplaced(typed, cfg)
    problems = read.problems + _apply(read, cfg) + called(cfg.hydra)
    problems += _called_in_jobs(read, folders)
    files += _without_type(typed, cfg)
    own = chosen_only(cfg, groups.choices("task"))
    del own["hydra"]
    skip = {*read.broken, *read.varied, *(["task"] if files else [])}
    config, wrong = check(own, task_types, skip)
    problems += files + [problem for problem in wrong if not _for_its_job(problem, read.swept)]
    if problems:
        raise ConfigError(join_problems(list(dict.fromkeys(problems))))
    with as_config_error():
        named = "${hydra" in str(OmegaConf.to_container(cfg.hydra.run, resolve=False))
        run_dir = None if named else str(cfg.hydra.run.dir)
        return Composed(config, sweep, str(cfg.hydra.sweep.dir), run_dir)


def compose_untyped(overrides: Sequence[str], folders: Sequence[Path]) -> DictConfig:
    """Compose files and groups, with every default but without types, ``hydra`` included."""
    try:
        cfg = _compose(["schema=untyped", *search_path(folders[1:]), *overrides], folders[0])
    except ConfigError:
        raise
    except Exception as error:  # Hydra meets a file that is no mapping in many ways
        raise ConfigError(_odd_file(folders[1:], error)) from error
    OmegaConf.set_struct(cfg, False)
    _fill_tasks(cfg)
    return cfg


def _odd_file(folders: Sequence[Path], error: Exception) -> str:
    """Return a sentence on the file that Hydra cannot have composed."""
    for file in (file for folder in folders for file in sorted(folder.glob("**/*.yaml"))):
        try:
            values = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as problem:
            return f"{file}: Expected YAML, but it cannot be read: {first_line(problem)}."
        if not (values is None or (isinstance(values, dict) and all_text(values))):
            return f"{file}: Expected `key: value` lines, but got {str(values)[:40]!r}."
    return f"Expected files that Hydra can compose, but got: {first_line(error)}."


def all_text(values: Mapping[Any, Any]) -> bool:
    """Whether all keys of a mapping are texts."""
    return all(isinstance(key, str) for key in values)


def first_line(error: Exception) -> str:
    """Return what an error says first, without its full stop."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def run_folder(overrides: Sequence[str], conf: Path) -> str:
    """Return the folder of a run as Hydra would name it.

    Args:
        overrides: What Hydra is to be called with.
        conf: The project's configuration folder.

    Raises:
        ConfigError: If Hydra refuses an override.
    """
    cfg = _compose(overrides, conf)
    with as_config_error():
        return str(cfg.hydra.run.dir)


def _compose(overrides: Sequence[str], conf: Path) -> DictConfig:
    register()
    with as_config_error(), initialize_config_dir(str(conf.absolute()), version_base=VERSION):
        return compose(NAME, list(overrides), return_hydra_config=True)


def search_path(folders: Sequence[Path]) -> list[str]:
    """Return the override that makes Hydra look into further folders."""
    places = ",".join(f"'file://{folder.absolute()}'" for folder in folders)
    return [f"hydra.searchpath=[{places}]"] if folders else []


def _fill_tasks(cfg: DictConfig) -> None:
    """Put the defaults of a task under what its file says."""
    defaults = OmegaConf.to_container(OmegaConf.structured(TaskConfig))
    if not isinstance(cfg.get("tasks"), DictConfig):
        return
    for name, task in cfg.tasks.items():
        if isinstance(task, DictConfig):
            cfg.tasks[name] = OmegaConf.merge(defaults, task)


def _typed_tasks(groups: Sequence[str]) -> list[str]:
    """Return the tasks that a command chooses by name."""
    chosen = next((text for text in groups if text.startswith("task=")), "")
    return [name for name in chosen.partition("=")[2].strip("[]").split(",") if name]


def _misplaced(typed: Sequence[str], cfg: DictConfig) -> list[str]:
    """Take out what task files without a package line gave; return a sentence for each file."""
    if cfg.pop("task", None) is None:
        return []
    return [
        f"Expected task/{name}.yaml to begin with the line `# @package tasks.{name}`, but its keys "
        "are not there."
        for name in typed
        if name not in (cfg.get("tasks") or {})
    ]


def _without_type(typed: Sequence[str], cfg: DictConfig) -> list[str]:
    """Return a sentence for each chosen task that has keys, but no type."""
    tasks = cfg.get("tasks")
    return [
        f"Expected `tasks.{name}.type` to be given in task/{name}.yaml, such as "
        "text_classification, but it is missing."
        for name in typed
        if isinstance(tasks, DictConfig) and name in tasks and is_untyped(tasks[name])
    ]


def _add_sweeper(read: Overrides, params: Any, groups: Groups) -> None:
    """Check what a sweep's file varies as if it had been typed."""
    given = {override.key_or_group for override in (*read.values, *read.swept)}
    texts = [f"{key}={value}" for key, value in params.items() if key not in given]
    more = read_overrides(texts, groups, multirun=True)
    read.problems += more.problems
    read.swept += more.swept
    read.broken |= more.broken
    read.varied |= more.varied


def _called_in_jobs(read: Overrides, folders: Sequence[Path]) -> list[str]:
    """Return what :func:`called` finds in the other files that a sweep varies.

    The project's own files name nothing; those of further folders are read one after the other.
    """
    if len(folders) == 1:
        return []
    found = []
    for text in read.varied_files:
        group = text.partition("=")[0]
        others = [other for other in read.groups if other.partition("=")[0] != group]
        with contextlib.suppress(ConfigError):  # its own job will say so
            found += called(compose_untyped([*others, text, *read.hydra], folders).hydra)
    return found


def _for_its_job(problem: str, swept: Sequence[Override]) -> bool:
    """Whether a problem is about a value that a sweep varies, so that only one job may have it."""
    return any(problem.startswith(f"Expected `{override.key_or_group}`") for override in swept)


def _apply(read: Overrides, cfg: DictConfig) -> list[str]:
    """Put typed values into the tree; return a sentence for each that has no place there."""
    problems = []
    for override in [*read.values, *read.swept]:
        key = override.key_or_group
        if _of_task(key, read.broken.get("task", [])):
            continue
        if not (override.is_add() or override.is_force_add()) and (
            problem := _unchosen(key, cfg.get("tasks"))
        ):
            problems.append(problem)
            continue
        try:
            _set(cfg, key, override)
        except OmegaConfBaseException as error:
            problems.append(f"Unknown key `{key}`: {sentence(error)}")
    return problems


def _of_task(key: str, names: Sequence[str]) -> bool:
    return any(key.startswith(f"tasks.{name}.") for name in names)


def _unchosen(key: str, tasks: Any) -> str | None:
    """Return a sentence if a key belongs to a task that the run does not have."""
    parts = key.split(".")
    known = list(tasks) if isinstance(tasks, DictConfig) else []
    # A trunk's or an experiment's file may have keys for a task that the run leaves out.
    chosen = [name for name in known if not is_untyped(tasks[name])] or known
    if parts[0] != "tasks" or len(parts) < 3 or parts[1] in chosen:
        return None
    return (
        f"Expected `{key}` to be about a chosen task, one of {{{', '.join(map(str, chosen))}}}, but"
        f" got '{parts[1]}'.{did_you_mean(parts[1], chosen)}"
    )


def _set(cfg: DictConfig, key: str, override: Override) -> None:
    if override.is_delete():
        node, _, leaf = key.rpartition(".")
        parent = OmegaConf.select(cfg, node) if node else cfg
        if isinstance(parent, DictConfig):
            parent.pop(leaf, None)
        return
    OmegaConf.update(cfg, key, _one_value(override), merge=True, force_add=True)


def _one_value(override: Override) -> Any:
    """Return the value of an override, the first one if a sweep varies it."""
    if not override.is_sweep_override():
        return override.value()
    if override.is_discrete_sweep():
        return Override._convert_value(next(iter(override.sweep_iterator())))
    return getattr(override.value(), "start", None)
