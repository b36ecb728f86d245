"""Answers scored one by one as the official SQuAD evaluators do (versions 1.1 and 2.0)."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

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


def token_f1(prediction: str, gold: str, empty_matches: bool) -> float:
    """Return the F1 of two normalised answers' tokens.

    Args:
        prediction: The predicted answer.
        gold: One right answer.
        empty_matches: What two answers without tokens score: 1 in version 2.0, 0 in version 1.1.
    """
    found, right = normalize(prediction).split(), normalize(gold).split()
    if not found or not right:
        return float(empty_matches and found == right)
    common = (Counter(found) & Counter(right)).total()
    return harmonic(common / len(found), common / len(right))


def _best(prediction: str, golds: Sequence[str], empty_matches: bool) -> AnswerScore:
    """Return the best exact match and the best F1 over right answers."""
    exact = max(float(normalize(prediction) == normalize(gold)) for gold in golds)
    return AnswerScore(exact, max(token_f1(prediction, gold, empty_matches) for gold in golds))


def score_v1(prediction: str, golds: Sequence[str]) -> AnswerScore:
    """Score an answer as version 1.1 does.

    Args:
        prediction: The predicted answer.
        golds: At least one right answer.
    """
    return _best(prediction, golds, empty_matches=False)


def score_v2(prediction: str, golds: Sequence[str]) -> AnswerScore:
    """Score an answer as version 2.0 does.

    Args:
        prediction: The predicted answer; empty where the question has none.
        golds: The right answers; none where the question is impossible. Answers that
            normalisation leaves nothing of are dropped.
    """
    return _best(prediction, [g for g in golds if normalize(g)] or [""], empty_matches=True)
