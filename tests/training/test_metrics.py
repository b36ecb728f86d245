"""What a run reports: names, baselines, the aggregate, and every example once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest

from mtl.metrics.aggregate import aggregate
from mtl.training.module import MultiTaskModule
from mtl.training.run import train
from mtl.types import MicroBatch
from tests.training.corpus import rows
from tests.training.site import Site, metrics, module_of, prepared


@pytest.fixture(scope="module")
def found(site: Site, tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """The metrics of a run of three tasks with weights 1, 2 and 0.5."""
    folder = tmp_path_factory.mktemp("metrics")
    cfg = site.config("ner", "sentiment", "rating", trainer__max_steps=2)
    cfg.tasks["sentiment"].weight, cfg.tasks["rating"].weight = 2.0, 0.5
    returned = train(cfg, folder)
    assert metrics(folder) == returned
    return returned


METRICS = {
    "ner": ["f1", "precision", "recall", "accuracy", "token_macro_f1", "token_weighted_f1"],
    "sentiment": ["accuracy", "macro_f1", "mcc", "ece"],
    "rating": ["pearson", "rmse"],
}


def test_names(found: dict[str, float]) -> None:
    """Flat, all numbers, and nothing else."""
    stages = ("baseline", "test", "val")
    expected = {f"{s}/{task}/{m}" for s in stages for task, ms in METRICS.items() for m in ms}
    assert set(found) == expected | {f"{stage}/score" for stage in stages}
    assert all(isinstance(value, float) for value in found.values())


@pytest.mark.parametrize("stage", ["baseline", "test", "val"])
def test_the_score_is_the_weighted_mean_of_primary_metrics(
    found: dict[str, float], stage: str
) -> None:
    f1, accuracy = found[f"{stage}/ner/f1"], found[f"{stage}/sentiment/accuracy"]
    pearson = found[f"{stage}/rating/pearson"]
    by_hand = (1.0 * f1 + 2.0 * accuracy + 0.5 * pearson) / 3.5
    assert found[f"{stage}/score"] == pytest.approx(by_hand)


def test_an_error_counts_by_its_inverse() -> None:
    assert aggregate({"a": (1.0, 0.5, True), "b": (3.0, 1.0, False)}) == pytest.approx(0.5)
    assert aggregate({"b": (3.0, 0.0, False)}) == 1.0
    assert aggregate({"a": (0.0, 0.7, True)}) == 0.0


def test_baselines_by_hand(found: dict[str, float]) -> None:
    """Guesses are taken from train and scored on test."""
    train_rows, test_rows = rows(16), rows(9, 22)
    mood = Counter(row["sentiment"] for row in train_rows).most_common(1)[0][0]
    right = [row["sentiment"] == mood for row in test_rows]
    assert found["baseline/sentiment/accuracy"] == pytest.approx(np.mean(right))
    stars = np.array([row["stars"] for row in test_rows])
    mean = np.mean([row["stars"] for row in train_rows])
    assert found["baseline/rating/rmse"] == pytest.approx(np.sqrt(np.mean((stars - mean) ** 2)))
    assert found["baseline/rating/pearson"] == 0.0
    outside = [label == "O" for row in test_rows for label in row["ner_tags"]]
    assert found["baseline/ner/accuracy"] == pytest.approx(np.mean(outside))
    assert found["baseline/ner/f1"] == 0.0


def evaluator() -> L.Trainer:
    """Return a trainer that only evaluates."""
    return L.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


class Seen(L.Callback):
    """Counts the rows that reach the metrics."""

    def __init__(self) -> None:
        self.texts: dict[str, Counter[str]] = {}

    def count(self, module: L.LightningModule, stage: str, batch: MicroBatch) -> None:
        assert isinstance(module, MultiTaskModule)
        for name, part in batch.heads.items():
            texts = [module.evaluation(stage).stores[name].rows[i]["text"] for i in part.examples]
            self.texts.setdefault(name, Counter()).update(texts)

    def on_validation_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, *_: Any
    ) -> None:
        self.count(pl_module, "val", batch)

    def on_test_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, *_: Any
    ) -> None:
        self.count(pl_module, "test", batch)


@pytest.mark.parametrize("tokens", [8, 13, 40, 4096])
@pytest.mark.parametrize("pack", [True, False], ids=["packed", "padded"])
def test_every_example_counts_once(site: Site, tmp_path: Path, tokens: int, pack: bool) -> None:
    options = {"tokens": tokens, "pack": pack}
    cfg = site.config(
        "ner",
        "sentiment",
        **{f"batching__{key}": value for key, value in options.items()},
    )
    ready = prepared(cfg, tmp_path)
    for split, expected in (("validate", rows(6, 16)), ("test", rows(9, 22))):
        trainer, seen = evaluator(), Seen()
        trainer.callbacks.append(seen)  # type: ignore[attr-defined]
        getattr(trainer, split)(module_of(cfg, ready), datamodule=ready.data, verbose=False)
        once = Counter(row["text"] for row in expected)
        assert seen.texts == {"ner": once, "sentiment": once}


def test_a_limited_validation_is_a_sample(site: Site, tmp_path: Path) -> None:
    cfg = site.config("ner", "sentiment", trainer__limit_val_examples=4)
    ready = prepared(cfg, tmp_path)
    trainer, seen = evaluator(), Seen()
    trainer.callbacks.append(seen)  # type: ignore[attr-defined]
    trainer.validate(module_of(cfg, ready), datamodule=ready.data, verbose=False)
    every = {row["text"] for row in rows(6, 16)}
    for texts in seen.texts.values():
        assert set(texts.values()) == {1}
        assert len(texts) == 4
        assert set(texts) < every


def test_metrics_do_not_depend_on_the_budget(site: Site, tmp_path: Path) -> None:
    results = []
    for tokens in (8, 4096):
        cfg = site.config("ner", "rating", batching__tokens=tokens)
        ready = prepared(cfg, tmp_path)
        module = module_of(cfg, ready)
        evaluator().test(module, datamodule=ready.data, verbose=False)
        results.append(module.results)
    assert results[0] == pytest.approx(results[1], rel=1e-4)
