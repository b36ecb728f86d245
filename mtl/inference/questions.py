"""Rows that say more than a text: what tasks ask for, and several questions about one text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TypeVar

from mtl.config.section import Values
from mtl.errors import ConfigError, Problem
from mtl.tasks import Task
from mtl.tasks.base import asks
from mtl.training.description import DESCRIPTION, model_folder, read_description, restore_tasks
from mtl.training.model_io import check_head_names
from mtl.types import Row

T = TypeVar("T")

TEXT = "text"
QUESTION = "question"
SECOND = "second"
INSTRUCTION = "instruction"
CHOICES = "choices"
OPTIONS = {
    TEXT: "--text",
    QUESTION: "--question",
    SECOND: "--second",
    CHOICES: "--choice",
    INSTRUCTION: "--instruction",
}
"""By role: the option of a command that gives it."""
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


@dataclass(frozen=True)
class Beside:
    """What is asked beside texts, of every one of them.

    Args:
        questions: Each is asked of every text.
        seconds: Second texts; each stands beside every text.
        choices: To choose from.
        instruction: For tasks whose prompt has one.
        names: By role: what the user gives it with, for messages.
    """

    questions: Sequence[str] = ()
    seconds: Sequence[str] = ()
    choices: Sequence[str] = ()
    instruction: str | None = None
    names: Mapping[str, str] = field(default_factory=lambda: OPTIONS)

    def parts(self, tasks: Mapping[str, Task]) -> list[Row]:
        """Return the rows of a text, without it: one for tasks that read it alone, then others.

        The others are one for each question and each second text.

        Args:
            tasks: The tasks that are to answer.

        Raises:
            ConfigError: If there are questions, second texts or choices and no task reads one, or
                the other way round.
        """
        place = self._place(tasks)
        asked = {QUESTION: self.questions, SECOND: self.seconds}
        found = [self._asking(role, texts, tasks) for role, texts in asked.items()]
        beside = [(role, reading) for role, reading in found if asked[role]]
        others = [name for name in tasks if not any(name in reading for _, reading in found)]
        lacking_all = [(role, reading) for role, reading in found if reading and not asked[role]]
        if lacking_all and not others and not beside:
            role, (first, *_) = lacking_all[0]
            raise ConfigError(
                f"Expected `{self.names[role]}` beside `{self.names[TEXT]}`, because task "
                f"'{first}' reads one, but got none."
            )
        if not beside:
            return [place]
        alone: list[Row] = [{TASKS: others}] if others else []
        each = [{role: one, TASKS: names} for role, names in beside for one in asked[role]]
        return [{**place, **more} for more in [*alone, *each]]

    def _place(self, tasks: Mapping[str, Task]) -> Row:
        """Return what every row has: the choices and the instruction, where there are any."""
        place: Row = {"_file": self.names[TEXT], "_line": 0, **self._to_choose(tasks)}
        if self.instruction is None:
            return place
        if not any(INSTRUCTION in asks(task) for task in tasks.values()):
            raise ConfigError(
                f"Expected `{self.names[INSTRUCTION]}` to be for a task whose prompt has "
                f"{{instruction}}, but none of {{{', '.join(tasks)}}} does."
            )
        return place | {INSTRUCTION: self.instruction}

    def _to_choose(self, tasks: Mapping[str, Task]) -> Row:
        """Return the choices of a row, where there are any.

        Raises:
            ConfigError: If there is one alone, or none and every task reads some.
        """
        given = self.choices
        _, reading = self._asking(CHOICES, given, tasks)
        if len(given) != 1 and (given or len(reading) < len(tasks)):
            return {CHOICES: list(given)} if given else {}
        expected = (
            f"twice or more beside `{self.names[TEXT]}`, because task '{reading[0]}' reads choices"
        )
        raise ConfigError(Problem(self.names[CHOICES], expected, f"got {len(given) or 'none'}"))

    def _asking(
        self, role: str, given: Sequence[str], tasks: Mapping[str, Task]
    ) -> tuple[str, list[str]]:
        """Return a role with the tasks that ask for it.

        Raises:
            ConfigError: If texts are given for it, and no task asks for any.
        """
        reading = [name for name, task in tasks.items() if role in asks(task)]
        if given and not reading:
            raise ConfigError(
                f"Expected `{self.names[role]}` to be for a task that reads one, but none of "
                f"{{{', '.join(tasks)}}} does."
            )
        return role, reading


def rows_of(texts: Iterable[str], parts: Sequence[Row]) -> Iterator[Row]:
    """Yield the rows of every text; see :meth:`Beside.parts`."""
    return ({"text": text, **part} for text in texts for part in parts)


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


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of `size` items each."""
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part
