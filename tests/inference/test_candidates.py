"""Doubts about choices and answers, of which some were made wrong by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from mtl.inference.candidates import NOTHING, form_of, of_answers
from mtl.inference.judgments import Labelled
from mtl.inference.label_scores import LabelScores
from mtl.tasks._span_answers import Answer, Candidate
from mtl.tasks.base import Task
from mtl.training.model import make_task
from mtl.types import Encoded

CITIES = ["Aach", "Brig", "Chur", "Dole", "Eupen"]
WRONG = (4, 17, 40)


def task_of(type: str, **learned: Any) -> Task:
    made = make_task("x", type, options={}, head={})
    made.learned = made.learned.model_copy(update=learned)
    return made


def labelled(task: Task, rows: list[dict[str, Any]], answers: list[Any]) -> Labelled:
    placed = [{**row, "_id": str(n), "_file": "f", "_line": n} for n, row in enumerate(rows)]
    own = Labelled(placed, np.arange(len(rows), dtype=np.uint64), [], "candidates")
    example = Encoded([], np.zeros(0, np.int32), np.zeros(0, np.int32), {}, 0.0)
    for number, answer in enumerate(answers):
        scores = LabelScores(np.zeros((0, 1), np.float32), answer, example)
        own.judge(number, scores, task, held_out=True)
    return own


def test_wrong_choices_are_found() -> None:
    pytest.importorskip("cleanlab")
    task = task_of("multiple_choice", form="text")
    rows, answers = [], []
    for number in range(60):
        choices = [CITIES[(number + k) % 5] for k in range(3 + number % 2)]  # Never the same ones.
        right = number % 3
        given = (right + 1) % 3 if number in WRONG else right
        rows.append({"text": f"Row {number}.", "choices": choices, "label": choices[given]})
        share = np.full(len(choices), 0.1 / (len(choices) - 1), dtype=np.float32)
        share[right] = 0.9
        answers.append(share)
    found = labelled(task, rows, answers).doubts()
    assert sorted(int(doubt.row["_id"]) for doubt in found) == list(WRONG)
    for doubt in found:
        (part,) = doubt.parts
        row = rows[int(doubt.row["_id"])]
        right = int(doubt.row["_id"]) % 3
        assert part == {"given": row["label"], "suggested": row["choices"][right]}
        assert doubt.as_dict("x")["given"] == row["label"]
        assert doubt.doubt > 0.9


def test_wrong_answers_are_found() -> None:
    pytest.importorskip("cleanlab")
    task = task_of("span_extraction", impossible=True)
    text = "The Aach rises near Brig, and the lower Chur falls into it at Dole."
    rows, answers = [], []
    for number in range(60):
        name = CITIES[number % 4]
        other = CITIES[(number + 1) % 4]
        said = other if number in WRONG else name
        given = [] if number == WRONG[0] else [{"text": said, "start": text.index(said)}]
        rows.append({"text": text, "question": f"Which, {number}?", "answers": given})
        spans = [(text.index(n), text.index(n) + len(n)) for n in (name, other)]
        best = tuple(Candidate(*s, math.log(p)) for s, p in zip(spans, (0.9, 0.06), strict=True))
        answers.append(Answer(name, best[0], math.log(0.04), best))
    found = labelled(task, rows, answers).doubts()
    assert sorted(int(doubt.row["_id"]) for doubt in found) == list(WRONG)
    first = next(doubt for doubt in found if doubt.row["_id"] == str(WRONG[0]))
    assert first.parts == [{"given": NOTHING, "suggested": CITIES[0]}]
    assert first.as_dict("x")["question"] == "Which, 4?"


def test_answers_that_share_a_word_are_one() -> None:
    scores = {"in 1953": 0.5, "1953": 0.3, "the farmer": 0.2}
    answer = {"n_best": [{"answer": text, "score": score} for text, score in scores.items()]}
    found = of_answers(answer, {"answers": [{"text": "1953", "start": 0}]}, {})
    assert found.names == ["1953", "the farmer"]
    assert found.given.tolist() == [1, 0]
    assert found.likely.tolist() == pytest.approx([0.8, 0.2])


@pytest.mark.parametrize(
    ("type", "form"),
    [
        ("multiple_choice", "choice"),
        ("span_extraction", "answers"),
        ("generation", None),
        ("token_classification", None),
    ],
)
def test_which_tasks_have_candidates(type: str, form: str | None) -> None:
    assert form_of(task_of(type)) == form
