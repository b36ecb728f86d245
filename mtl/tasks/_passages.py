"""Answers to a text of any length, put together passage by passage.

A task that can answer so returns a :class:`Join` for each row; what it is given of a passage is
what :meth:`mtl.tasks.base.Task.decode` would be given of a whole text, so that the answer is that
of the text read at once. Shapes: G outputs, C classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mtl.config.section import Values
from mtl.trunk.passages import Passage
from mtl.types import Encoded, Examples, Row

if TYPE_CHECKING:
    from mtl.tasks.base import Task


class Part(NamedTuple):
    """What a task reads of a passage."""

    row: Row
    shift: int
    """The character of the whole text at which the row's text begins."""


class Join(ABC):
    """The answer to one row, as far as its text has been read.

    Args:
        task: Whose answer.
        row: With the whole text.
    """

    def __init__(self, task: Task, row: Row) -> None:
        self.task = task
        self.row = row

    def reach(self, end: int) -> int:
        """Return how far a passage that ends at a character has to be read, `end` or more."""
        return end

    @abstractmethod
    def part(self, passage: Passage) -> Part | None:
        """Return what is encoded of a passage; None where there is nothing to read."""

    def read(self, example: Encoded, repeated: Sequence[bool]) -> Encoded:
        """Return what is read of an encoded part, of whose windows some are `repeated`."""
        del repeated
        return example

    @abstractmethod
    def add(self, found: Any, example: Encoded) -> None:
        """Take a part's logits (G, C), or what was written for it."""

    @abstractmethod
    def answer(self) -> Values:
        """Return the answer, as :meth:`mtl.tasks.base.Task.present` does."""


class Averaged(Join):
    """Of outputs that are a linear function of the mean of states: the mean of logits."""

    def __init__(self, task: Task, row: Row) -> None:
        super().__init__(task, row)
        self.whole: Encoded | None = None
        self.logits = np.zeros((0, 0))
        self.counts = np.zeros(0)

    def part(self, passage: Passage) -> Part:
        """Return the row: what is beside its text is read, and windows."""
        del passage
        return Part(self.row, 0)

    def read(self, example: Encoded, repeated: Sequence[bool]) -> Encoded:
        """Leave out windows that have been read."""
        assert example.group is not None
        if self.whole is None:
            self.whole = example
            self.counts = np.zeros(example.outputs)
        windows = np.arange(len(example.documents))
        owner = np.concatenate([windows, [b.document for b in example.branches]]).astype(np.int64)
        fresh = ~np.asarray(repeated)[owner[example.part]]
        cut = {name: getattr(example, name)[fresh] for name in ("part", "offset", "group")}
        return replace(example, **cut)

    def add(self, found: Tensor, example: Encoded) -> None:
        """Add up logits, each as often as it has states."""
        assert example.group is not None
        values = found.double().cpu().numpy()
        if not self.logits.size:
            self.logits = np.zeros((len(self.counts), values.shape[1]))
        counts = np.bincount(example.group, minlength=len(values))
        self.logits[: len(values)] += values * counts[:, None]
        self.counts[: len(values)] += counts

    def answer(self) -> Values:
        """Decode the means."""
        assert self.whole is not None
        means = torch.from_numpy(self.logits / self.counts[:, None]).float()
        (output,) = self.task.decode(means, Examples([self.whole], [self.row]))
        return self.task.present(output, self.row)


class Beginning(Join):
    """Of a task that reads the beginning of a text alone, such as one that writes after it."""

    output: Any = None

    def part(self, passage: Passage) -> Part | None:
        """Return the row for the first passage."""
        return None if passage.first else Part(self.row, 0)

    def add(self, found: Any, example: Encoded) -> None:
        """Take what was written."""
        del example
        self.output = found

    def answer(self) -> Values:
        """Return it."""
        return self.task.present(self.output, self.row)
