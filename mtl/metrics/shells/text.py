"""Shells of tasks that answer in text; texts are scored at once and forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from mtl.metrics.rouge import KINDS, rouge_means, rouge_sums
from mtl.metrics.rows import ValueRow, ratio
from mtl.metrics.shells.base import CountMetric
from mtl.metrics.squad import score_v1, score_v2


class RougeMetric(CountMetric[ValueRow]):
    """Mean ROUGE F1 over texts, as ``rouge-score`` has it; the best of several references."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.count("sums", len(KINDS), dtype=torch.float64)
        self.count("texts", 1)

    def update(self, predicted: Sequence[str], references: Sequence[Sequence[str]]) -> None:
        """Score texts.

        Args:
            predicted: The predicted texts.
            references: Each text's right texts, at least one.
        """
        sums = rouge_sums(predicted, references)
        self.add("sums", [sums[kind] for kind in KINDS])
        self.add("texts", len(predicted))

    def compute(self) -> dict[str, float]:
        """Return ``rouge1``, ``rouge2``, ``rougeL`` and ``rougeLsum``."""
        return self._means()

    def rows(self) -> list[ValueRow]:
        """Return the scores and the number of texts."""
        scores = [ValueRow(name, value) for name, value in self._means().items()]
        return [*scores, ValueRow("texts", int(self.counts("texts")[0]))]

    def _means(self) -> dict[str, float]:
        """Return the scores of the state as it is."""
        sums = dict(zip(KINDS, self.counts("sums").tolist(), strict=True))
        return rouge_means(sums, int(self.counts("texts")[0]))


class AnswerMetric(CountMetric[ValueRow]):
    """SQuAD's exact match and token F1, on 0 to 1.

    Thresholds for "no answer" need every question's score and are not searched here; see
    :func:`mtl.metrics.squad_corpus.squad_v2`.

    Args:
        impossible: Whether questions may have no answer (version 2.0); else version 1.1 holds.
        **kwargs: What `torchmetrics.Metric` takes.
    """

    def __init__(self, impossible: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.score = score_v2 if impossible else score_v1
        self.count("sums", 2, dtype=torch.float64)
        self.count("questions", 1)

    def update(self, predicted: Sequence[str], golds: Sequence[Sequence[str]]) -> None:
        """Score answers.

        Args:
            predicted: The predicted answers, empty for "no answer".
            golds: Each question's right answers; none where it is impossible.
        """
        for answer, right in zip(predicted, golds, strict=True):
            self.add("sums", self.score(answer, right))
        self.add("questions", len(predicted))

    def compute(self) -> dict[str, float]:
        """Return ``em`` and ``f1``."""
        return self._means()

    def rows(self) -> list[ValueRow]:
        """Return both scores and the number of questions."""
        scores = [ValueRow(name, value) for name, value in self._means().items()]
        return [*scores, ValueRow("questions", int(self.counts("questions")[0]))]

    def _means(self) -> dict[str, float]:
        """Return the scores of the state as it is."""
        exact, f1 = self.counts("sums").tolist()
        n = int(self.counts("questions")[0])
        return {"em": ratio(exact, n), "f1": ratio(f1, n)}
