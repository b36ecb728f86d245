"""What has to hold between the keys of a configuration."""

from __future__ import annotations

import codecs
from collections.abc import Set
from typing import TYPE_CHECKING, Any

from mtl.config.build import NOT_GIVEN, build
from mtl.config.nearest import choose, unknown_key
from mtl.config.schema import Config, TaskConfig
from mtl.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from mtl.registry import Registry

LONGEST_NAME = 50
NAME = f"letters, digits, `_` and `-`, at most {LONGEST_NAME} of them"
ID = "id"  # the column of a row's own name, which every task may have


def broken_rules(config: Config, task_types: Registry[Any], skip: Set[str]) -> list[str]:
    """Return a sentence for each rule that does not hold.

    Args:
        config: A configuration whose keys and types are right.
        task_types: The registered task types.
        skip: Groups whose choice is wrong already; their rules say nothing.
    """
    problems = []
    if "task" not in skip:
        problems += _tasks(config.tasks, task_types) + _monitor(config, task_types)
    if "trunk" not in skip:
        problems += _trunk(config)
    if "tuning" not in skip:
        problems += _tuning(config)
    return problems + _trainer(config) + _logger(config)


def _tasks(tasks: dict[str, TaskConfig], task_types: Registry[Any]) -> list[str]:
    if not tasks:
        return ["Expected `task` to name at least one task, such as task=ner,sentiment."]
    typed = [name for name, task in tasks.items() if task.type != NOT_GIVEN]
    problems = []
    for name, task in tasks.items():
        if task.type == NOT_GIVEN:
            problems.append(_untyped(name, typed))
        else:
            problems += _task(f"tasks.{name}", name, task, task_types)
    if tasks and not any(task.weight > 0 for task in tasks.values()):
        problems.append("Expected at least one `tasks.<name>.weight` above 0, but all are 0.")
    return problems


def _untyped(name: str, typed: list[str]) -> str:
    """Return the sentence for a task that has keys but no type: most likely a misspelt name."""
    return (
        f"Expected `tasks.{name}` to be a chosen task, one of {{{', '.join(sorted(typed))}}}, or to"
        f" have a `type`, but it has none.{did_you_mean(name, typed)}"
    )


def _task(key: str, name: str, task: TaskConfig, task_types: Registry[Any]) -> list[str]:
    problems = _data(key, task)
    if not is_name(name):
        problems.append(f"Expected a task's name to be {NAME}, but got '{name}'.")
    try:
        kind = task_types.get(task.type, f"{key}.type")
    except ConfigError as error:
        return [*problems, str(error)]
    problems += map(str, check(kind.HeadOptions, task.head, f"{key}.head")[1])
    problems += map(str, check(kind.Options, task.options, f"{key}.options")[1])
    roles = [*(role.name for role in kind.roles()), ID]
    problems += _columns(f"{key}.columns", task.columns, roles)
    head = task.head.get("name")
    if isinstance(head, str) and not is_name(head):
        problems.append(f"Expected `{key}.head.name` to be {NAME}, but got '{head}'.")
    names = [*kind.metric_names, *_added(task)]
    if task.metric is not None and task.metric not in names:
        problems.append(choose(f"{key}.metric", task.metric, names))
    return problems


def _added(task: TaskConfig) -> list[str]:
    """Return the names of the metrics that a task's configuration adds."""
    return [str(m.get("name") if isinstance(m, Mapping) else m) for m in task.metrics]


def is_name(text: str) -> bool:
    """Whether a text can name a task or a head: it becomes part of a file's name."""
    return len(text) <= LONGEST_NAME and text.replace("_", "").replace("-", "").isalnum()


def _data(key: str, task: TaskConfig) -> list[str]:
    problems = []
    if task.data.source is None and task.data.train is None:
        problems.append(
            f"Expected `{key}.data.source` or `{key}.data.train` to say where the examples come"
            " from, but neither is set."
        )
    try:
        codecs.lookup(task.data.encoding)
    except LookupError:
        problems.append(
            f"Expected `{key}.data.encoding` to be an encoding such as utf-8 or latin-1,"
            f" but got '{task.data.encoding}'."
        )
    return problems


def _columns(key: str, columns: dict[str, Any], roles: list[str]) -> list[str]:
    wrong = [role for role in columns if role not in roles]
    problems = [unknown_key(f"{key}.{role}", roles, ()) for role in wrong]
    for role, column in columns.items():
        if isinstance(column, bool | float | dict | list) or column == "":
            problems.append(
                f"Expected `{key}.{role}` to be a column's name or number, but got '{column}'."
            )
    return problems


def _monitor(config: Config, task_types: Registry[Any]) -> list[str]:
    """Check that `monitor` is a metric that this run will have."""
    if config.monitor == "val/score":
        return []
    stage, _, rest = config.monitor.partition("/")
    name, _, metric = rest.partition("/")
    if stage != "val" or not metric:
        known = ["val/score", *(f"val/{task}/<metric>" for task in config.tasks)]
        return [choose("monitor", config.monitor, known)]
    if name not in config.tasks:
        return [
            f"Expected `monitor` to name a task of {{{', '.join(sorted(config.tasks))}}}, but got"
            f" '{config.monitor}'.{did_you_mean(name, config.tasks)}"
        ]
    kind = config.tasks[name].type
    known = [*_added(config.tasks[name])]
    known += task_types.get(kind).metric_names if kind in task_types else [metric]
    if metric not in known:
        names = [f"val/{name}/{other}" for other in known]
        return [choose("monitor", config.monitor, ["val/score", *names])]
    return []


def _trunk(config: Config) -> list[str]:
    name, path = config.trunk.name, config.trunk.path
    if name == "tiny" and path is not None:
        return [
            f"Expected trunk=hf or trunk=llama2c with `trunk.path`, but got trunk=tiny with"
            f" '{path}'."
        ]
    if name != "tiny" and path is None:
        return [f"Expected `trunk.path` to be a model or a folder for trunk={name}, but got null."]
    return []


def _tuning(config: Config) -> list[str]:
    if config.tuning.cache == "true" and config.tuning.name != "frozen":
        return [
            f"Expected `tuning.cache` to be auto or false with tuning={config.tuning.name}, whose "
            "trunk changes in training, but got true; tuning=frozen keeps its states."
        ]
    return []


def _trainer(config: Config) -> list[str]:
    """Refuse a search in which ranks would make different passes, and wait for each other."""
    if config.trainer.auto_scale_tokens and config.trainer.strategy == "fsdp":
        return [
            "Expected `trainer.auto_scale_tokens` to be false with trainer.strategy=fsdp, whose"
            " processes cannot try passes alone, but got true; set `batching.tokens`, or choose"
            " trainer=ddp."
        ]
    return []


def _logger(config: Config) -> list[str]:
    return [
        f"Expected `logger.use.{name}` to be true; to switch it off, choose other files of the"
        " `logger` group, such as logger=none."
        for name, on in config.logger.use.items()
        if not on
    ]
