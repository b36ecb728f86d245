"""ROUGE-1, -2, -L and -Lsum as Google's ``rouge-score`` computes them, with stemming.

``rouge-score`` lower-cases, keeps ASCII letters and digits only (so other scripts score 0), stems
tokens of more than three characters, and splits sentences for Lsum at line breaks.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from mtl.metrics.lcs import lcs_length, union_hits
from mtl.metrics.porter import stem
from mtl.metrics.rows import harmonic, ratio

_TOKEN = re.compile(r"[a-z0-9]+")

KINDS = ("rouge1", "rouge2", "rougeL", "rougeLsum")


class Rouge(NamedTuple):
    """One kind of ROUGE for one pair of texts, each number on 0 to 1."""

    precision: float
    recall: float
    f1: float


class _Text(NamedTuple):
    """A text's stemmed tokens, all together and by line."""

    tokens: list[str]
    lines: list[list[str]]


def tokenize(text: str) -> list[str]:
    """Return a text's stemmed tokens."""
    return [stem(t) if len(t) > 3 else t for t in _TOKEN.findall(text.lower())]


def _read(text: str) -> _Text:
    """Tokenize a text once for all kinds."""
    lines = [tokenize(line) for line in text.split("\n")]
    return _Text(tokenize(text), lines)


def _score(hits: int, predicted: int, reference: int) -> Rouge:
    """Return precision, recall and F1 of `hits` common units."""
    precision, recall = ratio(hits, predicted), ratio(hits, reference)
    return Rouge(precision, recall, harmonic(precision, recall))


def _ngrams(tokens: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    """Count a text's n-grams."""
    return Counter(zip(*(tokens[i:] for i in range(n)), strict=False))


def _rouge_n(reference: _Text, prediction: _Text, n: int) -> Rouge:
    """Score common n-grams, each counted as often as both texts have it."""
    there, here = _ngrams(reference.tokens, n), _ngrams(prediction.tokens, n)
    return _score((there & here).total(), here.total(), there.total())


def _rouge_pair(reference: _Text, prediction: _Text) -> dict[str, Rouge]:
    """Score one pair of texts in every kind."""
    sizes = len(prediction.tokens), len(reference.tokens)
    return {
        "rouge1": _rouge_n(reference, prediction, 1),
        "rouge2": _rouge_n(reference, prediction, 2),
        "rougeL": _score(lcs_length(reference.tokens, prediction.tokens), *sizes),
        "rougeLsum": _score(union_hits(reference.lines, prediction.lines), *sizes),
    }


def rouge(prediction: str, references: Sequence[str]) -> dict[str, Rouge]:
    """Score one text; of several references, each kind takes the one with the highest F1.

    Args:
        prediction: The text to score.
        references: At least one right text.

    Returns:
        A score for each of `KINDS`.
    """
    assert references, "no reference"
    text = _read(prediction)
    pairs = [_rouge_pair(_read(reference), text) for reference in references]
    return {kind: max((pair[kind] for pair in pairs), key=lambda s: s.f1) for kind in KINDS}


def rouge_sums(predictions: Iterable[str], references: Iterable[Sequence[str]]) -> dict[str, float]:
    """Return the sum of F1 over texts for each of `KINDS`; sums of two parts of a corpus add up.

    Args:
        predictions: The texts to score.
        references: Each text's right texts.
    """
    sums = dict.fromkeys(KINDS, 0.0)
    for prediction, right in zip(predictions, references, strict=True):
        for kind, score in rouge(prediction, right).items():
            sums[kind] += score.f1
    return sums


def rouge_means(sums: Mapping[str, float], n: int) -> dict[str, float]:
    """Return the mean F1 of each kind, on 0 to 1, from the sums over `n` texts."""
    return {kind: ratio(sums[kind], n) for kind in KINDS}
