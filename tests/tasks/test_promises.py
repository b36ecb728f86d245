"""A mistake in a task type is a sentence that says which, before the first step."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor
from torchmetrics import MeanMetric, MetricCollection

from mtl.errors import ConfigError
from mtl.heads.classification import ClassificationHead
from mtl.tasks import TASK_TYPES
from mtl.tasks.base import Learned
from mtl.tasks.contract import check_masses, check_metric_names, learn
from mtl.tasks.encode import encode_split
from mtl.tasks.text_classification import TextClassification
from mtl.training.model import make_task
from tests.tasks.samples import SAMPLES, Sample, encoder, head_of
from train import main

samples = pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
MOOD = next(sample for sample in SAMPLES.values() if sample.type == "text_classification")


@samples
def test_built_in_types_keep_their_promises(sample: Sample) -> None:
    task = sample.task()
    store = encode_split(
        task, sample.placed(), encoder(sample.lengths[0]), task.traits.attentions[0]
    )
    check_metric_names(task, store)
    check_masses(task, head_of(task), store)


def test_a_mass_that_the_head_does_not_count_is_refused() -> None:
    task = MOOD.task()
    store = encode_split(task, MOOD.placed(), encoder(64), "causal")
    examples = list(store.select(range(len(store))).encoded)
    examples[-1] = dataclasses.replace(examples[-1], mass=2.0)
    wrong = dataclasses.replace(store, examples=examples)
    with pytest.raises(ConfigError, match=r"`tasks\.sample\.type`.* encodes 2 .* head counts 1\."):
        check_masses(task, head_of(task), wrong)


class Size(MeanMetric):
    def update(self, target: Tensor) -> None:
        super().update(float(len(target)))


def added(metrics: MetricCollection) -> MetricCollection:
    metrics.add_metrics({"size": Size()})
    return metrics


def test_metric_names_are_those_of_the_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    task = MOOD.task()
    store = encode_split(task, MOOD.placed(), encoder(64), "causal")
    names = task.metric_names
    monkeypatch.setattr(task, "metric_names", (*names, "kappa"))
    with pytest.raises(ConfigError, match=r"`metrics\(\)` that do not give `kappa`"):
        check_metric_names(task, store)
    monkeypatch.setattr(task, "metric_names", names)
    own = task.metrics
    monkeypatch.setattr(task, "metrics", lambda: added(own()))
    with pytest.raises(ConfigError, match=r"`metrics\(\)` that alone give `size`"):
        check_metric_names(task, store)


def test_learning_returns_the_class_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    task = MOOD.task(learned=False)
    assert learn(task, MOOD.placed()) == MOOD.task().learned
    monkeypatch.setattr(task, "learn", lambda rows: Learned())
    with pytest.raises(ConfigError, match="returns `Learned`"):
        learn(task, MOOD.placed())


def test_a_missing_method_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Half(TextClassification):
        decode: Any
        baseline: Any

    Half.__abstractmethods__ = frozenset({"decode", "baseline"})
    monkeypatch.setitem(TASK_TYPES._entries, "half", Half)
    with pytest.raises(ConfigError, match=r"`tasks\.mood\.type`.*'half' lacks baseline, decode"):
        make_task("mood", "half", options={}, head={})


def test_directions_of_metrics_stand_in_the_traits(monkeypatch: pytest.MonkeyPatch) -> None:
    class Old(TextClassification):
        lower_is_better = frozenset({"rmse"})

    monkeypatch.setitem(TASK_TYPES._entries, "old", Old)
    with pytest.raises(ConfigError, match=r"`tasks\.mood\.type`.*traits = Traits\(lower_is_bett"):
        make_task("mood", "old", options={}, head={})


@pytest.mark.parametrize(
    ("owner", "name", "wrong", "says"),
    [
        (ClassificationHead, "mass", lambda self, targets: 0.5, "encodes 1 where its head counts"),
        (TextClassification, "learn", lambda self, rows: Learned(), "returns `Learned`"),
        (
            TextClassification,
            "metrics",
            lambda self: MetricCollection([]),
            "do not give `accuracy`",
        ),
    ],
)
def test_a_run_ends_before_its_first_step(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    owner: type,
    name: str,
    wrong: Any,
    says: str,
) -> None:
    monkeypatch.setattr(owner, name, wrong)
    argv = ["task=sentiment", "logger=none", "trainer.threads=1", "trainer.accelerator=cpu"]
    assert main([*argv, "trainer.max_steps=1", f"hydra.run.dir={tmp_path / 'run'}"]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "`tasks.sentiment.type`" in told
    assert says in told
