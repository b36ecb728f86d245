"""Metrics that a configuration adds: found by name, made with what the task knows, tried."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from sklearn.metrics import cohen_kappa_score, roc_auc_score
from torchmetrics import AUROC, CalibrationError, MeanAbsoluteError, Metric

from mtl.errors import ConfigError, Problem
from mtl.metrics.registry import METRICS, build_metric, feed, try_metric

FACTS = {"task": "multiclass", "num_classes": 3}
PREDS = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.5, 0.4], [0.3, 0.3, 0.4], [0.2, 0.6, 0.2]])
TARGET = torch.tensor([0, 2, 2, 1])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("auroc", AUROC),
        ("calibration_error", CalibrationError),
        ("mean_absolute_error", MeanAbsoluteError),
    ],
)
def test_names_are_those_of_torchmetrics_in_snake_case(name: str, kind: Any) -> None:
    assert METRICS.get(name) is kind
    assert {"f1_score", "r2_score", "bleu_score", "char_error_rate", "squad", "infolm"} <= set(
        METRICS
    )


def test_what_the_task_knows_is_filled_in_and_options_win() -> None:
    name, metric = build_metric("auroc", FACTS, "tasks.mood.metrics[0]")
    assert name == "auroc"
    assert feed(metric, {"preds": PREDS, "target": TARGET, "sizes": [4]})
    wanted = roc_auc_score(TARGET, PREDS, multi_class="ovr", average="macro")
    assert float(metric.compute()) == pytest.approx(wanted)
    _, other = build_metric({"name": "auroc", "average": "weighted"}, FACTS, "metrics[0]")
    assert feed(other, {"preds": PREDS, "target": TARGET})
    weighted = roc_auc_score(TARGET, PREDS, multi_class="ovr", average="weighted")
    assert float(other.compute()) == pytest.approx(weighted)
    _, kappa = build_metric("cohen_kappa", FACTS, "metrics[0]")
    assert feed(kappa, {"preds": PREDS.argmax(1), "target": TARGET})
    assert float(kappa.compute()) == pytest.approx(cohen_kappa_score(TARGET, PREDS.argmax(1)))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("calibration_eror", r"`tasks\.mood\.metrics\[0\]`.*Did you mean 'calibration_error'"),
        ({"average": "macro"}, r"`tasks\.mood\.metrics\[0\]` to be a metric's name"),
        ({"name": "auroc", "averag": "macro"}, r"'auroc'.*averag"),
        ({"name": "auroc", "average": "mean"}, r"'auroc'.*average"),
        (3, "to be a metric's name"),
        ("minkowski_distance", r"lacks p\. Write \{name: minkowski_distance, p: …\}\."),
    ],
)
def test_what_is_no_metric_is_a_sentence(spec: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_metric(spec, FACTS, "tasks.mood.metrics[0]")


def test_options_that_are_missing_are_named() -> None:
    with pytest.raises(ConfigError, match="'exact_match' lacks task") as error:
        build_metric("exact_match", {}, "tasks.mood.metrics[0]")
    (problem,) = error.value.problems
    assert isinstance(problem, Problem)
    expected = "Write {name: exact_match, task: binary | multiclass | multilabel}."
    assert problem.advice == expected


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("char_error_rate", "'char_error_rate' cannot"),
        ("retrieval_map", "it needs indexes"),
        ("confusion_matrix", "several numbers"),
    ],
)
def test_a_metric_that_cannot_take_what_is_fed_is_a_sentence(name: str, message: str) -> None:
    _, metric = build_metric(name, FACTS, "metrics[0]")
    given = {"preds": PREDS, "target": TARGET}
    with pytest.raises(ConfigError, match=r"preds \(float32 of shape \(4, 3\)\).*") as error:
        try_metric(name, metric, given, "tasks.mood.metrics")
    assert message in str(error.value)


def test_trying_leaves_nothing_behind() -> None:
    _, metric = build_metric("auroc", FACTS, "metrics[0]")
    try_metric("auroc", metric, {"preds": PREDS, "target": TARGET}, "metrics")
    assert not metric.update_called


class Ones(Metric):
    """Counts what it is given; a metric of another package."""

    total: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros(()), dist_reduce_fx="sum")

    def update(self, scores: torch.Tensor) -> None:
        self.total += len(scores)

    def compute(self) -> torch.Tensor:
        return self.total


def test_a_metric_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METRICS._entries, "ones", Ones)
    _, metric = build_metric("ones", FACTS, "metrics[0]")
    assert not feed(metric, {"preds": PREDS, "target": TARGET})
    assert feed(metric, {"preds": PREDS, "scores": TARGET})
    assert float(metric.compute()) == 4
