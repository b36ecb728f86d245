"""The answer to a question about a text of any length: the best spans of all windows so far."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import Tensor

from mtl.config.section import Values
from mtl.tasks._passages import Join, Part
from mtl.tasks._span_answers import Answer, Candidate, decide
from mtl.trunk.passages import Passage
from mtl.types import Encoded, Examples, Row

if TYPE_CHECKING:
    from mtl.tasks.span_extraction import SpanExtraction


class BestSpans(Join):
    """The best spans of a text; that windows at a border are read twice changes nothing."""

    task: SpanExtraction

    def __init__(self, task: SpanExtraction, row: Row) -> None:
        super().__init__(task, row)
        self._best: list[Candidate] = []
        self._null = math.inf
        self._part = Part(row, 0)

    def part(self, passage: Passage) -> Part:
        """Return the row with what its windows may hold of the text."""
        starts, ends = passage.tokens.starts, passage.tokens.ends
        first, end = int(starts[0]), int(ends.max())
        self._part = Part({**self.row, "text": passage.source.text[first:end]}, first)
        return self._part

    def add(self, found: Tensor, example: Encoded) -> None:
        """Take the best spans of a passage's windows."""
        row, shift = self._part
        (answer,) = self.task.decode(found, Examples([example], [row]))
        moved = [Candidate(s.start + shift, s.end + shift, s.score) for s in answer.best]
        self._null = min(self._null, answer.null)
        self._best = list(self._decided([*self._best, *moved]).best)

    def answer(self) -> Values:
        """Present the best."""
        return self.task.present(self._decided(self._best), self.row)

    def _decided(self, spans: list[Candidate]) -> Answer:
        count, threshold = self.task.options.n_best, self.task.threshold
        return decide(self.row["text"], spans, self._null, count=count, threshold=threshold)
