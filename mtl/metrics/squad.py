"""Answers scored one by one as the official SQuAD evaluators do (versions 1.1 and 2.0).

Answers in scripts without spaces are compared by character, or by the words of a named tokenizer;
see :mod:`mtl.metrics.segments` and :mod:`mtl.metrics.tokenizers`.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from mtl.metrics.segments import AUTO, splitter
from mtl.metrics.tables import harmonic

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


class AnswerScore(NamedTuple):
    """One prediction's exact match (0 or 1) and token F1, each on 0 to 1."""

    exact: float
    f1: float


def normalize(text: str) -> str:
    """Lower-case, drop ASCII punctuation, then the articles, then surplus white space."""
    bare = text.lower().translate(_NO_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", bare).split())


def token_f1(found: Sequence[str], right: Sequence[str], empty_matches: bool) -> float:
    """Return the F1 of two normalised answers' tokens.

    Args:
        found: Of the predicted answer.
        right: Of one right answer.
        empty_matches: What two answers without tokens score: 1 in version 2.0, 0 in version 1.1.
    """
    if not found or not right:
        return float(empty_matches and found == right)
    common = (Counter(found) & Counter(right)).total()
    return harmonic(common / len(found), common / len(right))


def _best(prediction: str, golds: Sequence[str], empty_matches: bool, language: str) -> AnswerScore:
    """Return the best exact match and the best F1 over right answers."""
    split = splitter(golds, language)
    found = list(split(normalize(prediction)))
    right = [list(split(normalize(gold))) for gold in golds]
    exact = float(found in right)
    return AnswerScore(exact, max(token_f1(found, one, empty_matches) for one in right))


def score_v1(prediction: str, golds: Sequence[str], language: str = AUTO) -> AnswerScore:
    """Score an answer as version 1.1 does.

    Args:
        prediction: The predicted answer.
        golds: At least one right answer.
        language: As :func:`mtl.metrics.segments.by_character` takes it.
    """
    return _best(prediction, golds, empty_matches=False, language=language)


def score_v2(prediction: str, golds: Sequence[str], language: str = AUTO) -> AnswerScore:
    """Score an answer as version 2.0 does.

    Args:
        prediction: The predicted answer; empty where the question has none.
        golds: The right answers; none where the question is impossible. Answers that
            normalisation leaves nothing of are dropped.
        language: As :func:`mtl.metrics.segments.by_character` takes it.
    """
    right = [g for g in golds if normalize(g)] or [""]
    return _best(prediction, right, empty_matches=True, language=language)
