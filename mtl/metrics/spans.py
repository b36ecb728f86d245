"""Scores of span extraction: SQuAD's numbers, those over all thresholds among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtl.metrics.base import TableMetric
from mtl.metrics.segments import AUTO
from mtl.metrics.squad import AnswerScore, score_v1, score_v2
from mtl.metrics.squad_corpus import squad_v2_of
from mtl.metrics.tables import ValueRow

ALWAYS = 1e30
"""A threshold that no question exceeds: every one is answered."""
NAMES = {
    "f1": "f1",
    "em": "exact",
    "has_answer_f1": "HasAns_f1",
    "has_answer_em": "HasAns_exact",
    "no_answer_f1": "NoAns_f1",
    "no_answer_em": "NoAns_exact",
    "best_f1": "best_f1",
    "best_em": "best_exact",
}
"""Our names of the official numbers."""
ANSWERED = ("f1", "em")
"""Those that version 1.1 has."""


class SpanScores(TableMetric[ValueRow]):
    """Exact match and token F1 as the official evaluators of versions 1.1 and 2.0 give them.

    Its state holds five numbers a question: F1 and exact match of the best span, whether there is
    an answer, whether the best span is a text, and how much "no answer" is preferred.

    Args:
        impossible: Whether questions may have no answer (version 2.0).
        threshold: Returns the preference above which an answer counts as empty, as it is when
            scores are computed; every question is answered when None.
        language: As :func:`mtl.metrics.segments.by_character` takes it.
    """

    questions: list[Tensor]

    def __init__(
        self,
        impossible: bool = False,
        threshold: Callable[[], float] | None = None,
        language: str = AUTO,
    ) -> None:
        # Scores follow the threshold, which may change while the state stays.
        super().__init__(compute_with_cache=False)
        self.impossible = impossible
        self.language = language
        self._threshold = threshold
        self.add_state("questions", [], dist_reduce_fx="cat")
        self.reset()

    @property
    def threshold(self) -> float:
        """The threshold as it is now."""
        return self._threshold() if self.impossible and self._threshold else ALWAYS

    def reset(self) -> None:
        """Forget all questions; what is left has the type and width that other ranks expect."""
        super().reset()
        self.questions = [torch.empty(0, 5, dtype=torch.float64, device=self.device)]

    def update(
        self, preds: Sequence[str], target: Sequence[Sequence[str]], no_answer: Sequence[float]
    ) -> None:
        """Score questions.

        Args:
            preds: The best span's text, empty if there is none, before any threshold.
            target: Each question's right answers; none where it is impossible.
            no_answer: How much better "no answer" scores than the best span.
        """
        rows = []
        for text, right, preferred in zip(preds, target, no_answer, strict=True):
            # A question without an answer where version 1.1 holds can only be answered wrongly.
            score = score_v2 if self.impossible or not right else score_v1
            exact, f1 = score(text, right, self.language)
            rows.append([f1, exact, float(bool(right)), float(text != ""), preferred])
        found = torch.tensor(rows, dtype=torch.float64, device=self.device).reshape(-1, 5)
        self.questions.append(found)

    def compute(self) -> dict[str, float]:
        """Return the scores of :data:`NAMES`, on 0 to 1; those of version 1.1 where it holds.

        A part that has no question scores 0.
        """
        official = self.official(self._matrix())
        names = NAMES if self.impossible else ANSWERED
        return {name: official.get(NAMES[name], 0.0) / 100 for name in names}

    def official(self, questions: npt.NDArray[np.float64]) -> dict[str, float]:
        """Return the official numbers, 0 to 100, of (n, 5) questions."""
        if not len(questions):
            return {}
        raw, has_answer, answered, preferred = _columns(questions)
        na = preferred if self.impossible else None
        found = squad_v2_of(raw, has_answer, answered, na, self.threshold)
        if self.impossible:
            return found
        return {name: found[name] for name in ("exact", "f1", "total")}

    def best_threshold(self) -> float:
        """Return the threshold with the best F1 over all ranks; every rank must call it.

        Answers whose preference for "no answer" is above it become empty. Of equally good ones
        the lowest.
        """
        with self.sync_context(dist_sync_fn=self.dist_sync_fn, should_sync=not self._is_synced):
            questions = self._matrix()
        order = np.argsort(questions[:, 4], kind="stable")
        f1, _, has_answer, answered, preferred = questions[order].T
        gain = np.where(has_answer > 0, f1, -answered)
        total = np.concatenate([[0.0], np.cumsum(gain)])
        # Equal preferences fall on one side of any threshold.
        whole = np.concatenate([[True], preferred[1:] > preferred[:-1], [True]])
        best = int(np.argmax(np.where(whole[: len(total)], total, -np.inf)))
        if not len(preferred):
            return 0.0
        return float(preferred[best - 1]) if best else float(preferred[0]) - 1.0

    def rows(self) -> list[ValueRow]:
        """Return the official evaluator's numbers, 0 to 100."""
        found = self.official(self._matrix())
        if self.impossible and found:
            found["threshold"] = self.threshold
        return [ValueRow(name, value) for name, value in found.items()]

    def _matrix(self) -> npt.NDArray[np.float64]:
        """Return the state as it is: (n, 5)."""
        parts = self.questions if isinstance(self.questions, list) else [self.questions]
        return torch.cat(parts).cpu().numpy()


def _columns(
    questions: npt.NDArray[np.float64],
) -> tuple[dict[str, AnswerScore], Mapping[str, bool], Mapping[str, bool], Mapping[str, float]]:
    """Return scores, has an answer, is answered, preference for no answer; by question number."""
    ids = [str(number) for number in range(len(questions))]
    rows = questions.tolist()
    return (
        {i: AnswerScore(row[1], row[0]) for i, row in zip(ids, rows, strict=True)},
        {i: row[2] > 0 for i, row in zip(ids, rows, strict=True)},
        {i: row[3] > 0 for i, row in zip(ids, rows, strict=True)},
        {i: row[4] for i, row in zip(ids, rows, strict=True)},
    )
