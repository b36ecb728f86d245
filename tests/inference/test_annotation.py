"""Which texts are worth annotating first, and the files that they are written to."""

from __future__ import annotations

import copy
import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mtl.config.schema import TrunkConfig
from mtl.data.readers import read_split
from mtl.inference.annotation import UNSURE, disagreement, rank, uncertainty
from mtl.inference.candidates import FORMS as CANDIDATES
from mtl.inference.label_scores import LabelScores
from mtl.inference.predictor import RowPredictor
from mtl.tasks._span_answers import Answer, Candidate
from mtl.tasks.token_classification import TokenClassification
from mtl.training.model import make_task
from mtl.training.model_io import load_model
from mtl.trunk.load import load_trunk
from mtl.types import Encoded
from tests import helpers
from tests.export.models import KINDS, save_untrained
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


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> RowPredictor:
    """A model with random weights, whose candidates are those of each row."""
    torch.manual_seed(0)
    base = tmp_path_factory.mktemp("untrained")
    config, tokenizer = KINDS["llama"]
    path = helpers.save_tiny(base / "trunk", config(), helpers.TOKENIZERS[tokenizer]())
    trunk = load_trunk(TrunkConfig(name="hf", path=str(path)), writes=True)
    sizes = {"max_target_tokens": 6, "max_new_tokens": 6}
    specs = {
        "nested": ("span_classification", {"max_width": 4}, {}, {"labels": ["A", "B"]}),
        "choice": ("multiple_choice", {}, {}, {}),
        "qa": ("span_extraction", {}, {}, {"impossible": True}),
        "gist": ("generation", {"prompt": "\nGist:", **sizes}, {"tied": False}, {}),
    }
    save_untrained(base / "model", trunk, specs, 32, prefix_space=True)
    return RowPredictor(load_model(base / "model"), "cpu")


def test_rows_with_candidates_of_their_own_are_ranked(untrained: RowPredictor) -> None:
    """Each number is that of the answer; rows that lack what a task reads have none of it."""
    asked = {"question": "Who left?", "choices": ["rain", "no", "the long river"]}
    rows = [{"text": text, **(asked if n % 2 else {})} for n, text in enumerate(TEXTS)]
    ranked = rank(untrained, rows)
    assert set(ranked.uncertainty) == {"nested", "choice", "qa"}
    for number, answer in enumerate(untrained.predict(rows)):
        found = {name: own[number] for name, own in ranked.uncertainty.items()}
        assert 0 < found["nested"] <= 1
        assert np.isnan([found["choice"], found["qa"]]).all() == (number % 2 == 0)
        if number % 2:
            first, second, _ = sorted(answer["choice"]["probabilities"], reverse=True)
            assert found["choice"] == pytest.approx(1 - (first - second), abs=2e-4)
            assert 0 <= found["qa"] <= 1
    assert sorted(ranked.order) == [0, 1, 2, 3]
    assert rank(untrained, rows, ["choice"]).order == sorted(
        (1, 3), key=lambda n: -ranked.uncertainty["choice"][n]
    )


def test_what_makes_a_row_with_candidates_uncertain() -> None:
    assert set(UNSURE) == set(CANDIDATES)
    choice, asked, spans = (UNSURE.get(name) for name in ("choice", "answers", "spans"))
    row = {"text": "Aach and Brig.", "choices": ["Aach", "Brig", "Chur"]}
    task = make_task("x", "multiple_choice", options={}, head={})
    assert choice(task, row, seen(array([0.2, 0.5, 0.3])[0])) == pytest.approx(0.8)
    task = make_task("x", "span_extraction", options={}, head={})
    task.learned = task.learned.model_copy(update={"impossible": True})
    chances = {(0, 4): 0.5, (0, 8): 0.1, (9, 13): 0.3}
    best = tuple(Candidate(*span, math.log(p)) for span, p in chances.items())
    found = asked(task, row, seen(Answer("Aach", best[0], math.log(0.1), best)))
    assert found == pytest.approx(1 - (0.6 - 0.3))  # "Aach" and "Aach and" are one.
    task = make_task("x", "span_classification", options={}, head={})
    assert spans(task, row, seen(None, array([0.0, 0.9], [0.4, 1.0]))) == pytest.approx(0.8)
    assert np.isnan(spans(task, row, seen(None)))


def seen(answer: Any, likely: Any = None) -> LabelScores:
    example = Encoded([], np.zeros(0, np.int32), np.zeros(0, np.int32), {}, 0.0)
    return LabelScores(np.zeros((0, 1), np.float32) if likely is None else likely, answer, example)


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
