"""The metrics of the task types, as torchmetrics objects; sums that ranks add up.

``compute()`` gives scores on 0 to 1 (errors in the data's unit) by name, ``table()`` rows for
reports. States are int64 or float64. Each ``update`` takes what a task feeds, by name.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtl.metrics.base import CountMetric
from mtl.metrics.confusion import (
    LabelCounts,
    averages,
    confusion_matrix,
    label_counts,
    label_rows,
    matthews,
    rates,
    report_order,
)
from mtl.metrics.entities import count_entities, entity_rows, entity_types
from mtl.metrics.tables import EntityRow, LabelRow, ValueRow, ratio
from mtl.metrics.texts import Scoring

LIMIT = 700.0
"""Nats a token beyond which perplexity stays where it is: its number would be infinite."""


class LabelScores(CountMetric[LabelRow]):
    """Accuracy, macro F1 and Matthews correlation of one label of several.

    Args:
        labels: The labels, in the order of their numbers.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__()
        self.labels = list(labels)
        self.count("confusion", len(self.labels), len(self.labels))

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Count `preds`, (n,) label numbers or (n, labels) scores, and `target`, (n,)."""
        guess = preds.cpu().numpy()
        guess = guess.argmax(axis=1) if guess.ndim == 2 else guess
        self.add("confusion", confusion_matrix(guess, target.cpu().numpy(), len(self.labels)))

    def compute(self) -> dict[str, float]:
        """Return ``accuracy``, ``macro_f1`` (of labels that occur) and ``mcc``."""
        confusion = self.counts("confusion")
        _, macro, _ = averages(label_counts(confusion))
        return {
            "accuracy": ratio(int(confusion.trace()), int(confusion.sum())),
            "macro_f1": macro.f1,
            "mcc": matthews(confusion),
        }

    def pairs(self) -> list[list[int]]:
        """Return the confusion matrix, rows gold."""
        with self.sync_context(dist_sync_fn=self.dist_sync_fn, should_sync=not self._is_synced):
            found: list[list[int]] = self.counts("confusion").tolist()
        return found

    def rows(self) -> list[LabelRow]:
        """Return one line for each label that occurs, then micro, macro and weighted averages."""
        return label_rows(label_counts(self.counts("confusion")), self.labels)


class TokenScores(LabelScores):
    """Each word's label as a class of its own, ``O`` among them, which flatters averages."""

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__(labels)
        self.order = [self.labels.index(label) for label in report_order(self.labels)]

    def compute(self) -> dict[str, float]:
        """Return ``accuracy``, ``token_macro_f1`` and ``token_weighted_f1``."""
        micro, macro, weighted = averages(label_counts(self.counts("confusion"), self.order))
        return {
            "accuracy": micro.f1,
            "token_macro_f1": macro.f1,
            "token_weighted_f1": weighted.f1,
        }

    def rows(self) -> list[LabelRow]:
        """Return the lines by type, ``O`` last, and the averages."""
        counts = label_counts(self.counts("confusion"), self.order)
        return label_rows(counts, [self.labels[i] for i in self.order])


class EntityScores(CountMetric[EntityRow]):
    """Entity precision, recall and F1 as `conlleval` has them.

    Args:
        labels: The labels, in the order of their numbers; every entity type occurs in them.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__()
        self.labels = list(labels)
        self.types = entity_types(labels)
        self.count("spans", len(self.types), 3)

    def update(self, preds: Tensor, target: Tensor, sizes: Sequence[int]) -> None:
        """Count the spans of sentences of so many words; `preds` and `target` are (words,)."""
        guess, truth = (
            [[self.labels[i] for i in part] for part in map(Tensor.tolist, ids.split(list(sizes)))]
            for ids in (preds, target)
        )
        self.add("spans", count_entities(guess, truth, self.types))

    def compute(self) -> dict[str, float]:
        """Return ``f1``, ``precision`` and ``recall`` over all types."""
        total = self.rows()[0]
        return {"f1": total.f1, "precision": total.precision, "recall": total.recall}

    def rows(self) -> list[EntityRow]:
        """Return the line over all types, then one for each type that occurs."""
        return entity_rows(self.counts("spans"), self.types)


class MultiLabelScores(CountMetric[LabelRow]):
    """Micro and macro F1 and subset accuracy, where an example may have any number of labels.

    Args:
        labels: The labels, in the order of the columns.
        thresholds: Returns the probability above which each is given; a half when None.
    """

    def __init__(
        self,
        labels: Sequence[str],
        thresholds: Callable[[], npt.NDArray[np.float64]] | None = None,
    ) -> None:
        super().__init__()
        self.labels = list(labels)
        self.thresholds = thresholds
        self.count("decisions", 3, len(self.labels))
        self.count("examples", 2)

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Count `preds`, (n, labels) probabilities, and `target`, (n, labels) of 0 and 1."""
        above = 0.5 if self.thresholds is None else self.thresholds()
        guess, truth = preds.cpu().numpy() > above, target.cpu().numpy() > 0
        parts = (guess & truth, guess, truth)
        self.add("decisions", np.stack([part.sum(axis=0) for part in parts]))
        self.add("examples", [int((guess == truth).all(axis=1).sum()), len(truth)])

    def compute(self) -> dict[str, float]:
        """Return ``micro_f1``, ``macro_f1`` (over all labels) and ``subset_accuracy``."""
        counts, (exact, examples) = self._labels(), self.counts("examples").tolist()
        f1 = rates(counts).f1
        return {
            "micro_f1": averages(counts)[0].f1,
            "macro_f1": ratio(float(f1.sum()), len(f1)),
            "subset_accuracy": ratio(exact, examples),
        }

    def rows(self) -> list[LabelRow]:
        """Return one line for each label that occurs, then micro, macro and weighted averages."""
        return label_rows(self._labels(), self.labels)

    def _labels(self) -> LabelCounts:
        return LabelCounts(*self.counts("decisions"))


class ValueScores(CountMetric[ValueRow]):
    """A metric whose table is its scores, and what they were counted over."""

    @abstractmethod
    def over(self) -> dict[str, int]:
        """Return the names and numbers of what was counted."""

    def rows(self) -> list[ValueRow]:
        """Return the scores and what they were counted over; nothing where there are none."""
        scores = type(self).compute(self)  # As written: the instance's asks all ranks.
        return [ValueRow(*item) for item in {**scores, **self.over()}.items()] if scores else []


class NumberScores(ValueScores):
    """Pearson's correlation and the root mean squared error, from running sums in float64.

    The price of sums is cancellation: a variance loses about 2·log10(|mean| / deviation) of 16
    digits. So values are summed after subtracting `shift`; then a few units in the last place are
    lost at most.

    Args:
        shift: A constant near the gold mean, the same on every rank: the training mean, say.
    """

    def __init__(self, shift: float = 0.0) -> None:
        super().__init__()
        self.shift = shift
        self.count("sums", 7, dtype=torch.float64)

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add (n,) predicted and true numbers."""
        raw_p, raw_g = (side.detach().double().cpu().numpy() for side in (preds, target))
        assert raw_p.shape == raw_g.shape, (raw_p.shape, raw_g.shape)
        p, g, error = raw_p - self.shift, raw_g - self.shift, raw_p - raw_g
        self.add("sums", [p.size, p.sum(), g.sum(), p @ p, g @ g, p @ g, error @ error])

    def compute(self) -> dict[str, float]:
        """Return ``pearson``, 0 where one side does not vary, and ``rmse``."""
        n, p, g, pp, gg, pg, errors = self.counts("sums").tolist()
        return {"pearson": _pearson(n, p, g, pp, gg, pg), "rmse": math.sqrt(ratio(errors, n))}

    def over(self) -> dict[str, int]:
        """Return the number of examples."""
        return {"examples": int(self.counts("sums")[0])}


def _pearson(n: float, p: float, g: float, pp: float, gg: float, pg: float) -> float:
    if n < 2:
        return 0.0
    spread_p, spread_g = pp - p * p / n, gg - g * g / n
    # What a constant's squares may seem to vary by.
    rounding = (8 + math.sqrt(n)) * float(np.finfo(np.float64).eps)
    if spread_p <= rounding * pp or spread_g <= rounding * gg:
        return 0.0
    r = (pg - p * g / n) / math.sqrt(spread_p) / math.sqrt(spread_g)
    return max(-1.0, min(1.0, r))


class TextScores(ValueScores):
    """How written texts compare with right ones.

    Args:
        scoring: What is summed up over texts, and the scores that follow from it.
    """

    def __init__(self, scoring: Scoring) -> None:
        super().__init__()
        self.scoring = scoring
        self.count("sums", scoring.size, dtype=torch.float64)
        self.count("texts", 1)

    def update(self, preds: Sequence[str], target: Sequence[Sequence[str]]) -> None:
        """Score texts, each with at least one right text; they are forgotten at once."""
        self.add("sums", self.scoring.sums(preds, target))
        self.add("texts", len(preds))

    def compute(self) -> dict[str, float]:
        """Return the scoring's scores, on 0 to 1; 0 where there were no texts."""
        return self.scoring.scores(self.counts("sums"), int(self.counts("texts")[0]))

    def over(self) -> dict[str, int]:
        """Return the number of texts."""
        return {"texts": int(self.counts("texts")[0])}


class PerplexityScore(ValueScores):
    """What right texts cost: the exponential of a token's mean negative log-likelihood."""

    def __init__(self) -> None:
        super().__init__()
        self.count("sums", 2, dtype=torch.float64)

    def update(self, nats: float, tokens: int) -> None:
        """Add summed negative log-likelihoods, in nats, of so many tokens."""
        self.add("sums", [nats, tokens])

    def compute(self) -> dict[str, float]:
        """Return ``perplexity``; nothing where no tokens were read."""
        nats, tokens = self.counts("sums").tolist()
        return {"perplexity": math.exp(min(nats / tokens, LIMIT))} if tokens else {}

    def over(self) -> dict[str, int]:
        """Return the number of tokens."""
        return {"tokens": int(self.counts("sums")[1])}


class Likelihood(NamedTuple):
    """Sums over predicted tokens."""

    nats: float
    """Negative log-likelihood of all of them."""
    tokens: int
    correct: int
    """How often the right token had the highest score."""
    text_nats: float
    """Negative log-likelihood of those that are text: all but end tokens."""
    bytes: int
    """UTF-8 bytes of that text."""

    def scores(self) -> dict[str, float]:
        """Return ``accuracy``, ``perplexity``, ``loss`` and ``bits_per_byte``.

        The loss is in nats a token and perplexity is its exponential: both depend on the
        tokenizer. Bits per byte do not: ``nats / (bytes · ln 2)``, over the text without its end.
        """
        loss = ratio(self.nats, self.tokens)
        return {
            "accuracy": ratio(self.correct, self.tokens),
            "perplexity": math.exp(min(loss, LIMIT)),
            "loss": loss,
            "bits_per_byte": ratio(self.text_nats, self.bytes * math.log(2)),
        }


class LikelihoodScores(ValueScores):
    """Perplexity and its relatives from running sums in float64."""

    def __init__(self) -> None:
        super().__init__()
        self.count("sums", len(Likelihood._fields), dtype=torch.float64)

    def update(self, likelihoods: Sequence[Likelihood]) -> None:
        """Add the sums of some texts."""
        for likelihood in likelihoods:
            self.add("sums", list(likelihood))

    def compute(self) -> dict[str, float]:
        """Return what :meth:`Likelihood.scores` does."""
        return Likelihood(*self.counts("sums").tolist()).scores()

    def over(self) -> dict[str, int]:
        """Return the numbers of tokens and bytes."""
        sums = Likelihood(*self.counts("sums").tolist())
        return {"tokens": int(sums.tokens), "bytes": int(sums.bytes)}
