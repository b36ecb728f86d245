"""Whether probabilities mean what they say, and what makes them do so.

A temperature divides the logits (Guo et al., 2017, "On Calibration of Modern Neural Networks"); a
threshold of its own decides on each of several labels. Both are found from sums that ranks add up.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtl.metrics.base import CountMetric
from mtl.metrics.tables import ConfidenceRow, ThresholdRow, ratio

BINS = 15
"""Equal bins of confidence, as torchmetrics and most papers have them."""
OCTAVES = np.linspace(-3, 5, 33)
TEMPERATURES = 2.0**OCTAVES
"""A quarter of an octave apart; between them the likelihood is nearly a parabola."""
STEPS = 1000
"""Thresholds that are tried lie so far apart on 0 to 1."""
HALF = 0.5
TINY = 1e-30
Counts = npt.NDArray[np.int64]


class Calibration(CountMetric[ConfidenceRow]):
    """The expected calibration error, and the temperature that would be best.

    One label of several is judged by the probability of the predicted one; of any number of labels
    each is judged by itself.

    Args:
        fewest: With fewer examples the temperature stays 1: the best one would be chance.
            Infinity where none is wanted.
    """

    higher_is_better = False

    def __init__(self, fewest: float = 1) -> None:
        super().__init__()
        self.fewest = fewest
        self.count("examples", 1)
        self.count("bins", 3, BINS, dtype=torch.float64)
        self.count("nats", len(TEMPERATURES), dtype=torch.float64)

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Count `preds`, (n, labels) probabilities, and `target`, (n,) numbers or (n, labels)."""
        if not len(preds):
            return
        preds, target = preds.detach().cpu().double(), target.cpu()
        if target.ndim == 1:
            confidence, guess = preds.max(dim=1)
            right = guess == target
        else:
            confidence, right = preds.flatten(), target.flatten() > 0
        place = (confidence * BINS).long().clamp(0, BINS - 1).numpy()
        weights = (None, confidence.numpy(), right.double().numpy())
        self.add("bins", np.stack([np.bincount(place, w, BINS) for w in weights]))
        self.add("nats", _nats(preds, target))
        self.add("examples", [len(preds)])

    def compute(self) -> dict[str, float]:
        """Return ``ece``: how far confidence and accuracy are apart, on average over examples."""
        count, confidence, right = self.counts("bins")
        return {"ece": ratio(float(np.abs(confidence - right).sum()), float(count.sum()))}

    def rows(self) -> list[ConfidenceRow]:
        """Return the bins that are not empty."""
        return [
            ConfidenceRow(i / BINS, (i + 1) / BINS, int(n), sure / n, right / n)
            for i, (n, sure, right) in enumerate(self.counts("bins").T.tolist())
            if n
        ]

    def temperature(self) -> float:
        """Return the most likely temperature over all ranks; every rank must call it.

        1 where too few examples were counted, or where any temperature is as good.
        """
        with self.sync_context(dist_sync_fn=self.dist_sync_fn, should_sync=not self._is_synced):
            nats, (examples,) = self.counts("nats"), self.counts("examples").tolist()
        if examples < self.fewest or not np.ptp(nats):
            return 1.0
        best = int(nats[1:-1].argmin()) + 1
        before, here, after = nats[best - 1 : best + 2]
        bend = before - 2 * here + after
        off = np.clip((before - after) / (2 * bend), -1, 1) if bend > 0 else 0.0
        return float(2 ** (OCTAVES[best] + off * (OCTAVES[1] - OCTAVES[0])))


def _nats(preds: Tensor, target: Tensor) -> list[float]:
    """Return the negative log-likelihood of all targets at each temperature."""
    if target.ndim == 1:
        logits = preds.clamp_min(TINY).log()
        return [
            float(torch.nn.functional.cross_entropy(logits / t, target, reduction="sum"))
            for t in TEMPERATURES
        ]
    logits = preds.clamp(1e-15, 1 - 1e-15).logit()
    truth = target.double()
    loss = torch.nn.functional.binary_cross_entropy_with_logits
    return [float(loss(logits / t, truth, reduction="sum")) for t in TEMPERATURES]


class Thresholds(CountMetric[ThresholdRow]):
    """The threshold of each label's probability above which it is best to give it.

    Args:
        labels: The labels, in the order of the columns.
        fewest: A label that occurs less often keeps a half: its best threshold would be chance.
    """

    def __init__(self, labels: Sequence[str], fewest: int) -> None:
        super().__init__()
        self.labels, self.fewest = list(labels), fewest
        self.count("shares", 2, len(self.labels), STEPS)

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Count `preds`, (n, labels) probabilities, and `target`, (n, labels) of 0 and 1."""
        truth = target.cpu().numpy() > 0
        # A probability of exactly k/STEPS is not above that threshold.
        place = np.ceil(preds.detach().cpu().double().numpy() * STEPS).clip(1, STEPS).astype(int)
        flat = place - 1 + STEPS * np.arange(len(self.labels))
        size = STEPS * len(self.labels)
        self.add(
            "shares",
            np.stack(
                [
                    np.bincount(flat[wanted], minlength=size).reshape(-1, STEPS)
                    for wanted in (~truth, truth)
                ]
            ),
        )

    def compute(self) -> dict[str, float]:
        """Return nothing: thresholds are no scores."""
        return {}

    def best(self) -> list[float]:
        """Return each label's threshold over all ranks; every rank must call it."""
        return [row.threshold for row in self.table()]

    def rows(self) -> list[ThresholdRow]:
        """Return each label's threshold, with its F1 there and at a half."""
        return [self._row(number) for number in range(len(self.labels))]

    def _row(self, number: int) -> ThresholdRow:
        wrong, right = self.counts("shares")[:, number]
        support = int(right.sum())
        f1 = _f1_above(wrong, right)
        middle = STEPS // 2
        # Of equally good ones, the middle one of those next to each other.
        best = _middle(f1) if support >= self.fewest else middle
        row = (self.labels[number], best / STEPS, float(f1[best]), float(f1[middle]), support)
        return ThresholdRow(*row)


def _f1_above(
    wrong: npt.NDArray[np.int64], right: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return the F1 of giving a label where its probability is above 0, 1/STEPS, ..."""
    hits, false = (np.cumsum(side[::-1])[::-1] for side in (right, wrong))
    return np.asarray(2 * hits / np.maximum(hits + false + right.sum(), 1), dtype=np.float64)


def _middle(f1: npt.NDArray[np.float64]) -> int:
    """Return the middle of the longest run of best places."""
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    runs = np.split(best, np.flatnonzero(np.diff(best) > 1) + 1)
    longest = max(runs, key=len)
    return int(longest[len(longest) // 2])


class AnsweredScores(CountMetric[ConfidenceRow]):
    """What a model that abstains below a confidence is worth.

    Args:
        least: The probability of the likeliest label below which no label is given.
    """

    def __init__(self, least: float) -> None:
        super().__init__()
        self.least = least
        self.count("answers", 3)

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Count `preds`, (n, labels) probabilities, and `target`, (n,) numbers."""
        if len(preds):
            confidence, guess = preds.detach().cpu().max(dim=1)
            given = confidence >= self.least
            right = given & (guess == target.cpu())
            self.add("answers", [len(preds), int(given.sum()), int(right.sum())])

    def compute(self) -> dict[str, float]:
        """Return ``coverage``, the share answered, and ``answered_accuracy``, among those."""
        examples, given, right = self.counts("answers").tolist()
        return {"coverage": ratio(given, examples), "answered_accuracy": ratio(right, given)}

    def rows(self) -> list[ConfidenceRow]:
        """Return nothing: the scores say it all."""
        return []
