"""A run goes on with the rows that it began with, and knows the texts that it learned from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mtl.errors import CheckpointError
from mtl.inference.evaluator import evaluate
from mtl.inference.inputs import File
from mtl.training.run import train
from tests.training.corpus import rows
from tests.training.site import Site
from tests.training.test_labels import write


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for split, some in (("train", rows(16)), ("validation", rows(6, 16))):
        write(tmp_path / f"{split}.jsonl", some)
    return tmp_path


def test_changed_rows_are_refused_or_named(
    site: Site, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg = site.config("sentiment", trainer__max_steps=1)
    cfg.tasks["sentiment"].data.source = str(files)
    run = files / "run"
    train(cfg, run)
    write(files / "elsewhere.jsonl", rows(16))
    cfg.resume, cfg.trainer.max_steps = str(run), 2
    cfg.tasks["sentiment"].data.train = str(files / "elsewhere.jsonl")
    train(cfg, run)  # The same rows from another file are the same rows.
    cfg.trainer.max_steps = 3
    write(files / "elsewhere.jsonl", rows(15))
    expected = "those of train of task 'sentiment' have changed since.*changed_data=continue"
    with pytest.raises(CheckpointError, match=expected):
        train(cfg, run)
    cfg.changed_data = "continue"
    train(cfg, run)
    said = " ".join(capsys.readouterr().err.split())
    assert "The rows of train of task 'sentiment' are not those that the run began with." in said


def test_texts_that_a_model_learned_from(site: Site, files: Path) -> None:
    cfg = site.config("sentiment", trainer__max_steps=1)
    cfg.tasks["sentiment"].data.source = str(files)
    run = files / "run"
    train(cfg, run)
    kept = np.load(run / "model" / "trained_on.npy")
    assert len(kept) == len({row["text"] for row in rows(16)})
    assert kept.dtype == np.uint64
    for some, note in ((rows(4), "4 of 4 rows of"), (rows(4, 16), None)):
        file = File(write(files / "other.jsonl", some), "--data")
        report = evaluate(run, ["sentiment"], file)
        assert [line.startswith(note or "") for line in report.notes] == [True] * bool(note)
