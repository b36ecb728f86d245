"""The examples of a run, as checks look at them: hashes, labels and lengths of each split."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mtl.data.holdout import STRATIFIED, Keys, text_keys
from mtl.data.label_rules import IGNORED
from mtl.data.rows import Rows, where
from mtl.data.store import ExampleStore
from mtl.labels import tag_of
from mtl.tasks import Task
from mtl.tasks.base import document
from mtl.trunk import TextEncoder

SPLITS = ("train", "validation", "test")
CUT = 300
"""Characters of a row that a finding shows."""


@dataclass(frozen=True)
class Sample:
    """A row as a finding shows it."""

    place: str
    """Its file and line."""
    text: str
    target: str


@dataclass
class Part:
    """One split of one task.

    Args:
        task: Whose split it is.
        split: ``train``, ``validation`` or ``test``.
        rows: Its rows.
        store: Its examples.
    """

    task: Task
    split: str
    rows: Rows
    store: ExampleStore

    @property
    def name(self) -> str:
        """What findings call it."""
        return f"tasks.{self.task.name}, {self.split}"

    @cached_property
    def keys(self) -> Keys:
        """A hash of each row's text, (n,)."""
        return text_keys(self.rows, self.task.name)

    @cached_property
    def labels(self) -> list[tuple[str, ...]] | None:
        """The labels of each row; None for tasks without any."""
        roles = self.task.roles(self.task.options)
        names = [r.name for r in roles if r.target and r.type in STRATIFIED]
        names = [name for name in names if name in self.rows.roles]
        if not names:
            return None
        columns = zip(*(self.rows.column(name) for name in names), strict=True)
        return [tuple(label for cell in cells for label in _as_list(cell)) for cells in columns]

    @cached_property
    def label_counts(self) -> Counter[str]:
        """How many rows have each label; of tags, how many have each type of entity."""
        counts: Counter[str] = Counter()
        for labels in self.labels or ():
            counts.update({_type_of(label) for label in labels} - {""})
        return counts

    @cached_property
    def windows(self) -> npt.NDArray[np.int64]:
        """How many windows each example's document has, (n,)."""
        return np.asarray([example.windows for example in self.store.examples])

    @property
    def targets(self) -> list[str]:
        """The roles that the task learns to predict, where rows have them."""
        roles = self.task.roles(self.task.options)
        return [r.name for r in roles if r.target and r.name in self.rows.roles]

    def sample(self, number: int) -> Sample:
        """Return what a finding shows of a row."""
        row = self.rows[number]
        target = "; ".join(show_target(row[name]) for name in self.targets if name in row)
        return Sample(where(row), cut(document(row)), cut(target))


def show_target(value: object) -> str:
    """Return a target in a few words: labels with blanks between them, anything else as JSON."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return " ".join(value)
    return json.dumps(value, ensure_ascii=False)


def cut(text: str) -> str:
    """Return the beginning of a text."""
    return text if len(text) <= CUT else text[: CUT - 1] + "…"


def _as_list(cell: object) -> list[str]:
    if isinstance(cell, list):
        return [str(label) for label in cell]
    return [] if cell is None else [str(cell)]


def _type_of(label: str) -> str:
    """Return the type of an entity's tag, nothing for O, and any other label as it is."""
    tag = tag_of(label) if label != IGNORED else None
    if tag is None:
        return label
    return tag.type or ("" if tag.letter == "O" else label)


@dataclass
class Corpus:
    """All that a run trains, validates and tests on."""

    parts: list[Part]
    encoder: TextEncoder
    tasks: list[Task] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What was guessed, converted or left out when the data was read."""

    def of(self, task: Task) -> dict[str, Part]:
        """Return a task's splits by name."""
        return {part.split: part for part in self.parts if part.task is task}

    def pairs(self) -> Iterator[tuple[Task, Task]]:
        """Yield each two tasks."""
        for number, one in enumerate(self.tasks):
            for other in self.tasks[number + 1 :]:
                yield one, other
