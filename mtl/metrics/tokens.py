"""The token-level table: each label (``B-LOC``, ``I-LOC``, …, ``O``) as a class of its own.

Its micro average counts the ``O`` tokens, most of any text, and so flatters; entity scores are in
:mod:`mtl.metrics.entities`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mtl.errors import DataError, did_you_mean
from mtl.metrics.confusion import Ints, confusion_matrix, label_counts, label_rows, macro, weighted
from mtl.metrics.confusion import micro as micro_row
from mtl.metrics.rows import LabelRow


def report_order(labels: Iterable[str]) -> list[str]:
    """Return labels by type, then prefix, and ``O`` last: B-LOC, I-LOC, B-PER, I-PER, O."""

    def key(label: str) -> tuple[bool, str, str]:
        prefix, _, kind = label.partition("-")
        return (label == "O", kind, prefix)

    return sorted(labels, key=key)


def label_ids(sequences: Iterable[Sequence[str]], index: dict[str, int], side: str) -> list[int]:
    """Return all sentences' label ids, one after the other.

    Args:
        sequences: One sequence of labels a sentence.
        index: Each known label's id.
        side: ``gold`` or ``predicted``, for the message.

    Raises:
        DataError: If a label is not in `index`.
    """
    try:
        return [index[label] for sequence in sequences for label in sequence]
    except KeyError as missing:
        label = str(missing.args[0])
        known = ", ".join(sorted(index))
        raise DataError(
            f"Expected {side} labels to be one of {{{known}}}, but got '{label}'."
            f"{did_you_mean(label, index)}"
        ) from None


def count_tokens(
    predicted: Iterable[Sequence[str]], gold: Iterable[Sequence[str]], labels: Sequence[str]
) -> Ints:
    """Count label pairs over the tokens of sentences.

    Args:
        predicted: The predicted labels of each sentence.
        gold: The gold labels of each sentence.
        labels: The label set, in the order of the result's rows.

    Returns:
        Shape (labels, labels), rows gold, columns predicted.

    Raises:
        DataError: If a label is outside the set, or there are not as many predicted as gold labels.
    """
    index = {label: i for i, label in enumerate(labels)}
    guess, truth = label_ids(predicted, index, "predicted"), label_ids(gold, index, "gold")
    if len(guess) != len(truth):
        raise DataError(
            f"Expected one predicted label for each of {len(truth)} gold labels, "
            f"but got {len(guess)}."
        )
    return confusion_matrix(guess, truth, len(labels))


def token_rows(confusion: Ints, labels: Sequence[str]) -> list[LabelRow]:
    """Return the table's lines: labels that occur, then micro, macro and weighted averages.

    Args:
        confusion: Shape (labels, labels), rows gold, columns predicted.
        labels: The labels' names.
    """
    return label_rows(label_counts(confusion), labels)


def token_averages(confusion: Ints) -> dict[str, float]:
    """Return the F1 averages over labels; the micro one is the token accuracy."""
    counts = label_counts(confusion)
    return {
        "token_micro_f1": micro_row(counts).f1,
        "token_macro_f1": macro(counts).f1,
        "token_weighted_f1": weighted(counts).f1,
    }
