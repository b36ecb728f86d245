"""BLEU and chrF as sacreBLEU computes them, from statistics that add up over texts and ranks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from mtl.errors import ConfigError
from mtl.metrics.rows import ValueRow
from mtl.metrics.shells.base import CountMetric

NAMES = ("bleu", "chrf")


class TranslationMetric(CountMetric[ValueRow]):
    """Corpus BLEU (Papineni et al. 2002; Post 2018) and chrF2 (Popović 2015), on 0 to 1.

    Raises:
        ConfigError: If sacreBLEU is not installed.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        try:
            from sacrebleu.metrics import BLEU, CHRF
        except ImportError as error:
            raise ConfigError(
                "Expected sacrebleu to be installed, which BLEU and chrF are computed with; say "
                "pip install 'mtl[translation]'."
            ) from error
        self.scorers = {"bleu": BLEU(), "chrf": CHRF()}
        for name, scorer in self.scorers.items():
            size = len(_statistics(scorer, ".", ["."]))
            self.count(name, size, dtype=torch.float64)
        self.count("texts", 1)

    def update(self, predicted: Sequence[str], references: Sequence[Sequence[str]]) -> None:
        """Add texts, each with at least one right text."""
        for name, scorer in self.scorers.items():
            for text, right in zip(predicted, references, strict=True):
                self.add(name, _statistics(scorer, text, right))
        self.add("texts", len(predicted))

    def compute(self) -> dict[str, float]:
        """Return ``bleu`` and ``chrf``; 0 where there were no texts."""
        return self._scores()

    def rows(self) -> list[ValueRow]:
        """Return both scores and the number of texts."""
        scores = [ValueRow(name, value) for name, value in self._scores().items()]
        return [*scores, ValueRow("texts", int(self.counts("texts")[0]))]

    def _scores(self) -> dict[str, float]:
        if not self.counts("texts")[0]:
            return dict.fromkeys(NAMES, 0.0)
        return {
            name: scorer._compute_score_from_stats([int(n) for n in self.counts(name)]).score / 100
            for name, scorer in self.scorers.items()
        }


def _statistics(scorer: Any, text: str, references: Sequence[str]) -> list[float]:
    """Return what sacreBLEU sums up over the texts of a corpus."""
    (found,) = scorer._extract_corpus_statistics([text], [[right] for right in references])
    return list(found)
