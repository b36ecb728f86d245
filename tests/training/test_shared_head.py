"""Two tasks that name one head: one module, the union of their labels, and both train it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mtl.config.schema import Config
from mtl.errors import ConfigError
from mtl.training.model_io import load_model
from mtl.training.run import train
from tests.training.corpus import rows, write_rows
from tests.training.site import TASKS, Site, change, differing, fit, module_of, prepared, weights


def two(site: Site, *types: str, **changes: Any) -> Config:
    """Return a configuration of two tasks, ``first`` and ``second``, with one head."""
    cfg = site.config("ner", **{"tuning__name": "frozen", "schedule__warmup": 0.0, **changes})
    data = cfg.tasks.pop("ner").data
    for name, kind in zip(("first", "second"), types, strict=True):
        cfg.tasks[name] = TASKS[kind]()
        cfg.tasks[name].data = data
        cfg.tasks[name].head = {"name": "common"}
    return cfg


def relabelled(folder: Path, old: str, new: str) -> str:
    """Write the corpus with some labels replaced in all splits; returns its folder."""
    for split, part in (("train", rows(16)), ("validation", rows(6, 16)), ("test", rows(9, 22))):
        data = json.loads(json.dumps(part).replace(old, new))
        write_rows(folder / f"{split}.jsonl", data)
    return str(folder)


def test_tags_of_two_corpora(site: Site, tmp_path: Path) -> None:
    cfg = two(site, "ner", "ner", trainer__max_steps=4)
    change(cfg, "tasks.second.data", type(cfg.tasks["first"].data)())
    change(cfg, "tasks.second.data.source", relabelled(tmp_path / "data", "-ORG", "-FIRM"))
    ready = prepared(cfg, tmp_path)
    kinds = ["FIRM", "LOC", "ORG", "PER"]
    union = ["O", *(f"{letter}-{kind}" for kind in kinds for letter in "BI")]
    assert [task.learned.model_dump()["labels"] for task in ready.tasks] == [union, union]
    assert list(ready.model.heads) == ["common"]
    assert ready.model.head("first") is ready.model.head("second")
    assert ready.model.heads["common"].linear.out_features == len(union)  # type: ignore[union-attr]

    found = train(cfg, tmp_path / "run")
    assert {name.split("/")[1] for name in found} == {"first", "second", "score"}
    model = load_model(tmp_path / "run").model
    assert [p.name for p in (tmp_path / "run/model").glob("head*")] == ["head-common.safetensors"]
    assert model.head("first") is model.head("second")
    assert model.tasks["second"].learned.model_dump()["labels"] == union


@pytest.mark.parametrize("silent", ["first", "second"])
def test_both_tasks_train_it(site: Site, tmp_path: Path, silent: str) -> None:
    """With either task's weight at zero the head still learns, and something else."""
    found = {}
    for weight in (0.0, 1.0):
        cfg = two(site, "sentiment", "sentiment")
        cfg.tasks[silent].weight = weight
        change(cfg, f"tasks.{silent}.data", type(cfg.tasks["first"].data)())
        source = relabelled(tmp_path / "data", "positive", "glad")
        change(cfg, f"tasks.{silent}.data.source", source)
        ready = prepared(cfg, tmp_path)
        assert ready.tasks[0].learned.model_dump(include={"labels"}) == {
            "labels": ["glad", "negative", "neutral", "positive"]
        }
        before = weights(ready.model.heads["common"])
        fit(module_of(cfg, ready), ready.data, steps=2)
        found[weight] = weights(ready.model.heads["common"])
        assert differing(before, found[weight])
    assert differing(found[0.0], found[1.0])


def test_numbers_share_one_scale(site: Site, tmp_path: Path) -> None:
    cfg = two(site, "rating", "rating")
    first, second = prepared(cfg, tmp_path).tasks
    assert first.learned.model_dump() == second.learned.model_dump()


@pytest.mark.parametrize(
    "types", [("ner", "sentiment"), ("sentiment", "ner"), ("sentiment", "rating")]
)
def test_what_cannot_be_shared(site: Site, tmp_path: Path, types: tuple[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"share head 'common' \(first, second\)"):
        prepared(two(site, *types), tmp_path)


def test_spans_and_parts_of_speech_cannot_share(site: Site, tmp_path: Path) -> None:
    cfg = two(site, "ner", "ner")
    change(cfg, "tasks.second.options", {"scheme": "none"})
    change(cfg, "tasks.second.metric", "accuracy")
    with pytest.raises(ConfigError, match=r"share head 'common' \(first, second\)"):
        prepared(cfg, tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("dropout", 0.4),
        ("label_smoothing", 0.1),
        ("class_weights", {"positive": 2.0}),
        ("class_weighting", "balanced"),
        ("loss", "focal"),
    ],
)
def test_one_head_has_one_set_of_options(site: Site, tmp_path: Path, key: str, value: Any) -> None:
    """Else those of the first task would be taken, and the second's left out in silence."""
    cfg = two(site, "sentiment", "sentiment")
    cfg.tasks["second"].head[key] = value
    with pytest.raises(ConfigError, match=rf"`tasks\.second\.head\.{key}`.*`tasks\.first`"):
        prepared(cfg, tmp_path)
    cfg.tasks["first"].head[key] = value
    assert len(prepared(cfg, tmp_path).model.heads) == 1
