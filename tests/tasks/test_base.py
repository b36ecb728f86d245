"""What is asked of any task."""

from __future__ import annotations

from typing import Any

import pytest

from mtl.tasks.base import answer_labels
from mtl.training.model import make_task


@pytest.mark.parametrize(
    ("type", "learned", "labels"),
    [
        (
            "token_classification",
            {"scheme": "iob2", "labels": ["O", "B-LOC", "B-e-mail", "I-e-mail"]},
            ["LOC", "e-mail"],
        ),
        ("token_classification", {"scheme": "none", "labels": ["B-side", "O"]}, ["B-side", "O"]),
        ("span_classification", {"labels": ["I-95", "e-mail"]}, ["I-95", "e-mail"]),
        ("text_classification", {"labels": ["A", "B", "O"]}, ["A", "B", "O"]),
        ("generation", {}, []),
    ],
)
def test_labels_of_answers_are_types_where_words_are_tagged(
    type: str, learned: dict[str, Any], labels: list[str]
) -> None:
    """Others stand as they are, whatever they look like."""
    task = make_task("x", type, options={}, head={})
    task.learned = task.learns.model_validate({**task.learned.model_dump(), **learned})
    assert answer_labels(task) == labels
