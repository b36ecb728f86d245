"""Running scores of span extraction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mtl.metrics.shells.answers import ALWAYS, Guess, SpanMetric
from mtl.tasks.base import TaskMetrics
from mtl.types import Row


class SpanScores(TaskMetrics):
    """Scores of spans; the threshold is the task's as it is when scores are computed.

    Args:
        impossible: Whether questions may have no answer.
        threshold: Returns the task's threshold.
    """

    def __init__(self, impossible: bool, threshold: Callable[[], float]) -> None:
        super().__init__()
        self.answers = SpanMetric(impossible)
        self._threshold = threshold

    def update(self, outputs: Sequence[Any], rows: Sequence[Row]) -> None:
        """Count :class:`Answer`s against the rows' answers."""
        guesses = []
        for output, row in zip(outputs, rows, strict=True):
            first = output.best[0] if output.best else None
            text = row["text"][first.start : first.end] if first else ""
            guesses.append(Guess(text, output.no_answer))
        self.answers.update(guesses, [[a["text"] for a in row["answers"]] for row in rows])

    def compute(self) -> dict[str, float]:
        """Return F1 and exact match, and for version 2.0 the other official numbers."""
        self._set_threshold()
        found: dict[str, float] = self.answers.compute()
        return found

    def reset(self) -> None:
        """Forget all examples."""
        self.answers.reset()

    def tables(self) -> dict[str, list[Any]]:
        """Return the official evaluator's numbers, 0 to 100."""
        self._set_threshold()
        return {"SQuAD, %": list(self.answers.table())}

    def _set_threshold(self) -> None:
        self.answers.threshold = self._threshold() if self.answers.impossible else ALWAYS
