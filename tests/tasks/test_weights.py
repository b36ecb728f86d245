"""Weights of classes: what they are, where they are counted, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional as F

from mtl.errors import ConfigError
from mtl.heads.classification import ClassificationHead, MultiLabelHead
from mtl.heads.span_pairs import SpanPairHead
from mtl.tasks import Task
from mtl.tasks._weights import effective
from tests.tasks.samples import HIDDEN, NESTED, TAGGED, Sample, every, labelled, place

LABELS = ["a", "b", "a", "a", "c"]


def task_of(labels: list[Any], problem: str = "single", **head: Any) -> Task:
    options = {"problem": problem}
    return Sample("text_classification", labelled(labels), options=options, head=head).task()


def weights(task: Task) -> list[float]:
    head = task.build_head(HIDDEN)
    assert isinstance(head, ClassificationHead | MultiLabelHead)
    return head.class_weights.tolist()


def test_balanced_is_scikit_learns() -> None:
    wanted = compute_class_weight("balanced", classes=np.asarray(["a", "b", "c"]), y=LABELS)
    task = task_of(LABELS, class_weighting="balanced")
    assert weights(task) == pytest.approx(wanted.tolist())
    gold, logits = torch.tensor([0, 1, 0, 0, 2]), torch.randn(5, 3)
    loss = task.build_head(HIDDEN).loss(logits, {"labels": gold})
    expected = F.cross_entropy(logits, gold, weight=torch.tensor(wanted, dtype=torch.float32))
    torch.testing.assert_close(loss, expected)
    masses = [e.mass for e in every(task, place(labelled(LABELS))).encoded]
    assert masses == pytest.approx([wanted["abc".index(label)] for label in LABELS])


def test_effective_numbers_are_those_of_the_recursion() -> None:
    """E_n = 1 + beta * E_(n - 1), from which Cui et al. derive the closed form."""
    for beta in (0.0, 0.5, 0.99):
        number = 0.0
        for n in range(40):
            assert effective(n, beta) == pytest.approx(number)
            number = 1 + beta * number
    assert effective(7, 1.0) == 7


def test_weights_by_effective_numbers() -> None:
    found = weights(task_of(LABELS, class_weighting="effective", effective_beta=0.5))
    numbers = [1 + 0.5 + 0.25, 1.0, 1.0]
    assert [w / found[1] for w in found] == pytest.approx([1 / n for n in numbers])
    nearly = weights(task_of(LABELS, class_weighting="effective", effective_beta=1 - 1e-9))
    balanced = weights(task_of(LABELS, class_weighting="balanced"))
    assert nearly == pytest.approx(balanced, rel=1e-6)


def test_several_labels_weigh_what_they_lack_over_what_they_have() -> None:
    labels = [["a"], [], ["a", "b"], ["a"], ["c", "a", "a"]]
    task = task_of(labels, "multi", class_weighting="balanced")
    assert weights(task) == pytest.approx([1 / 4, 4.0, 4.0])
    everywhere = task_of([["a"], ["a"], ["a", "b"], ["a"], ["a"]], "multi", class_weights={"b": 9})
    assert weights(everywhere) == [1.0, 9.0]
    full = task_of([["a"], ["a"], ["a", "b"], ["a"], ["a"]], "multi", class_weighting="balanced")
    assert weights(full) == [1.0, 4.0], "no row lacks a"


def test_a_weight_by_name_wins() -> None:
    found = weights(task_of(LABELS, class_weighting="balanced", class_weights={"b": 7.0}))
    assert found[1] == 7.0
    assert found[0] == pytest.approx(5 / 9)


def test_tags_are_counted_as_the_head_has_them() -> None:
    rows = [*TAGGED, {"tokens": ["Bo", "ran"], "labels": ["B-PER", "O"]}]
    sample = Sample("token_classification", rows, head={"class_weighting": "balanced"})
    task = sample.task()
    words = [label for row in rows for label in row["labels"]]
    counts = task.learned.model_dump()["counts"]
    assert counts == {"labels": {n: words.count(n) for n in set(words)}, "targets": len(words)}
    head = task.build_head(HIDDEN)
    examples = every(task, place(rows)).encoded
    masses = [head.mass({"labels": torch.from_numpy(e.targets["labels"])}) for e in examples]
    assert [e.mass for e in examples] == pytest.approx(masses)
    assert sum(masses) == pytest.approx(len(words)), "their mean is 1"


def test_nothing_is_counted_where_nothing_asks() -> None:
    assert task_of(LABELS).learned.model_dump()["counts"] == {"labels": {}, "targets": 0}


def test_spans_by_focal_loss() -> None:
    head = Sample("span_classification", NESTED, head={"loss": "focal"}).task().build_head(HIDDEN)
    assert isinstance(head, SpanPairHead)
    plain = Sample("span_classification", NESTED).task().build_head(HIDDEN)
    given = {"sizes": torch.tensor([3]), "spans": torch.tensor([[1], [2], [0]])}
    given["spans"] = given["spans"].repeat(1, head.labels)
    logits = torch.randn(3, head.width * head.labels)
    assert 0 < float(head.loss_sum(logits, given)) < float(plain.loss_sum(logits, given))


@pytest.mark.parametrize(
    ("head", "key", "why"),
    [
        ({"focal_gamma": 1.0}, "focal_gamma", "head.loss=focal"),
        ({"effective_beta": 0.9}, "effective_beta", "class_weighting=effective"),
        (
            {"effective_beta": 0.9, "class_weighting": "balanced"},
            "effective_beta",
            "class_weighting=effective",
        ),
        ({"loss": "focal", "label_smoothing": 0.1}, "label_smoothing", "loss=cross_entropy"),
    ],
)
def test_options_without_effect(head: dict[str, Any], key: str, why: str) -> None:
    with pytest.raises(ConfigError, match=rf"`tasks\.sample\.head\.{key}` to be unset.*{why}"):
        task_of(LABELS, **head).build_head(HIDDEN)
