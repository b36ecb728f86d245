"""How written texts are compared with right ones: summaries, answers, translations."""

from __future__ import annotations

import math
import re
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

from torch import nn

from mtl.metrics.shells import AnswerMetric, PerplexityMetric, RougeMetric, TranslationMetric
from mtl.registry import Registry
from mtl.tasks.base import TaskMetrics
from mtl.types import Row

SCORINGS: Registry[type[Scoring]] = Registry("scoring")

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+|\n+")


class Scoring(nn.Module):
    """Running scores of written texts, and an honest guess to compare them with."""

    metric_names: ClassVar[tuple[str, ...]]

    def __init__(self) -> None:
        super().__init__()
        self.metric = self.build()

    @staticmethod
    @abstractmethod
    def build() -> Any:
        """Return the shell that counts texts."""

    def update(self, texts: Sequence[str], references: Sequence[Sequence[str]]) -> None:
        """Count texts, each with at least one right text."""
        self.metric.update(texts, references)

    def compute(self) -> dict[str, float]:
        """Return the scores over all ranks, each on 0 to 1."""
        return dict(self.metric.compute())

    def reset(self) -> None:
        """Forget all texts."""
        self.metric.reset()

    def rows(self) -> list[Any]:
        """Return the scores as rows of a table."""
        return list(self.metric.table())

    @staticmethod
    @abstractmethod
    def guess(rows: Sequence[Row]) -> Callable[[Row], str]:
        """Return a simple rule, from the training rows, that writes a text for a row."""


@SCORINGS.register("rouge")
class Summaries(Scoring):
    """ROUGE; the guess is a document's first sentence."""

    metric_names = ("rougeL", "rouge1", "rouge2", "rougeLsum")

    @staticmethod
    def build() -> Any:
        """Return the shell that counts texts."""
        return RougeMetric()

    @staticmethod
    def guess(rows: Sequence[Row]) -> Callable[[Row], str]:
        """Return the first sentence."""
        del rows
        return lambda row: first_sentence(row["text"])


@SCORINGS.register("answers")
class Answers(Scoring):
    """SQuAD's F1 and exact match; the guess is the commonest answer of training."""

    metric_names = ("f1", "em")

    @staticmethod
    def build() -> Any:
        """Return the shell that counts texts."""
        return AnswerMetric()

    @staticmethod
    def guess(rows: Sequence[Row]) -> Callable[[Row], str]:
        """Return the commonest right text, whatever the row."""
        ((common, _),) = Counter(row["target"][0] for row in rows).most_common(1)
        return lambda row: common


@SCORINGS.register("bleu")
class Translations(Scoring):
    """BLEU and chrF; the guess is the text itself, untranslated."""

    metric_names = ("bleu", "chrf")

    @staticmethod
    def build() -> Any:
        """Return the shell that counts texts."""
        return TranslationMetric()

    @staticmethod
    def guess(rows: Sequence[Row]) -> Callable[[Row], str]:
        """Return the document."""
        del rows
        return lambda row: str(row["text"])


def first_sentence(text: str) -> str:
    """Return a text's first sentence, or its first line if that is shorter."""
    return _SENTENCE_END.split(text.strip(), maxsplit=1)[0].strip()


class Written(NamedTuple):
    """One output: what the right text cost, or the texts that were written."""

    nll: float = 0.0
    """Summed negative log-likelihood of the target's tokens, in nats."""
    tokens: int = 0
    texts: tuple[tuple[str, float | None], ...] = ()
    """Texts, the best first, each with its beam's score."""


class GenerationMetrics(TaskMetrics):
    """Scores of the texts that were written, and the perplexity of the right ones."""

    def __init__(self, scoring: Scoring) -> None:
        super().__init__()
        self.scoring = scoring
        self.perplexity = PerplexityMetric()

    def update(self, outputs: Sequence[Written], rows: Sequence[Row]) -> None:
        """Count texts that were written, and the costs of right ones."""
        written = [
            (o.texts[0][0], row["target"]) for o, row in zip(outputs, rows, strict=True) if o.texts
        ]
        if written:
            texts, references = zip(*written, strict=True)
            self.scoring.update(texts, references)
        self.perplexity.update(sum(o.nll for o in outputs), sum(o.tokens for o in outputs))

    def compute(self) -> dict[str, float]:
        """Return the scores; perplexity only where targets were read."""
        found = self.scoring.compute()
        perplexity = self.perplexity.compute()
        return found if math.isnan(perplexity) else {**found, "perplexity": perplexity}

    def reset(self) -> None:
        """Forget all texts."""
        self.scoring.reset()
        self.perplexity.reset()

    def tables(self) -> dict[str, list[Any]]:
        """Return the scores and the number of texts."""
        return {"texts": [*self.scoring.rows(), *self.perplexity.table()]}
