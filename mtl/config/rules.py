"""What has to hold between the keys of a configuration."""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

from mtl.config.names import unknown_key
from mtl.config.schema import Config, TaskConfig
from mtl.config.section import MISSING, check
from mtl.errors import Problem, did_you_mean, one_of, truth_advice

if TYPE_CHECKING:
    from mtl.registry import Registry
    from mtl.tasks.base import TaskType

LONGEST_NAME = 50
NAME = f"letters, digits, `_` and `-`, at most {LONGEST_NAME} of them"
ID = "id"
"""The column of a row's own name, which every task may have."""
SCORE = "val/score"
SPLITS = ("train", "validation", "test")
OWN_ADAPTERS = ("lora", "rslora", "dora", "ia3")
"""Tunings of which each task can have an adapter."""
FOUR_BITS = ("lora", "rslora", "frozen")
"""Tunings of a trunk whose weights are held in four bits."""
SEVERAL = ("text", "texts", "labels", "choices", "record")
"""Types of roles that may have several columns; of a record its options decide."""


def broken_rules(config: Config, task_types: Registry[TaskType], skip: Set[str]) -> list[Problem]:
    """Return the problem of each rule that does not hold.

    Args:
        config: A configuration whose keys and types are right.
        task_types: The registered task types.
        skip: Groups whose choice is wrong already; their rules say nothing.
    """
    problems = []
    if "task" not in skip:
        problems += _tasks(config.tasks, task_types) + _metrics(config, task_types)
    if "trunk" not in skip:
        problems += _trunk(config) + _quantized(config)
    problems += _methods(config, skip)
    if not {"mixing", "task"} & skip:
        problems += _mixing(config)
    if "tuning" not in skip:
        problems += _tuning(config)
    return problems + _trainer(config) + _logger(config)


def _tasks(tasks: Mapping[str, TaskConfig], task_types: Registry[TaskType]) -> list[Problem]:
    if not tasks:
        return [
            Problem("task", "to name at least one task, such as task=ner,sentiment", "it is empty")
        ]
    typed = [name for name, task in tasks.items() if task.type != MISSING]
    problems = []
    for name, task in tasks.items():
        if task.type == MISSING:
            problems.append(_untyped(name, typed))
        else:
            problems += _task(f"tasks.{name}", name, task, task_types)
    if not any(task.weight > 0 for task in tasks.values()):
        problems.append(Problem("tasks.<name>.weight", "to be above 0 for one task", "all are 0"))
    return problems


def _untyped(name: str, typed: list[str]) -> Problem:
    """Return the problem of a task that has keys but no type: most likely a misspelt name."""
    expected = f"to be a chosen task, one of {{{', '.join(sorted(typed))}}}, or to have a `type`"
    return Problem(f"tasks.{name}", expected, "it has none", did_you_mean(name, typed).strip())


def _task(key: str, name: str, task: TaskConfig, task_types: Registry[TaskType]) -> list[Problem]:
    problems = _data(key, task)
    if not is_name(name):
        problems.append(Problem("tasks", f"to have names of {NAME}", f"got '{name}'"))
    if task.type not in task_types:
        return [*problems, one_of(f"{key}.type", task.type, task_types)]
    task_type = task_types.get(task.type, f"{key}.type")
    problems += check(task_type.HeadOptions, task.head, f"{key}.head")[1]
    problems += check(task_type.Options, task.options, f"{key}.options")[1]
    several = {
        role.name: role.type in SEVERAL or bool(getattr(role, "further", ()))
        for role in task_type.roles()
    }
    roles = several | {ID: False}
    problems += _columns(f"{key}.columns", task.columns, roles)
    for split, columns in task.data.columns.items():
        own = f"{key}.data.columns.{split}"
        if split not in SPLITS:
            problems.append(one_of(f"{key}.data.columns", split, SPLITS))
        problems += _columns(own, columns, roles)
    head = task.head.get("name")
    if isinstance(head, str) and not is_name(head):
        problems.append(Problem(f"{key}.head.name", f"to be {NAME}", f"got '{head}'"))
    metrics = [*task_type.metric_names, *_added(task)]
    if task.metric is not None and task.metric not in metrics:
        problems.append(one_of(f"{key}.metric", task.metric, metrics))
    return problems


def _added(task: TaskConfig) -> list[str]:
    """Return the names of the metrics that a task's configuration adds."""
    return [str(m.get("name") if isinstance(m, Mapping) else m) for m in task.metrics]


def is_name(text: str) -> bool:
    """Whether a text can name a task or a head: it becomes part of a file's name."""
    return len(text) <= LONGEST_NAME and text.replace("_", "").replace("-", "").isalnum()


def _data(key: str, task: TaskConfig) -> list[Problem]:
    from mtl.data.readers import FORMATS

    problems = []
    data = task.data
    if data.source is None and data.train is None:
        expected = f"or `{key}.data.train` to say where the examples come from"
        problems.append(Problem(f"{key}.data.source", expected, "neither is set"))
    if data.format is not None and data.format not in FORMATS:
        problems.append(one_of(f"{key}.data.format", data.format, FORMATS))
    try:
        codecs.lookup(data.encoding)
    except LookupError:
        expected = "to be an encoding such as utf-8 or latin-1"
        problems.append(Problem(f"{key}.data.encoding", expected, f"got '{data.encoding}'"))
    return problems


def _columns(key: str, columns: Mapping[str, object], roles: Mapping[str, bool]) -> list[Problem]:
    """Return what is wrong with columns; of `roles`, those that are true may have several."""
    beside = [f"{key}.{role}" for role in roles]
    wrong = [role for role in columns if role not in roles]
    problems = [unknown_key(f"{key}.{role}", list(roles), beside, key) for role in wrong]
    for role, column in columns.items():
        several = column if isinstance(column, list) and roles.get(role) and column else [column]
        if any(isinstance(one, bool | float | dict | list) or one == "" for one in several):
            expected = "to be a column's name or number"
            advice = truth_advice(column)
            problems.append(Problem(f"{key}.{role}", expected, f"got '{column}'", advice))
    return problems


def _metrics(config: Config, task_types: Registry[TaskType]) -> list[Problem]:
    """Check that `monitor` and a search's objectives are metrics that this run will have."""
    keys = {"monitor": config.monitor}
    keys |= {f"search.objectives[{n}]": name for n, name in enumerate(config.search.objectives)}
    problems = [_metric(key, name, config, task_types) for key, name in keys.items()]
    return [problem for problem in problems if problem is not None]


def _metric(
    key: str, wanted: str, config: Config, task_types: Registry[TaskType]
) -> Problem | None:
    if wanted == SCORE:
        return None
    stage, _, rest = wanted.partition("/")
    name, _, metric = rest.partition("/")
    if stage != "val" or not metric:
        known = [SCORE, *(f"val/{task}/<metric>" for task in config.tasks)]
        return one_of(key, wanted, known)
    if name not in config.tasks:
        expected = f"to name a task of {{{', '.join(sorted(config.tasks))}}}"
        advice = did_you_mean(name, config.tasks).strip()
        return Problem(key, expected, f"got '{wanted}'", advice)
    type_name = config.tasks[name].type
    if type_name not in task_types:
        return None
    names = [*task_types.get(type_name).metric_names, *_added(config.tasks[name])]
    if metric in names:
        return None
    return one_of(key, wanted, [SCORE, *(f"val/{name}/{one}" for one in names)])


def _trunk(config: Config) -> list[Problem]:
    name, path = config.trunk.name, config.trunk.path
    if name == "tiny" and path is not None:
        return [
            Problem(
                "trunk", "to be hf with `trunk.path`", f"got tiny with '{path}'", "Add trunk=hf."
            )
        ]
    if name != "tiny" and path is None:
        return [Problem("trunk.path", f"to be a model or a folder for trunk={name}", "got null")]
    return []


def _quantized(config: Config) -> list[Problem]:
    """Return why a trunk's weights cannot be held in four bits."""
    if config.trunk.quantization == "none":
        return []
    reasons = {
        f"tuning={config.tuning.name}": config.tuning.name not in FOUR_BITS,
        f"trunk={config.trunk.name}": config.trunk.name == "tiny",
        "trunk.pretrained=false": not config.trunk.pretrained,
        "trainer.strategy=fsdp": config.trainer.strategy == "fsdp",
        "init, whose weights are whole": config.init.run is not None,
    }
    advice = {
        f"tuning={config.tuning.name}": "Weights of four bits do not learn: choose tuning=lora.",
        "init, whose weights are whole": "Train on that run's model: trunk.path=RUN/model.",
    }
    found = f"got {config.trunk.quantization}"
    return [
        Problem("trunk.quantization", f"to be none with {why}", found, advice.get(why, ""))
        for why, holds in reasons.items()
        if holds
    ]


def _methods(config: Config, skip: Set[str]) -> list[Problem]:
    """Check the names of registered methods, and the options that a method brings itself."""
    from mtl.data.mixing import MIXERS
    from mtl.training.balancing import BALANCINGS, refusals
    from mtl.trunk.tuning import TUNINGS

    problems = []
    registries: dict[str, Registry[Any]] = {
        "mixing": MIXERS,
        "balancing": BALANCINGS,
        "tuning": TUNINGS,
    }
    for group in sorted(registries.keys() - skip):
        section, registry = getattr(config, group), registries[group]
        if section.name not in registry:
            problems.append(one_of(f"{group}.name", section.name, registry))
            continue
        own = registry.options(section.name)
        if own is not None:
            problems += check(own, section.options, f"{group}.options")[1]
        elif section.options:
            key = next(iter(section.options))
            problems.append(unknown_key(f"{group}.options.{key}", (), (), f"{group}.options"))
    if "balancing" not in skip and config.balancing.name in BALANCINGS:
        problems += refusals(config)
    return problems


def _mixing(config: Config) -> list[Problem]:
    """Check the order and the stages of the mixture."""
    from mtl.data.orders import ORDERS

    mixing, tasks = config.mixing, list(config.tasks)
    problems = []
    if mixing.order not in ORDERS:
        problems.append(one_of("mixing.order", mixing.order, ORDERS))
    if mixing.min_delta and mixing.patience is None:
        expected = "to be 0 without mixing.patience, which asks whether a score is better"
        problems.append(Problem("mixing.min_delta", expected, f"got {mixing.min_delta}"))
    if mixing.order == "every_step" and config.batching.examples < len(tasks):
        expected = f"to be at least {len(tasks)}, one for each task, with mixing.order=every_step"
        found = f"got {config.batching.examples}"
        problems.append(Problem("batching.examples", expected, found))
    return problems + (_stages(config, tasks) if mixing.stages else [])


def _stages(config: Config, tasks: Sequence[str]) -> list[Problem]:
    stages, problems = config.mixing.stages, []
    for number, stage in enumerate(stages):
        where = f"mixing.stages[{number}]"
        if not stage.tasks:
            problems.append(Problem(f"{where}.tasks", "to name a task", "it is empty"))
        problems += [one_of(f"{where}.tasks", n, tasks) for n in stage.tasks if n not in tasks]
        last = number == len(stages) - 1
        if last and stage.epochs is not None:
            expected = "to be unset: the last stage lasts until trainer.max_epochs or max_steps"
            problems.append(Problem(f"{where}.epochs", expected, f"got {stage.epochs}"))
        if not last and stage.epochs is None:
            problems.append(Problem(f"{where}.epochs", "to be given", "it is missing"))
    trained = {name for stage in stages for name in stage.tasks}
    if never := [name for name in tasks if name not in trained]:
        expected, found = "to train each task in a stage", f"none trains '{never[0]}'"
        advice = "Add it to one, or leave it out of `task=`."
        problems.append(Problem("mixing.stages", expected, found, advice))
    before = sum(stage.epochs or 0 for stage in stages[:-1])
    if config.trainer.max_steps is None and before >= config.trainer.max_epochs:
        expected = f"to be above {before}, the epochs of the stages before the last"
        found = f"got {config.trainer.max_epochs}"
        problems.append(Problem("trainer.max_epochs", expected, found))
    if config.mixing.patience is not None:
        expected = "to be unset with mixing.stages, which say when a task is trained"
        found = f"got {config.mixing.patience}"
        advice = "Stop the whole run with callbacks.early_stopping.patience."
        problems.append(Problem("mixing.patience", expected, found, advice))
    return problems


def _tuning(config: Config) -> list[Problem]:
    found, name = [], config.tuning.name
    if config.tuning.cache == "true" and name != "frozen":
        expected = f"to be auto or false with tuning={name}"
        advice = "Its trunk changes in training; tuning=frozen keeps its states."
        found.append(Problem("tuning.cache", expected, "got true", advice))
    if config.tuning.layer_decay < 1 and name == "frozen":
        given = f"got {config.tuning.layer_decay:g}"
        expected = "to be 1 with tuning=frozen, whose layers do not learn"
        found.append(Problem("tuning.layer_decay", expected, given))
    if name in ("adalora", "vera") and config.trainer.strategy == "fsdp":
        expected = f"to be another method than {name} with trainer=fsdp, which parts weights"
        found.append(
            Problem("tuning", expected, f"got {name}", "Choose tuning=lora, or trainer=ddp.")
        )
    return found + (_own_adapters(config) if config.tuning.adapters == "per_task" else [])


def _own_adapters(config: Config) -> list[Problem]:
    """Return why tasks cannot have an adapter each."""
    from mtl.training.balancing import BALANCINGS

    name, balancing = config.tuning.name, config.balancing
    method = BALANCINGS.get(balancing.name) if balancing.name in BALANCINGS else None
    apart = getattr(method, "by_task", False)
    weighs = "balancing.conflict=true" if balancing.conflict else f"balancing={balancing.name}"
    reasons = {
        f"tuning={name}": name not in OWN_ADAPTERS,
        "trainer.strategy=fsdp": config.trainer.strategy == "fsdp",
        "trunk.gradient_checkpointing=true": config.trunk.gradient_checkpointing,
        "init.keep=distill, which reads all texts alike": config.init.keep == "distill",
        f"{weighs}, which compares gradients of what tasks share": apart or balancing.conflict,
    }
    advice = f"Choose one of tuning={{{', '.join(OWN_ADAPTERS)}}} without it, or shared adapters."
    return [
        Problem("tuning.adapters", f"to be shared with {reason}", "got per_task", advice)
        for reason, holds in reasons.items()
        if holds
    ]


def _trainer(config: Config) -> list[Problem]:
    problems = []
    if config.trainer.devices == 0:
        problems.append(Problem("trainer.devices", "to be at least 1, or -1", "got 0"))
    if config.trainer.auto_scale_tokens and config.trainer.strategy == "fsdp":
        # Ranks would make different passes, and wait for each other.
        expected = "to be false with trainer.strategy=fsdp, whose processes cannot try passes alone"
        advice = "Set `batching.tokens`, or choose trainer=ddp."
        problems.append(Problem("trainer.auto_scale_tokens", expected, "got true", advice))
    return problems


def _logger(config: Config) -> list[Problem]:
    advice = "To switch it off, choose other files of the `logger` group, such as logger=none."
    return [
        Problem(f"logger.use.{name}", "to be true", "got false", advice)
        for name, on in config.logger.use.items()
        if not on
    ]
