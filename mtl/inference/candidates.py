"""What a model could have answered, and which of it the data gives: choices, or answers.

They are not the same from row to row, so that a doubt is one about a candidate: is the one that was
given right? A function for each type of target, found by registration.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mtl.config.section import Values
from mtl.data.choices import texts_of
from mtl.inference.confident import Floats, Ints
from mtl.metrics.segments import splitter
from mtl.metrics.squad import normalize
from mtl.registry import Registry
from mtl.tasks import Task
from mtl.types import Row


class Candidates(NamedTuple):
    """What could be the answer of one row, K in all."""

    names: list[str]
    given: Ints
    """(K,): 1 where the data gives it."""
    likely: Floats
    """(K,): its probability."""


NOTHING = "(no answer)"
FORMS: Registry[Callable[[Values, Values, Row], Candidates]] = Registry("type of target")
"""By the type of a target's role: candidates of an answer, of what was expected, and of the row."""


def form_of(task: Task) -> str | None:
    """Return the type of target by which a task's candidates are found; None if it has none."""
    roles = task.roles(task.options)
    return next((role.type for role in roles if role.target and role.type in FORMS), None)


@FORMS.register("choice")
def of_choices(answer: Values, expected: Values, row: Row) -> Candidates:
    """Return a row's choices."""
    names = texts_of(row["choices"])
    given = np.arange(len(names)) == expected["number"]
    return Candidates(names, given.astype(np.int64), np.asarray(answer["probabilities"], "f4"))


@FORMS.register("answers")
def of_answers(answer: Values, expected: Values, row: Row) -> Candidates:
    """Return the likeliest answers; those that share a word with a given one count as that one."""
    del row
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
