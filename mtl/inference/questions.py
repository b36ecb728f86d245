"""Rows that say more than a text: what tasks ask for, and several questions about one text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from mtl.config.section import Values
from mtl.errors import ConfigError, Problem
from mtl.tasks import Task
from mtl.tasks.base import asks
from mtl.training.description import DESCRIPTION, model_folder, read_description, restore_tasks
from mtl.training.model_io import check_head_names
from mtl.types import Row

QUESTION = "question"
SECOND = "second"
INSTRUCTION = "instruction"
CHOICES = "choices"
TASKS = "_tasks"
"""Key of a row that only some tasks are to answer."""
ERROR = "_error"
"""Key of a row that no task can answer, with the reason."""


def lacking(task: Task, row: Row) -> str | None:
    """Return the first role that a task asks for and a row has not, or None."""
    return next((role for role in asks(task) if not row.get(role)), None)


def described_tasks(run: Path, names: Sequence[str] | None) -> dict[str, Task]:
    """Return the tasks that are to answer, by name, without loading the model's weights.

    Args:
        run: The folder of a run or a model.
        names: Those asked for, each kept once; all when None.

    Raises:
        CheckpointError: If the folder holds no model.
        ConfigError: If the model has no such task.
    """
    folder = model_folder(run)
    tasks = restore_tasks(read_description(folder), folder / DESCRIPTION)
    known = {task.name: task for task in tasks}
    chosen = list(known) if names is None else list(dict.fromkeys(names))
    check_head_names(known, chosen)
    return {name: known[name] for name in chosen}


def rows_of(
    texts: Sequence[str],
    questions: Sequence[str],
    tasks: Mapping[str, Task],
    instruction: str | None = None,
    seconds: Sequence[str] = (),
    choices: Sequence[str] = (),
) -> list[Row]:
    """Return the rows of every text: one for tasks that read it alone, then one for each other.

    The others are questions and second texts.

    Args:
        texts: What ``--text`` gave.
        questions: What ``--question`` gave; none is a row a text for all tasks.
        tasks: The tasks that are to answer.
        instruction: What ``--instruction`` gave, for every text.
        seconds: What ``--second`` gave; each stands beside every text.
        choices: What ``--choice`` gave, for every text.

    Raises:
        ConfigError: If there are questions, second texts or choices and no task reads one, or the
            other way round.
    """
    place: Row = {"_file": "--text", "_line": 0, **_to_choose(choices, tasks)}
    asked = {QUESTION: questions, SECOND: seconds}
    if instruction is not None:
        if not any(INSTRUCTION in asks(task) for task in tasks.values()):
            raise ConfigError(
                "Expected `--instruction` to be for a task whose prompt has {instruction}, but "
                f"none of {{{', '.join(tasks)}}} does."
            )
        place[INSTRUCTION] = instruction
    found = [_asking(role, texts, tasks) for role, texts in asked.items()]
    beside = [(role, reading) for role, reading in found if asked[role]]
    others = [name for name in tasks if not any(name in reading for _, reading in found)]
    lacking_all = [(role, reading) for role, reading in found if reading and not asked[role]]
    if lacking_all and not others and not beside:
        role, (first, *_) = lacking_all[0]
        raise ConfigError(
            f"Expected `--{role}` beside `--text`, because task '{first}' reads one, but got none."
        )
    if not beside:
        return [{"text": text, **place} for text in texts]
    alone: list[Row] = [{TASKS: others}] if others else []
    each = [*alone, *({role: one, TASKS: names} for role, names in beside for one in asked[role])]
    return [{"text": text, **place, **more} for text in texts for more in each]


def _to_choose(choices: Sequence[str], tasks: Mapping[str, Task]) -> Row:
    """Return the choices of a row, where there are any.

    Raises:
        ConfigError: If there is one alone, or none and every task reads some.
    """
    _, reading = _asking(CHOICES, choices, tasks)
    if len(choices) != 1 and (choices or len(reading) < len(tasks)):
        return {CHOICES: list(choices)} if choices else {}
    expected = f"twice or more beside `--text`, because task '{reading[0]}' reads choices"
    raise ConfigError(Problem("--choice", expected, f"got {len(choices) or 'none'}"))


def _asking(role: str, given: Sequence[str], tasks: Mapping[str, Task]) -> tuple[str, list[str]]:
    """Return a role with the tasks that ask for it.

    Raises:
        ConfigError: If texts are given for it, and no task asks for any.
    """
    reading = [name for name, task in tasks.items() if role in asks(task)]
    if given and not reading:
        raise ConfigError(
            f"Expected `--{role}` to be for a task that reads one, but none of "
            f"{{{', '.join(tasks)}}} does."
        )
    return role, reading


def merged(answers: Iterable[Values], size: int, names: Sequence[str]) -> Iterator[Values]:
    """Join the answers of the rows that :func:`rows_of` made of one text.

    Args:
        answers: By task, for each row in order.
        size: How many rows a text has.
        names: The tasks, in the order of the joined answers.

    Returns:
        For each text: by task its answer, or the list of its answers if it has several.
    """
    for part in batched(answers, size):
        lists = {name: [one[name] for one in part if name in one] for name in names}
        yield {name: v[0] if len(v) == 1 else v for name, v in lists.items() if v}


def batched(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Yield lists of `size` items each."""
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part
