"""Rows that say more than a text: what tasks ask for, and several questions about one text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from mtl.config.section import Values
from mtl.errors import ConfigError
from mtl.tasks import Task
from mtl.tasks.base import asks
from mtl.training.description import DESCRIPTION, model_folder, read_description, restore_tasks
from mtl.training.model_io import check_head_names
from mtl.types import Row

QUESTION = "question"
INSTRUCTION = "instruction"
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
) -> list[Row]:
    """Return the rows of every text: one for tasks that read it alone, then one a question.

    Args:
        texts: What ``--text`` gave.
        questions: What ``--question`` gave; none is a row a text for all tasks.
        tasks: The tasks that are to answer.
        instruction: What ``--instruction`` gave, for every text.

    Raises:
        ConfigError: If there are questions and no task reads one, or the other way round.
    """
    place = {"_file": "--text", "_line": 0}
    if instruction is not None:
        if not any(INSTRUCTION in asks(task) for task in tasks.values()):
            raise ConfigError(
                "Expected `--instruction` to be for a task whose prompt has {instruction}, but "
                f"none of {{{', '.join(tasks)}}} does."
            )
        place[INSTRUCTION] = instruction
    reading = [name for name, task in tasks.items() if QUESTION in asks(task)]
    others = [name for name in tasks if name not in reading]
    if questions and not reading:
        raise ConfigError(
            "Expected `--question` to be for a task that reads one, but none of "
            f"{{{', '.join(tasks)}}} does."
        )
    if reading and not questions and not others:
        raise ConfigError(
            f"Expected `--question` beside `--text`, because task '{reading[0]}' reads one, but "
            "got none."
        )
    if not questions:
        return [{"text": text, **place} for text in texts]
    alone: list[Row] = [{TASKS: others}] if others else []
    each = [*alone, *({QUESTION: question, TASKS: reading} for question in questions)]
    return [{"text": text, **place, **more} for text in texts for more in each]


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
