from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    classification_report,
    f1_score,
    matthews_corrcoef,
    precision_recall_fscore_support,
)

from mtl.metrics.confusion import confusion_matrix, label_counts, label_rows, report_order
from mtl.metrics.scores import LabelScores, MultiLabelScores, TokenScores
from tests.properties import max_examples

Pairs = list[tuple[int, int]]


def pairs(n_labels: int) -> st.SearchStrategy[Pairs]:
    label = st.integers(0, n_labels - 1)
    return st.lists(st.tuples(label, label), min_size=1, max_size=30)


@max_examples(100)
@given(pairs(4))
def test_rows_equal_sklearn_report(data: Pairs) -> None:
    names = ["a", "b", "c", "d"]
    guess, truth = [g for g, _ in data], [t for _, t in data]
    present = [names[i] for i in sorted({*guess, *truth})]
    report = classification_report(
        truth, guess, target_names=present, output_dict=True, zero_division=0
    )
    del report["accuracy"]
    micro = precision_recall_fscore_support(truth, guess, average="micro", zero_division=0)
    parts = ("precision", "recall", "f1-score", "support")
    report["micro avg"] = dict(zip(parts, (*micro[:3], len(data)), strict=True))
    rows = label_rows(label_counts(confusion_matrix(guess, truth, 4)), names)
    assert [r.label for r in rows] == [*present, "micro avg", "macro avg", "weighted avg"]
    for row in rows:
        found = dict(zip(parts, row[1:], strict=True))
        assert found == pytest.approx(report[row.label], abs=1e-12)


@max_examples(100)
@given(st.integers(2, 4).flatmap(pairs))
def test_scores_equal_sklearn(data: Pairs) -> None:
    guess, truth = [g for g, _ in data], [t for _, t in data]
    expected = {
        "accuracy": accuracy_score(truth, guess),
        "macro_f1": f1_score(truth, guess, average="macro", zero_division=0),
        "mcc": matthews_corrcoef(truth, guess) if len({*truth, *guess}) > 1 else 0.0,
    }
    metric = LabelScores(["a", "b", "c", "d"])
    metric.update(torch.tensor(guess), torch.tensor(truth))
    assert metric.compute() == pytest.approx(expected, abs=1e-12)


def test_counts_too_large_for_floats_are_exact() -> None:
    n = 3_000_000_000
    metric = LabelScores(["a", "b"])
    metric.add("confusion", [[n, 0], [0, n]])
    assert metric.compute() == {"accuracy": 1.0, "macro_f1": 1.0, "mcc": 1.0}


def test_nothing_counted_is_zero() -> None:
    empty = LabelScores(["a", "b", "O"])
    assert empty.compute() == {"accuracy": 0.0, "macro_f1": 0.0, "mcc": 0.0}
    assert [r.label for r in empty.table()] == [
        "micro avg",
        "macro avg",
        "weighted avg",
    ]


@max_examples(50)
@given(st.integers(0, 2**31), st.integers(1, 12))
def test_multilabel_equals_sklearn(seed: int, n: int) -> None:
    generator = np.random.default_rng(seed)
    guess, truth = generator.random((2, n, 3)) < 0.3
    metric = MultiLabelScores(["a", "b", "c"])
    metric.update(torch.from_numpy(guess.astype(float)), torch.from_numpy(truth.astype(int)))
    assert metric.compute() == pytest.approx(
        {
            "micro_f1": f1_score(truth, guess, average="micro", zero_division=0),
            "macro_f1": f1_score(truth, guess, average="macro", zero_division=0),
            "subset_accuracy": accuracy_score(truth, guess),
        },
        abs=1e-12,
    )


def test_token_table_of_sentences() -> None:
    labels = report_order(["O", "B-PER", "I-LOC", "B-LOC", "I-PER"])
    assert labels == ["B-LOC", "I-LOC", "B-PER", "I-PER", "O"]
    gold = [["B-LOC", "I-LOC", "O"], ["O", "O", "B-PER"]]
    guess = [["B-LOC", "O", "O"], ["O", "B-LOC", "B-PER"]]
    flat_gold, flat_guess = list(chain(*gold)), list(chain(*guess))
    report = classification_report(flat_gold, flat_guess, output_dict=True, zero_division=0)
    names = ["O", *labels[:-1]]
    metric = TokenScores(names)
    metric.update(*(torch.tensor([names.index(n) for n in s]) for s in (flat_guess, flat_gold)))
    rows = {row.label: row for row in metric.table()}
    assert list(rows)[:4] == ["B-LOC", "I-LOC", "B-PER", "O"]
    assert set(rows) == {"B-LOC", "I-LOC", "B-PER", "O", "micro avg", "macro avg", "weighted avg"}
    for name in rows.keys() - {"micro avg"}:
        expected = report[name]
        assert rows[name][1:] == pytest.approx(
            tuple(expected[k] for k in ("precision", "recall", "f1-score", "support"))
        )
    averages = metric.compute()
    assert averages["accuracy"] == pytest.approx(accuracy_score(flat_gold, flat_guess))
    assert averages["token_macro_f1"] == pytest.approx(report["macro avg"]["f1-score"])
    assert averages["token_weighted_f1"] == pytest.approx(report["weighted avg"]["f1-score"])
