"""Check a whole configuration and report everything that is wrong with it at once."""

from __future__ import annotations

from collections.abc import Container, Mapping, Set
from typing import TYPE_CHECKING, Any

from mtl.config.build import build
from mtl.config.keys import dotted_keys
from mtl.config.rules import broken_rules
from mtl.config.schema import Config
from mtl.errors import ConfigError, join_problems
from mtl.launch.importing import importing

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mtl.registry import Registry


def from_dictconfig(cfg: DictConfig, task_types: Registry[Any] | None = None) -> Config:
    """Return the typed tree of a composed configuration.

    Args:
        cfg: What Hydra composed, without its own ``hydra`` node.
        task_types: The registered task types; those of :mod:`mtl.tasks` when unset.

    Raises:
        ConfigError: With a sentence for every key, type, value and rule that is wrong.
    """
    config, problems = check(cfg, task_types)
    if problems:
        raise ConfigError(join_problems(problems))
    return config


def chosen_only(cfg: DictConfig, names: Container[str] | None = None) -> DictConfig:
    """Return the configuration without the tasks that have keys but were not chosen.

    An experiment may describe more tasks than a run trains; so may the overrides of a sweep over
    sets of tasks.

    Args:
        cfg: A composed configuration.
        names: The tasks that there are; others without a type are left, as they are misspelt.
            All are right when unset.
    """
    from omegaconf import DictConfig, OmegaConf

    cfg = cfg.copy()
    OmegaConf.set_struct(cfg, False)
    tasks = cfg.get("tasks")
    for name in list(tasks) if isinstance(tasks, DictConfig) else []:
        if is_untyped(tasks[name]) and (names is None or name in names):
            tasks.pop(name)
    return cfg


def from_plain(values: Mapping[str, Any]) -> Config:
    """Return the typed tree of plain values, such as a checkpoint keeps.

    Raises:
        ConfigError: With a sentence for every key, type and value that is wrong.
    """
    config, problems = build(Config, values, "", _known(values))
    if problems:
        raise ConfigError(join_problems(problems))
    return config


def check(
    cfg: DictConfig,
    task_types: Registry[Any] | None = None,
    skip: Set[str] = frozenset(),
) -> tuple[Config, list[str]]:
    """Return the typed tree, defaults in place of what is wrong, and all problems.

    Args:
        cfg: A composed configuration.
        task_types: The registered task types; those of :mod:`mtl.tasks` when unset.
        skip: Groups whose choice is known to be wrong; rules about them are left out.
    """
    from mtl.config.resolve import to_values

    values, unresolved = to_values(cfg)
    config, problems = build(Config, values, "", _known(values))
    problems = unresolved + problems
    for task in config.tasks.values():
        task.columns = {role: column for role, column in task.columns.items() if column is not None}
    if task_types is None:
        with importing("mtl.tasks"):
            from mtl.tasks import TASK_TYPES

        task_types = TASK_TYPES
    wrong = [_key(problem) for problem in problems]
    rules = broken_rules(config, task_types, skip)
    return config, problems + [rule for rule in rules if not _follows(_key(rule), wrong)]


def _key(problem: str) -> str:
    return problem.partition("`")[2].partition("`")[0]


def _follows(key: str, wrong: list[str]) -> bool:
    """Whether a rule only fails since a key that it reads is wrong."""
    return any(key == w or key.startswith(f"{w}.") or w == f"{key}.type" for w in wrong)


def is_untyped(task: Any) -> bool:
    """Whether a task has keys, but its type is missing."""
    from omegaconf import DictConfig, OmegaConf

    return isinstance(task, DictConfig) and (
        "type" not in task or OmegaConf.is_missing(task, "type")
    )


def _known(values: Mapping[str, Any]) -> list[str]:
    tasks = values.get("tasks")
    names = tuple(map(str, tasks)) if isinstance(tasks, Mapping) else ()
    return list(dotted_keys(Config, names))
