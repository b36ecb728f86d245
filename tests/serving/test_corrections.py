"""Corrections are kept as training reads them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from mtl.inference.inputs import File, read_labelled
from mtl.inference.predictor import RowPredictor
from tests.serving.conftest import client_of
from tests.serving.runs import QUESTIONS, TEXTS
from tests.serving.test_app import refusal

ROWS: dict[str, dict[str, Any]] = {
    "ner": {"text": TEXTS[0], "spans": [{"start": 17, "end": 27, "label": "LOC"}]},
    "sentiment": {"text": TEXTS[1], "label": "neutral"},
    "qa": {
        "text": TEXTS[0],
        "question": QUESTIONS[1],
        "answers": [{"text": "Brackwater", "start": 17}],
    },
    "summary": {"text": TEXTS[0], "target": "Ines left — ‘at last’."},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "kept"


@pytest.fixture
def client(model: RowPredictor, folder: Path) -> Iterator[TestClient]:
    with client_of(model, corrections=folder) as found:
        yield found


def keep(client: TestClient, task: str, row: Any) -> Any:
    body = json.dumps({"task": task, "row": row})
    return client.post(
        "/v1/corrections", content=body, headers={"content-type": "application/json"}
    )


@pytest.mark.parametrize("name", ROWS)
def test_training_reads_what_was_kept(
    client: TestClient, folder: Path, model: RowPredictor, name: str
) -> None:
    assert client.get("/v1/models").json()["corrections"]
    for _ in range(2):
        kept = keep(client, name, ROWS[name])
        assert kept.json() == {"file": f"run/{name}.jsonl"}
    file = folder / "run" / f"{name}.jsonl"
    assert [json.loads(line) for line in file.read_text("utf-8").splitlines()] == [ROWS[name]] * 2
    columns = {role: role for role in ROWS[name]}
    task = model.tasks[name]
    rows = read_labelled(File(str(file), "--data"), task, columns)
    _, store = model.encode(task, [rows[0], rows[1]], None, targets=True)
    assert len(store) == 2
    assert all(store.examples[n].targets for n in range(2))


@pytest.mark.parametrize(
    ("task", "row", "words"),
    [
        ("nerr", ROWS["ner"], "Did you mean 'ner'"),
        ("sentiment", {"text": "a"}, "to have `label`"),
        ("sentiment", {"label": "neutral"}, "to have `text`"),
        ("sentiment", {"text": "a", "label": "neutrall"}, "Did you mean 'neutral'"),
        ("sentiment", {"text": "a", "label": "neutral", "more": 1}, "one of {"),
        ("ner", {"text": "a", "spans": [{"start": 0, "end": 9, "label": "PER"}]}, "none of task"),
        ("ner", {"text": "a", "spans": [{"start": 0, "end": 1, "label": "XYZ"}]}, "one of {LOC"),
        ("ner", {"text": "a", "spans": "x"}, "none of task"),
        ("summary", {"text": "a", "target": "\ud800"}, "half a character"),
        ("qa", {"text": "a", "answers": []}, "to have `question`"),
        ("qa", {"text": "a", "question": "b", "answers": [{"text": "c"}]}, "none of task"),
    ],
)
def test_what_is_no_row_of_the_task(
    client: TestClient, folder: Path, task: str, row: dict[str, Any], words: str
) -> None:
    assert words in refusal(keep(client, task, row), 422)
    assert not folder.exists()


def test_nothing_is_kept_unless_a_folder_was_given(model: RowPredictor) -> None:
    with client_of(model) as client:
        assert not client.get("/v1/models").json()["corrections"]
        refusal(keep(client, "ner", ROWS["ner"]), 404)


def test_a_folder_that_cannot_be_written(client: TestClient, folder: Path) -> None:
    folder.write_text("a file")
    assert "cannot be written" in refusal(keep(client, "ner", ROWS["ner"]), 503)
