"""What a run keeps of its answers, and that its report is made of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mtl.inference.judgments import labels_of
from mtl.reporting.report.files import FOLDER
from mtl.reporting.report.reading import read_run
from mtl.training import samples as module
from mtl.training.model import Answered
from mtl.training.run import train
from mtl.training.samples import Samples
from mtl.training.setup import prepare
from tests.training.site import Site


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WRONG", 3)
    monkeypatch.setattr(module, "RIGHT", 1)


def test_the_worst_are_kept(few: None, site: Site, tmp_path: Path) -> None:
    prepared = prepare(site.config("sentiment"), tmp_path)
    (task,), (store,) = prepared.tasks, prepared.data.train
    labels = labels_of(task)
    kept = Samples({task.name: task}, {task.name: store})
    outputs = []
    for number, row in enumerate(store.rows):
        right = labels.index(row["label"])
        likely = 0.05 + number / 1000 if number % 2 else 0.9
        rest = (1 - likely) / (len(labels) - 1)
        outputs.append(np.full(len(labels), rest))
        outputs[-1][right] = likely
    numbers = list(range(len(store)))
    kept.take(Answered(task.name, numbers, outputs, store.select(numbers)), written=False)
    found = kept.found()[task.name]
    assert found["looked_at"] == len(store)
    assert [s["wrong"] for s in found["samples"]] == [0.949, 0.947, 0.945, 0.0]
    assert sum(found["kinds"].values()) == len(store) // 2
    first = found["samples"][0]
    assert first["expected"] == {"label": store.rows[1]["label"]}
    assert first["given"] == {"text": store.rows[1]["text"]}
    both = kept.found([{task.name: found}])[task.name]
    assert both["looked_at"] == 2 * len(store)
    assert [s["wrong"] for s in both["samples"]] == [0.949, 0.949, 0.947, 0.0]


def test_of_many_some_are_looked_at(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOKED_AT", 5)
    prepared = prepare(site.config("sentiment"), tmp_path)
    (task,), (store,) = prepared.tasks, prepared.data.train
    kept = Samples({task.name: task}, {task.name: store})
    output = np.full(len(labels_of(task)), 0.5)
    for number in range(len(store)):
        kept.take(Answered(task.name, [number], [output], store.select([number])), written=False)
    assert 3 <= kept.found()[task.name]["looked_at"] <= 5


def test_a_run_ends_with_its_report(site: Site, tmp_path: Path) -> None:
    run = tmp_path / "run"
    cfg = site.config("ner", "sentiment", "rating", "gist", trainer__val_check_interval=2)
    metrics = train(cfg, run)
    text = (run / "report.html").read_text(encoding="utf-8")
    assert "There are no final scores" not in text
    (run / ".hydra").mkdir()
    (run / ".hydra" / "config.yaml").write_text(json.dumps(cfg.model_dump()), encoding="utf-8")
    found = read_run(run)
    assert found.metrics == pytest.approx(metrics)
    curve = found.curves["val/score"]
    assert [step for step, _ in curve] == [2, 4]
    split, ner = found.of("ner") or ("", {})
    assert split == "test"
    assert ner["looked_at"] == ner["examples"]
    for name in ("ner", "sentiment", "rating", "gist"):
        of = found.of(name)
        assert of is not None
        assert of[1]["samples"]
    best = max(curve, key=lambda point: point[1])[0]
    assert found.evidence["validation"]["step"] == best


def test_a_folder_that_cannot_be_written_ends_no_run(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / FOLDER).write_text("in the way", encoding="utf-8")
    (run / "report.html").mkdir()
    metrics = train(site.config("sentiment"), run)
    assert "val/score" in metrics
    assert json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert "report" in capsys.readouterr().err
