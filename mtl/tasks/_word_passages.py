"""Words of a text of any length, found as its passages come to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch import Tensor

from mtl.config.section import Values
from mtl.data.word_rule import WordRule
from mtl.tasks._passages import Join, Part
from mtl.tasks._words import words_of
from mtl.tasks.base import Task, document
from mtl.trunk.passages import Passage
from mtl.types import Encoded, Examples, IntArray, Row

Words = tuple[IntArray, IntArray]


class WordJoin(Join):
    """An answer made of words.

    Args:
        task: Whose answer.
        row: With the whole text, perhaps with its words.
        rule: How the model splits texts.
        further: How many words after a passage are read with it.
    """

    def __init__(self, task: Task, row: Row, rule: WordRule, further: int = 0) -> None:
        super().__init__(task, row)
        self.further = further
        self.text = document(row)
        self._coming: Iterator[Words] = (
            iter([words_of(row, rule, task.name)]) if "tokens" in row else rule.stretches(self.text)
        )
        empty = np.zeros(0, dtype=np.int32)
        self._starts, self._ends = empty, empty
        """Of the words from the passage's first one on."""
        self._own = 0
        """How many words the passage has."""
        self._taken = 0
        """How many are read with it."""

    def reach(self, end: int) -> int:
        """Take the words that begin before `end`, and some further ones."""
        self._starts, self._ends = self._starts[self._own :], self._ends[self._own :]
        while True:
            self._own = int(np.searchsorted(self._starts, end))
            if len(self._starts) > self._own + self.further:
                break
            more = next(self._coming, None)
            if more is None:
                break
            self._starts = np.concatenate([self._starts, more[0]])
            self._ends = np.concatenate([self._ends, more[1]])
        self._taken = min(len(self._starts), self._own + self.further) if self._own else 0
        return max(end, int(self._ends[self._taken - 1])) if self._taken else end

    @property
    def own(self) -> Words:
        """Starts and ends (W,) of the passage's own words, in the whole text."""
        return self._starts[: self._own], self._ends[: self._own]

    def part(self, passage: Passage) -> Part | None:
        """Return a row with the words that are read."""
        del passage
        if not self._taken:
            return None
        starts, ends = (side[: self._taken].tolist() for side in (self._starts, self._ends))
        words = [self.text[s:e] for s, e in zip(starts, ends, strict=True)]
        text = self.text[starts[0] : ends[-1]]
        return Part({**self.row, "text": text, "tokens": words}, starts[0])


class EntityJoin(WordJoin):
    """An answer that is a list of parts of the text."""

    def __init__(self, task: Task, row: Row, rule: WordRule, further: int = 0) -> None:
        super().__init__(task, row, rule, further)
        self.entities: list[Values] = []

    def answer(self) -> Values:
        """Return all of them."""
        return {"entities": self.entities}


class SpanJoin(EntityJoin):
    """Spans of words; those that begin in a passage are read with the words after it."""

    def part(self, passage: Passage) -> Part | None:
        """Return a row with the words that are read."""
        self._part = super().part(passage)
        return self._part

    def add(self, found: Tensor, example: Encoded) -> None:
        """Keep what begins in the passage."""
        assert self._part is not None
        row, shift = self._part
        (output,) = self.task.decode(found, Examples([example], [row]))
        first: Any = output.spans[:, 0] < self._own
        kept = output._replace(spans=output.spans[first], scores=output.scores[first])
        for one in self.task.present(kept, row)["entities"]:
            one["start"] += shift
            one["end"] += shift
            self.entities.append(one)
