from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    classification_report,
    f1_score,
    matthews_corrcoef,
    precision_recall_fscore_support,
)

from mtl.errors import DataError
from mtl.metrics.classification import classification_scores
from mtl.metrics.confusion import confusion_matrix, label_counts, label_rows
from mtl.metrics.multilabel import count_multilabel, multilabel_scores
from mtl.metrics.tokens import count_tokens, report_order, token_averages, token_rows
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
    found = classification_scores(confusion_matrix(guess, truth, 4))
    assert found == pytest.approx(expected, abs=1e-12)


def test_counts_too_large_for_floats_are_exact() -> None:
    n = 3_000_000_000
    confusion = np.array([[n, 0], [0, n]], dtype=np.int64)
    assert classification_scores(confusion) == {"accuracy": 1.0, "macro_f1": 1.0, "mcc": 1.0}


def test_nothing_counted_is_zero() -> None:
    empty = np.zeros((3, 3), dtype=np.int64)
    assert classification_scores(empty) == {"accuracy": 0.0, "macro_f1": 0.0, "mcc": 0.0}
    assert [r.label for r in token_rows(empty, ["a", "b", "O"])] == [
        "micro avg",
        "macro avg",
        "weighted avg",
    ]


@max_examples(50)
@given(st.integers(0, 2**31), st.integers(1, 12))
def test_multilabel_equals_sklearn(seed: int, n: int) -> None:
    generator = np.random.default_rng(seed)
    guess, truth = generator.random((2, n, 3)) < 0.3
    assert multilabel_scores(count_multilabel(guess, truth)) == pytest.approx(
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
    confusion = count_tokens(guess, gold, labels)
    flat_gold, flat_guess = list(chain(*gold)), list(chain(*guess))
    report = classification_report(flat_gold, flat_guess, output_dict=True, zero_division=0)
    rows = {row.label: row for row in token_rows(confusion, labels)}
    assert set(rows) == {"B-LOC", "I-LOC", "B-PER", "O", "micro avg", "macro avg", "weighted avg"}
    for name in rows.keys() - {"micro avg"}:
        expected = report[name]
        assert rows[name][1:] == pytest.approx(
            tuple(expected[k] for k in ("precision", "recall", "f1-score", "support"))
        )
    averages = token_averages(confusion)
    assert averages["token_micro_f1"] == pytest.approx(accuracy_score(flat_gold, flat_guess))
    assert averages["token_macro_f1"] == pytest.approx(report["macro avg"]["f1-score"])
    assert averages["token_weighted_f1"] == pytest.approx(report["weighted avg"]["f1-score"])


@pytest.mark.parametrize(
    ("guess", "gold", "message"),
    [
        ([["B-LOX"]], [["O"]], "Expected predicted labels .* Did you mean 'B-LOC'"),
        ([["O"]], [["X"]], "Expected gold labels .* but got 'X'"),
        ([["O"]], [["O", "O"]], "for each of 2 gold labels, but got 1"),
    ],
)
def test_unknown_token_labels_are_errors(
    guess: list[list[str]], gold: list[list[str]], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        count_tokens(guess, gold, ["B-LOC", "O"])
