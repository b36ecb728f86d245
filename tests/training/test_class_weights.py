"""Weights of classes in a run: which rows are counted, and that the model keeps them."""

from __future__ import annotations

import json
from pathlib import Path

from mtl.heads.classification import ClassificationHead
from mtl.training.model_io import load_model
from mtl.training.run import train
from tests.training.site import Site, change, prepared


def test_rows_that_validate_are_not_counted(site: Site, tmp_path: Path) -> None:
    """Where validation is cut from train, its labels are known, but weigh nothing."""
    rows = [
        json.loads(line) for line in (site.data / "train.jsonl").read_text("utf-8").splitlines()
    ]
    file = tmp_path / "one.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows * 3), encoding="utf-8")
    cfg = site.config("sentiment", tuning__name="frozen")
    change(cfg, "tasks.sentiment.data", type(cfg.tasks["sentiment"].data)(train=str(file)))
    cfg.tasks["sentiment"].head = {"class_weighting": "balanced"}
    ready = prepared(cfg, tmp_path)
    learned = ready.tasks[0].learned.model_dump()
    counted = learned["counts"]["targets"]
    assert counted == sum(learned["counts"]["labels"].values()) == len(ready.data.train[0])
    assert counted < 3 * len(rows)


def test_a_shared_head_weighs_both_tasks_rows(site: Site, tmp_path: Path) -> None:
    cfg = site.config("sentiment", tuning__name="frozen")
    cfg.tasks["sentiment"].head = {"name": "common", "class_weighting": "balanced"}
    cfg.tasks["other"] = cfg.tasks["sentiment"].model_copy(deep=True)
    cfg.tasks["other"].data.max_train_examples = 5
    ready = prepared(cfg, tmp_path)
    first, second = (task.learned.model_dump()["counts"] for task in ready.tasks)
    assert first == second
    assert first["targets"] == sum(len(store) for store in ready.data.train)


def test_a_run_keeps_its_counts(site: Site, tmp_path: Path) -> None:
    cfg = site.config("sentiment", "ner", trainer__max_steps=1, tuning__name="frozen")
    for task in cfg.tasks.values():
        task.head = {"class_weighting": "effective", "loss": "focal"}
    train(cfg, tmp_path)
    model = load_model(tmp_path).model
    assert model.tasks["sentiment"].learned.model_dump()["counts"]["targets"]
    head = model.head("ner")
    assert isinstance(head, ClassificationHead)
    assert len(set(head.class_weights.tolist())) > 1
