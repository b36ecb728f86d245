"""Doubts about choices and answers, of which some were made wrong by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from mtl.inference.candidates import NOTHING, form_of, likely_answers, of_spans
from mtl.inference.judgments import Labelled
from mtl.inference.label_scores import LabelScores
from mtl.tasks._span_answers import Answer, Candidate
from mtl.tasks.base import Task
from mtl.tasks.span_classification import Found
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
    found = likely_answers(answer, {"answers": [{"text": "1953", "start": 0}]})
    assert found.names == ["1953", "the farmer"]
    assert found.given.tolist() == [1, 0]
    assert found.likely.tolist() == pytest.approx([0.8, 0.2])


@pytest.mark.parametrize(
    ("type", "form"),
    [
        ("multiple_choice", "choice"),
        ("span_extraction", "answers"),
        ("generation", None),
        ("span_classification", "spans"),
    ],
)
def test_which_tasks_have_candidates(type: str, form: str | None) -> None:
    assert form_of(task_of(type)) == form


def test_wrong_spans_are_found() -> None:
    """One is left out of the annotation, one stands where nothing does, one has another label."""
    pytest.importorskip("cleanlab")
    task = task_of("span_classification", labels=["RIVER", "TOWN"])
    rng = np.random.default_rng(0)
    wrong = {7: "missing", 23: "needless", 41: "label"}
    rows, scores = [], []
    for number in range(60):
        words = ["The", *rng.permutation(CITIES)[:4].tolist(), "."]
        right = [(1, 2, "TOWN"), (1, 3, "RIVER")]
        given = {
            "missing": right[:1],
            "needless": [*right, (4, 5, "TOWN")],
            "label": [(1, 2, "RIVER"), right[1]],
        }.get(wrong.get(number, ""), right)
        spans = [dict(zip(("start", "end", "label"), span, strict=True)) for span in given]
        likely = rng.uniform(0.0, 0.02, (5, 10, 2)).astype(np.float32)
        for first in range(5):
            likely[first, 5 - first :] = 0.0  # As the head has it: they end outside.
        for first, end, label in right:
            likely[first, end - first - 1, int(label == "TOWN")] = 0.97 - 0.02 * rng.random()
        # Too long to have an output, and of a word without a token: nothing is said of these.
        extra = {"words": np.arange(5), "spans": np.asarray([[5, 5, 0]])}
        held = np.asarray([[f, e - 1, label == "TOWN"] for f, e, label in given])
        extra["spans"] = np.concatenate([held.astype(np.int64), extra["spans"]])
        example = Encoded([], np.zeros(0, np.int32), np.zeros(0, np.int32), {}, 0.0, extra=extra)
        nothing = Found(np.zeros((0, 3), np.int64), np.zeros(0, np.float32))
        rows.append({"tokens": words, "spans": spans})
        scores.append(LabelScores(likely.reshape(5, -1), nothing, example))
    own = Labelled(
        [{**row, "_id": str(n), "_file": "f", "_line": n} for n, row in enumerate(rows)],
        np.arange(60, dtype=np.uint64),
        task.learned.model_dump()["labels"],
        "candidates",
    )
    for number, found in enumerate(scores):
        own.judge(number, found, task, held_out=True)
    doubts = {int(doubt.row["_id"]): doubt for doubt in own.doubts()}
    assert doubts.keys() == wrong.keys()
    for number, doubt in doubts.items():
        words = rows[number]["tokens"]
        text = " ".join(words)
        for part in doubt.parts:
            assert text[part["start"] : part["end"]] == part["text"]
        found_parts = [(p["text"], p["label"], p["given"], p["suggested"]) for p in doubt.parts]
        both = f"{words[1]} {words[2]}"
        assert (
            found_parts
            == {
                "missing": [(both, "RIVER", False, True)],
                "needless": [(words[4], "TOWN", True, False)],
                "label": [(words[1], "RIVER", True, False), (words[1], "TOWN", False, True)],
            }[wrong[number]]
        )
        assert doubt.doubt > 0.9
    assert doubts[7].as_dict("x")["given"] == f"{rows[7]['tokens'][1]} (TOWN)"


def test_candidates_among_spans_are_those_of_a_slow_search() -> None:
    """The annotated ones, and the likeliest of all others."""
    task = task_of("span_classification", labels=["A", "B", "C"])
    rng = np.random.default_rng(1)
    for _ in range(30):
        count, width = int(rng.integers(1, 7)), int(rng.integers(1, 4))
        likely = rng.random((count, width, 3)).astype(np.float32)
        for first in range(count):
            likely[first, count - first :] = 0.0  # As the head has it: they end outside.
        cells = [(f, f + w, c) for f in range(count) for w in range(width) for c in range(3)]
        cells = [cell for cell in cells if cell[1] < count]
        spans = [cells[n] for n in rng.choice(len(cells), min(2, len(cells) - 1), replace=False)]
        words = [f"w{n}" for n in range(count)]
        extra = {"words": np.arange(count), "spans": np.asarray(spans, np.int64).reshape(-1, 3)}
        example = Encoded([], np.zeros(0, np.int32), np.zeros(0, np.int32), {}, 0.0, extra=extra)
        nothing = Found(np.zeros((0, 3), np.int64), np.zeros(0, np.float32))
        seen = LabelScores(likely.reshape(count, -1), nothing, example)
        found = of_spans(task, {"tokens": words, "spans": []}, seen)
        others = [cell for cell in cells if cell not in spans]
        best = max(others, key=lambda cell: likely[cell[0], cell[1] - cell[0], cell[2]])
        wanted = [*spans, best]
        assert found.given.tolist() == [1] * len(spans) + [0]
        chances = [likely[f, e - f, c] for f, e, c in wanted]
        assert found.likely.tolist() == pytest.approx(chances)
        assert found.places is not None
        shown = [(one["text"], one["label"]) for one in found.places]
        assert shown == [(" ".join(words[f : e + 1]), "ABC"[c]) for f, e, c in wanted]


def test_a_row_of_which_nothing_is_read_has_no_candidates() -> None:
    task = task_of("span_classification", labels=["A", "B"])
    extra = {"words": np.zeros(0, np.int32), "spans": np.asarray([[0, 0, 1]])}
    example = Encoded([], np.zeros(0, np.int32), np.zeros(0, np.int32), {}, 0.0, extra=extra)
    nothing = Found(np.zeros((0, 3), np.int64), np.zeros(0, np.float32))
    for columns in (0, 6):
        seen = LabelScores(np.zeros((0, columns), np.float32), nothing, example)
        found = of_spans(task, {"tokens": ["\u200b"], "spans": []}, seen)
        assert (found.names, len(found.given), found.places) == ([], 0, [])
