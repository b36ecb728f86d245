"""``init=RUN``: what a run begins with of another, and how the tasks of that one are held.

Rehearsal trains old tasks with a share of their rows (Robins 1995, "Catastrophic forgetting,
rehearsal and pseudorehearsal"); distillation is in :mod:`mtl.training.teacher`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from mtl.config.schema import Config
from mtl.data.datamodule import MultiTaskData
from mtl.data.holdout import sample
from mtl.data.sources import Splits
from mtl.errors import CheckpointError, ConfigError, Problem
from mtl.metrics.base import on_this_rank
from mtl.metrics.names import metric_name
from mtl.tasks import Task
from mtl.training.balancing.base import BALANCINGS
from mtl.training.description import model_folder, read_description
from mtl.training.evaluation import Evaluation
from mtl.training.model import MultiTaskModel
from mtl.training.model_io import start_from
from mtl.training.teacher import Teacher

Tell = Callable[[str], None]
REHEARSE = "init.rehearse"


def hold_back(
    cfg: Config, tasks: Sequence[Task], splits: Mapping[str, Splits], tell: Tell
) -> set[str]:
    """Leave of the other run's tasks as many training rows as are rehearsed.

    Args:
        cfg: The run's configuration.
        tasks: With what they learned of all of their rows.
        splits: Each task's, whose training rows become a sample that labels have their shares in.
        tell: Is given what was done.

    Returns:
        The tasks that are not trained at all.

    Raises:
        CheckpointError: If there is no such run.
        ConfigError: If nothing would be trained, or there is nothing to hold.
    """
    run, share = cfg.init.run, cfg.init.rehearse
    if run is None:
        return set()
    wanted = share is not None or cfg.init.keep != "nothing"
    if not wanted and cfg.tuning.name != "frozen":
        return set()
    if cfg.init.keep == "distill":
        _check_distillation(cfg)
    known = _tasks_of(run)
    old = [task for task in tasks if task.name in known]
    if wanted and not old:
        key = REHEARSE if share is not None else "init.keep"
        expected = f"to be unset, because no task of this run is one of {run}'s"
        advice = f"Add some of them to task=…: {', '.join(known)}."
        raise ConfigError(Problem(key, expected, f"got {share or cfg.init.keep}", advice))
    if share is None and len(old) == len(tasks):
        return set()
    share = (0.0 if cfg.tuning.name == "frozen" else 1.0) if share is None else share
    if share == 0 and len(old) == len(tasks):
        expected = f"to be above 0, because all tasks of this run are {run}'s"
        raise ConfigError(Problem(REHEARSE, expected, f"got {share:g}"))
    if share == 0:
        return {task.name for task in old}
    rows = {task.name: splits[task.name].train for task in old}
    found = {name: part for name, part in rows.items() if part is not None}
    counts = {name: max(1, round(share * len(part))) for name, part in found.items()}
    roles = {task.name: task.roles(task.options) for task in old}
    for name, part in sample(found, roles, counts, cfg.seed).items():
        if len(part) < len(found[name]):
            tell(f"init: {name} is rehearsed with {len(part):,} of {len(found[name]):,} rows.")
        splits[name].train = part
    return set()


def _check_distillation(cfg: Config) -> None:
    """Refuse to distill where it cannot work.

    Raises:
        ConfigError: With the alternative.
    """
    by_task = getattr(BALANCINGS.get(cfg.balancing.name, "balancing.name"), "by_task", False)
    why = {
        "the trunk does not learn, and so nothing is forgotten": cfg.tuning.name == "frozen",
        "trainer.strategy=fsdp parts the trunk among the ranks": cfg.trainer.strategy == "fsdp",
        "balancing keeps the tasks' gradients apart": by_task or cfg.balancing.conflict,
    }
    for reason, holds in why.items():
        if holds:
            expected = f"to be nothing, because {reason}"
            advice = "Rehearse the old tasks instead: init.rehearse=0.2."
            raise ConfigError(Problem("init.keep", expected, "got distill", advice))


def _tasks_of(run: str) -> list[str]:
    try:
        return list(read_description(model_folder(Path(run))).tasks)
    except CheckpointError as error:
        raise CheckpointError(f"`init`: {error}") from error


def begin(cfg: Config, model: MultiTaskModel, *, resumes: bool, tell: Tell) -> list[str]:
    """Copy the other run's trunk and heads, and keep them beside the model where they teach it.

    Args:
        cfg: The run's configuration, with a run to begin with.
        model: What was prepared.
        resumes: Whether a checkpoint follows, so that only a teacher is needed.
        tell: Is given what was copied.

    Returns:
        The tasks whose heads were copied.

    Raises:
        CheckpointError: If there is no such run, or its trunk is another.
        ConfigError: If a task of both is another one here.
    """
    run, distills = cfg.init.run, cfg.init.keep == "distill"
    assert run is not None
    if resumes and not distills:
        return []
    copied = start_from(model, Path(run))
    if distills:
        model.teacher = Teacher(model, copied, cfg.init.weight)
    if not resumes:
        fresh = [name for name in model.tasks if name not in copied]
        tell(
            f"init: the trunk and the heads of {{{', '.join(copied)}}} come from {run}; "
            f"new heads: {{{', '.join(fresh)}}}."
        )
        if left := [name for name in _tasks_of(run) if name not in model.tasks]:
            tell(f"init: {{{', '.join(left)}}} of {run} will not be in the new model.")
    return copied


def scores_before(
    model: MultiTaskModel,
    data: MultiTaskData,
    names: Sequence[str],
    device: torch.device,
    *,
    test: bool,
) -> dict[str, float]:
    """Return the scores of some tasks before any step, on the split that the closing table shows.

    Each rank computes all of them, as it does those of guesses.

    Args:
        model: As it begins.
        data: With the stores.
        names: The tasks.
        device: Where to compute; the model stays there.
        test: Whether there will be a test.
    """
    shown = {store.task: ("val", store) for store in data.validation}
    shown |= {store.task: ("test", store) for store in data.test} if test else {}
    model.to(device).eval()
    found: dict[str, float] = {}
    for stage in ("val", "test"):
        stores = [store for n, (where, store) in shown.items() if where == stage and n in names]
        if not stores:
            continue
        evaluation = Evaluation(model.tasks, stores)
        for store in stores:
            on_this_rank(evaluation.metrics(store.task))
        evaluation.to(device)
        with torch.inference_mode():
            for batch in data.passes(stores, stage):
                evaluation.count(model, batch.to(device))
        for task, scores in evaluation.compute().items():
            found |= {metric_name("before", task, n): value for n, value in scores.items()}
    model.train()
    return found
