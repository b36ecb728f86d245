"""Which texts are worth annotating first, and the files that they are written to."""

from __future__ import annotations

import copy
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mtl.data.readers import read_split
from mtl.inference.annotation import disagreement, rank, uncertainty
from mtl.inference.predictor import RowPredictor
from mtl.tasks.token_classification import TokenClassification
from tests.inference.conftest import Run, check_error, write_jsonl

pytest.importorskip("cleanlab")

TEXTS = [
    "Ines Talbot liked the soup .",
    "The pump ran for 1,204 hours .",
    "Nobody asked why .",
    "The Lantern in Brackwater was cold .",
]


def array(*rows: list[float]) -> Any:
    return np.asarray(rows, dtype=np.float32)


def test_uncertainty_is_what_the_margin_leaves() -> None:
    assert uncertainty(array([0.5, 0.3, 0.2]), one=True) == pytest.approx(0.8)
    assert uncertainty(array([1.0, 0.0], [0.5, 0.5]), one=True) == pytest.approx(0.5)
    assert uncertainty(array([0.5, 0.9]), one=False) == pytest.approx((1 + 0.2) / 2)
    assert np.isnan(uncertainty(np.zeros((0, 3), dtype=np.float32), one=True))


def test_disagreement_is_of_labels_that_both_know() -> None:
    assert disagreement(array([0.2, 0.2]), array([0.4, 0.4])) == 0
    assert disagreement(array([1.0, 0.0]), array([0.0, 1.0])) == 1
    assert disagreement(array([1.0, 0.0], [0.5, 0.5]), array([0.5, 0.5], [0.5, 0.5])) == 0.25
    assert np.isnan(disagreement(array([1.0, 0.0]), array([0.5, 0.5], [0.5, 0.5])))
    assert np.isnan(disagreement(array([0.0, 0.0]), array([0.5, 0.5])))


def test_rows_are_ranked_by_their_heads(trained: Path) -> None:
    predictor = RowPredictor(trained, "cpu")
    rows = [{"text": text} for text in [*TEXTS, " "]]
    ranked = rank(predictor, rows)
    assert sorted(ranked.order) == [0, 1, 2, 3]
    assert set(ranked.uncertainty) == {"ner", "sentiment"}
    assert ranked.disagreement == {}
    answers = list(predictor.predict([{"text": text} for text in TEXTS], ["sentiment"]))
    for number, answer in enumerate(answers):
        first, second, *_ = sorted(answer["sentiment"]["probabilities"].values(), reverse=True)
        found = ranked.uncertainty["sentiment"][number]
        assert found == pytest.approx(1 - (first - second), abs=1e-3)
    best = ranked.order[0]
    assert any(best == int(np.nanargmax(own)) for own in ranked.uncertainty.values())


def test_heads_that_know_the_same_labels_may_disagree(trained: Path) -> None:
    predictor = RowPredictor(trained, "cpu")
    mood = copy.copy(predictor.tasks["sentiment"])
    mood.name = mood.head_name = "mood"
    predictor.model.tasks["mood"] = mood
    predictor.model.heads["mood"] = copy.deepcopy(predictor.model.heads["sentiment"])
    predictor.loaded.description.tasks["mood"] = predictor.loaded.description.tasks["sentiment"]
    rows = [{"text": text} for text in TEXTS]
    same = rank(predictor, rows, ["mood", "sentiment"])
    assert same.disagreement["mood and sentiment"] == pytest.approx([0.0] * 4, abs=1e-6)
    with torch.no_grad():
        next(predictor.model.heads["mood"].parameters()).neg_()
    other = rank(predictor, rows, ["mood", "sentiment"])
    assert (other.disagreement["mood and sentiment"] > 0.01).all()


@pytest.fixture
def unlabelled(tmp_path: Path) -> Path:
    return write_jsonl(tmp_path / "u.jsonl", [{"id": n, "body": t} for n, t in enumerate(TEXTS)])


def test_the_files_are_those_of_predict(
    run: Path, mtl: Run, tmp_path: Path, unlabelled: Path
) -> None:
    base = ("data", "--model", run, "--unlabelled", unlabelled, "--most", "3", "--output")
    code, shown, said = mtl(*base, tmp_path / "out")
    assert code == 0, said
    assert "3 texts to annotate first" in " ".join(shown.split())
    file = tmp_path / "out" / "annotate.jsonl"
    found = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [row["worth"] for row in found] == sorted((r["worth"] for r in found), reverse=True)
    for row in found:
        assert row["text"] == TEXTS[row["id"]]
        assert set(row["uncertainty"]) == {"ner", "sentiment"}
        assert "rating" in row
    check_error(mtl(*base, tmp_path / "out"), "`--output`", "--overwrite")
    code, *_ = mtl(*base, tmp_path / "out", "--overwrite", "--output-format", "csv")
    assert code == 0
    with (tmp_path / "out" / "annotate.csv").open(encoding="utf-8", newline="") as table:
        assert [row["id"] for row in csv.DictReader(table)] == [str(row["id"]) for row in found]


@pytest.mark.parametrize(("tool", "name"), [("doccano", "annotate.jsonl"), ("brat", "annotate")])
def test_a_tool_reads_them(
    run: Path, mtl: Run, tmp_path: Path, unlabelled: Path, tool: str, name: str
) -> None:
    out = tmp_path / "out"
    arguments = ("--unlabelled", unlabelled, "--output", out, "--output-format", tool)
    code, _, said = mtl("data", "--model", run, *arguments)
    assert code == 0, said
    roles = [role for role in TokenClassification.roles() if role.name in ("text", "spans")]
    pattern = str(out / name / "*.ann") if tool == "brat" else str(out / name)
    rows = read_split(pattern, columns={}, roles=roles, format=tool)
    assert {row["text"] for row in rows} == set(TEXTS)
    assert "doubts.sentiment is not written" in said or not (out / "doubts.sentiment").exists()
