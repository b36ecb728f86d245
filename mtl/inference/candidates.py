"""What a model could have answered, and which of it the data gives: choices, answers, or spans.

They are not the same from row to row, so that a doubt is one about a candidate: is the one that was
given right? A function for each type of target, found by registration.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mtl.config.section import Values
from mtl.data.choices import texts_of
from mtl.data.word_rule import WordRule
from mtl.inference.confident import Floats, Ints
from mtl.inference.label_scores import LabelScores, labels_of
from mtl.metrics.segments import splitter
from mtl.metrics.squad import normalize
from mtl.registry import Registry
from mtl.tasks import Task
from mtl.tasks._words import given_words
from mtl.tasks.base import document
from mtl.types import Row


class Candidates(NamedTuple):
    """What could be the answer of one row, K in all."""

    names: list[str]
    given: Ints
    """(K,): 1 where the data gives it."""
    likely: Floats
    """(K,): its probability."""
    places: list[Values] | None = None
    """Where each stands, and its label, where any number of them may hold; one does when None."""


NOTHING = "(no answer)"
FORMS: Registry[Callable[[Task, Row, LabelScores], Candidates]] = Registry("type of target")
"""By the type of a target's role: candidates of a task's row, of which a model says something."""


def form_of(task: Task) -> str | None:
    """Return the type of target by which candidates are found, of a task that chooses no labels.

    None if it has no candidates.
    """
    roles = task.roles(task.options)
    return next((role.type for role in roles if role.target and role.type in FORMS), None)


@FORMS.register("choice")
def of_choices(task: Task, row: Row, found: LabelScores) -> Candidates:
    """Return a row's choices."""
    names = texts_of(row["choices"])
    given = np.arange(len(names)) == task.expected(row)["number"]
    likely = np.asarray(task.present(found.answer, row)["probabilities"], np.float32)
    return Candidates(names, given.astype(np.int64), likely)


@FORMS.register("answers")
def of_answers(task: Task, row: Row, found: LabelScores) -> Candidates:
    """Return the likeliest answers."""
    return likely_answers(task.present(found.answer, row), task.expected(row))


def likely_answers(answer: Values, expected: Values) -> Candidates:
    """Return the likeliest answers; those that share a word with a given one count as that one."""
    right = [one["text"] for one in expected["answers"]] or [""]
    split = splitter(right)
    words = [set(split(normalize(text))) for text in right]
    names, chances, agreed = [], [], 0.0
    for found in answer["n_best"]:
        own = set(split(normalize(found["answer"])))
        if any(own & other or own == other for other in words):
            agreed += found["score"]
        else:
            names.append(found["answer"] or NOTHING)
            chances.append(found["score"])
    given = np.asarray([1] + [0] * len(names))
    likely = np.asarray([min(agreed, 1.0), *chances], dtype=np.float32)
    return Candidates([right[0] or NOTHING, *names], given, likely)


@FORMS.register("spans")
def of_spans(task: Task, row: Row, found: LabelScores) -> Candidates:
    """Return the annotated spans, and the likeliest one that is not annotated.

    Those that the head has no output for, because they are too long, are left out.
    """
    labels, words = labels_of(task), found.example.extra["words"]
    count = max(len(labels), 1)
    likely = found.probabilities.reshape(len(words), found.probabilities.shape[1] // count, count)
    place = {int(word): number for number, word in enumerate(words)}
    cells = []
    for first, last, label in found.example.extra["spans"].tolist():
        width = place.get(last, -1) - place.get(first, 0)
        if first in place and 0 <= width < likely.shape[1]:
            cells.append((place[first], width, label))
    cells = list(dict.fromkeys(cells))
    given = [1] * len(cells)
    rest = likely.copy()
    rest[tuple(zip(*cells, strict=True)) or ([], [], [])] = -1.0
    if rest.size and rest.max() > 0:
        best = np.unravel_index(int(rest.argmax()), rest.shape)
        cells.append((int(best[0]), int(best[1]), int(best[2])))
        given.append(0)
    text = document(row)
    starts, ends = given_words(row, WordRule())
    places: list[Values] = []
    for first, width, label in cells:
        start, end = int(starts[words[first]]), int(ends[words[first + width]])
        of_text = {"text": text[start:end], "start": start, "end": end}
        places.append({**of_text, "label": labels[label]})
    chances = np.asarray([likely[cell] for cell in cells], dtype=np.float32)
    return Candidates([one["text"] for one in places], np.asarray(given, np.int64), chances, places)
