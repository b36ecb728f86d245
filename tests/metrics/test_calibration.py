"""Calibration against torchmetrics, a fine search, and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torchmetrics.classification import BinaryCalibrationError, MulticlassCalibrationError

from mtl.metrics.calibration import STEPS, AnsweredScores, Calibration, Thresholds


def made(classes: int, sharper: float, count: int = 4000) -> tuple[Tensor, Tensor]:
    """Return logits that are `sharper` times too sure of labels drawn from them, and the labels."""
    draw = torch.Generator().manual_seed(classes)
    logits = torch.randn(count, classes, generator=draw, dtype=torch.float64) * 2
    return logits * sharper, torch.multinomial(logits.softmax(-1), 1, generator=draw)[:, 0]


def binary(sharper: float, labels: int = 3, count: int = 4000) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(7)
    logits = torch.randn(count, labels, generator=draw, dtype=torch.float64) * 2 - 1
    truth = torch.rand(logits.shape, generator=draw, dtype=torch.float64) < logits.sigmoid()
    return logits * sharper, truth.long()


@pytest.mark.parametrize("sharper", [0.4, 1.0, 3.0])
def test_the_error_is_that_of_torchmetrics(sharper: float) -> None:
    logits, target = made(4, sharper)
    peer = MulticlassCalibrationError(num_classes=4, n_bins=15)
    ours = Calibration()
    for part, truth in zip(logits.softmax(-1).split(999), target.split(999), strict=True):
        ours.update(part, truth)
        peer.update(part, truth)
    assert ours.compute()["ece"] == pytest.approx(float(peer.compute()), abs=1e-5)


def test_several_labels_are_judged_one_by_one() -> None:
    logits, target = binary(2.0)
    peer = BinaryCalibrationError(n_bins=15)
    peer.update(logits.sigmoid().flatten(), target.flatten())
    ours = Calibration()
    ours.update(logits.sigmoid(), target)
    assert ours.compute()["ece"] == pytest.approx(float(peer.compute()), abs=1e-5)


@pytest.mark.parametrize("sharper", [0.4, 1.0, 3.0])
def test_the_temperature_is_the_most_likely_one(sharper: float) -> None:
    """No temperature of a fine search is more likely by more than a few ten-thousandths."""
    fine = torch.logspace(-1, 1.5, 2001, dtype=torch.float64).tolist()
    for (logits, target), probabilities, nats in (
        (made(4, sharper), lambda x: x.softmax(-1), cross_entropy),
        (
            binary(sharper),
            torch.sigmoid,
            lambda x, y: binary_cross_entropy_with_logits(x, y.double()),
        ),
    ):
        ours = Calibration()
        ours.update(probabilities(logits).float(), target)
        best = min(float(nats(logits / t, target)) for t in fine)
        found = ours.temperature()
        assert float(nats(logits / found, target)) <= best * 1.0005
        assert found == pytest.approx(sharper, rel=0.1)


def test_without_examples_nothing_changes() -> None:
    assert Calibration().temperature() == 1.0
    assert Calibration().compute() == {"ece": 0.0}
    assert Thresholds(["a"], 1).best() == [0.5]


def test_a_temperature_of_too_few_examples_is_one() -> None:
    logits, target = made(4, 3.0, 49)
    few = Calibration(fewest=50)
    few.update(logits.softmax(-1), target)
    assert few.temperature() == 1.0
    few.update(logits[:1].softmax(-1), target[:1])
    assert few.temperature() > 2.0


def test_thresholds_have_the_best_f1_of_all() -> None:
    logits, target = binary(1.0, count=700)
    probabilities = logits.sigmoid().float()
    ours = Thresholds(["a", "b", "c"], fewest=10)
    for part, truth in zip(probabilities.split(300), target.split(300), strict=True):
        ours.update(part, truth)
    for number, row in enumerate(ours.rows()):
        truth, given = target[:, number].numpy(), probabilities[:, number].numpy()
        tried = [
            f1_score(truth, given > np.float64(k / STEPS), zero_division=0.0)
            for k in range(0, STEPS, 5)
        ]
        assert row.f1 == pytest.approx(f1_score(truth, given > row.threshold))
        assert row.f1 >= max(tried) - 1e-9
        assert row.f1_at_half == pytest.approx(f1_score(truth, given > 0.5))
        assert row.support == int(truth.sum())


def test_a_rare_label_keeps_a_half() -> None:
    ours = Thresholds(["often", "rare"], fewest=3)
    target = torch.tensor([[1, 0], [1, 0], [1, 1], [0, 1]])
    ours.update(torch.tensor([[0.2, 0.2], [0.3, 0.1], [0.2, 0.3], [0.1, 0.3]]), target)
    often, rare = ours.best()
    assert 0.1 <= often < 0.2
    assert rare == 0.5


def test_abstaining_counts_what_is_answered() -> None:
    ours = AnsweredScores(0.6)
    ours.update(torch.tensor([[0.9, 0.1], [0.55, 0.45], [0.6, 0.4]]), torch.tensor([0, 0, 1]))
    assert ours.compute() == {"coverage": 2 / 3, "answered_accuracy": 0.5}


def test_bins_say_what_was_promised_and_what_came() -> None:
    ours = Calibration()
    ours.update(
        torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.9, 0.1]]), torch.tensor([0] * 4)
    )
    (row,) = ours.table()
    assert (row.examples, row.accuracy) == (4, 1.0)
    assert row.low <= row.confidence < row.high
    assert row.confidence == pytest.approx(0.9)
