"""Labels that training lacks, that are declared, and words whose label is ignored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mtl.config.schema import Config, DataConfig, TaskConfig
from mtl.errors import ConfigError, DataError
from mtl.training.evaluation import Evaluation
from mtl.training.setup import Prepared, prepare
from tests.training.site import Site

TRAIN = [("good day", "up"), ("bad day", "down"), ("fine day", "up"), ("poor day", "down")]


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def texts(pairs: list[tuple[str, Any]]) -> list[dict[str, Any]]:
    return [{"text": text, "label": label} for text, label in pairs]


def ready(site: Site, tmp_path: Path, spec: TaskConfig) -> Prepared:
    cfg = Config(tasks={"x": spec})
    cfg.trunk.name, cfg.trunk.path, cfg.balancing.name = "hf", str(site.trunk), "sum"
    return prepare(cfg, tmp_path)


def classes(tmp_path: Path, test: list[tuple[str, Any]], **data: Any) -> TaskConfig:
    files = {
        "train": write(tmp_path / "train.jsonl", texts(TRAIN)),
        "validation": write(tmp_path / "dev.jsonl", texts(TRAIN[:2])),
        "test": write(tmp_path / "test.jsonl", texts(test)),
    }
    return TaskConfig(type="text_classification", data=DataConfig(**files, **data))


def spec(tmp_path: Path, test: list[tuple[str, Any]], **data: Any) -> TaskConfig:
    made = classes(tmp_path, test, **data)
    made.columns = {"text": "text", "label": "label"}
    return made


TEST = [("odd day", "sideways"), ("good day", "up")]


def test_unseen_labels_stop_a_run_or_count_as_wrong(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DataError, match=r"test\.jsonl:1: .*got 'sideways'.*unseen_labels=count"):
        ready(site, tmp_path, spec(tmp_path, TEST))
    made = ready(site, tmp_path, spec(tmp_path, TEST, unseen_labels="count"))
    assert "1 labels have no row in training and always count as wrong (sideways)" in (
        " ".join(capsys.readouterr().err.split())
    )
    (task,), (store,) = made.tasks, made.data.test
    labels = task.learned.model_dump()["labels"]
    assert labels == ["down", "sideways", "up"]
    evaluation = Evaluation({"x": task}, [store])
    guess = task.baseline(made.data.train[0].select(range(2)))
    evaluation.update("x", guess(store.select(range(2))), store.select(range(2)))
    assert evaluation.compute()["x"]["accuracy"] <= 0.5


def test_declared_labels_are_the_heads(site: Site, tmp_path: Path) -> None:
    declared = ["down", "up", "sideways"]
    made = ready(site, tmp_path, spec(tmp_path, [("a", 2), ("b", 0)], labels=declared))
    (task,) = made.tasks
    assert task.learned.model_dump()["labels"] == ["down", "sideways", "up"]
    assert [row["label"] for row in made.splits["x"].test or ()] == ["sideways", "down"]
    with pytest.raises(DataError, match=r"test\.jsonl:2: .*`tasks\.x\.data\.labels` declares"):
        ready(site, tmp_path, spec(tmp_path, [("a", 2), ("b", 3)], labels=declared))


def tagging(tmp_path: Path, tags: list[Any], metric: str | None, **data: Any) -> TaskConfig:
    rows = [{"tokens": ["Ada", "saw", "Bo"], "labels": tags}] * 2
    path = write(tmp_path / "tags.jsonl", rows)
    return TaskConfig(
        type="token_classification",
        columns={"tokens": "tokens", "labels": "labels"},
        data=DataConfig(train=path, validation=path, **data),
        metric=metric,
    )


@pytest.mark.parametrize(
    ("tags", "metric", "right"),
    [(["NAME", "_", "NAME"], "accuracy", 2), (["B-PER", "_", "I-PER"], "f1", 2)],
)
def test_ignored_words_are_neither_learned_nor_scored(
    site: Site, tmp_path: Path, tags: list[str], metric: str, right: int
) -> None:
    made = ready(site, tmp_path, tagging(tmp_path, tags, metric, ignore_labels=["_"]))
    (task,), (store,) = made.tasks, made.data.validation
    assert "_" not in task.learned.model_dump()["labels"]
    example = store.examples[0]
    assert example.extra["words"].tolist() == [0, 2]
    assert example.extra["gold"].tolist()[1] == -1
    assert example.mass == right
    given = task.feed(task.baseline(store.select([0]))(store.select([0])), store.select([0]))
    assert given["sizes"] == [right]
    assert len(given["target"]) == right


def test_numbers_as_tags_want_names(site: Site, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"`tasks\.x\.data\.labels` to name the labels"):
        ready(site, tmp_path, tagging(tmp_path, [1, 0, 1], None))
    made = ready(site, tmp_path, tagging(tmp_path, [1, 0, 1], "accuracy"))
    assert made.tasks[0].learned.model_dump()["labels"] == ["0", "1"]
    made = ready(site, tmp_path, tagging(tmp_path, [1, 0, 1], None, labels=["O", "B-PER"]))
    assert made.tasks[0].learned.model_dump()["labels"] == ["O", "B-PER", "I-PER"]
