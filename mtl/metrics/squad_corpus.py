"""All numbers that the official SQuAD evaluators print, on 0 to 100 as they print them.

A question without a prediction counts as wrong. The script of version 1.1 does the same; that of
version 2.0 has no rule for it, and stops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from mtl.metrics.segments import AUTO
from mtl.metrics.squad import AnswerScore, score_v1, score_v2
from mtl.metrics.tables import ratio

Golds = Mapping[str, Sequence[str]]
"""Each question's right answers; none where it is impossible."""
Predictions = Mapping[str, str]
Scores = dict[str, AnswerScore]
FIELDS = ("exact", "f1")


def squad_v1(golds: Golds, predictions: Predictions, language: str = AUTO) -> dict[str, float]:
    """Return ``exact``, ``f1`` and ``total`` of version 1.1.

    Args:
        golds: Right answers by question id, at least one a question.
        predictions: Predicted answers by question id.
        language: As :func:`mtl.metrics.segments.by_character` takes it.
    """
    scores = _score(golds, predictions, partial(score_v1, language=language))
    return _means(scores, golds)


def squad_v2(
    golds: Golds,
    predictions: Predictions,
    na_probs: Mapping[str, float] | None = None,
    threshold: float = 1.0,
    language: str = AUTO,
) -> dict[str, float]:
    """Return the numbers of version 2.0, under the evaluator's own names.

    Args:
        golds: Right answers by question id.
        predictions: Predicted answers by question id, empty for "no answer".
        na_probs: The probability that a question has no answer, for every question; the order
            decides between equal ones, as in the evaluator.
        threshold: Above this probability the answer counts as empty.
        language: As :func:`mtl.metrics.segments.by_character` takes it.

    Returns:
        ``exact``, ``f1``, ``total``, the same as ``HasAns_…`` and ``NoAns_…`` where there are such
        questions; with `na_probs` also ``best_exact``, ``best_f1``, their ``…_thresh``, and the
        average precisions ``pr_exact_ap``, ``pr_f1_ap``, ``pr_oracle_ap``.
    """
    raw = _score(golds, predictions, partial(score_v2, language=language))
    has_answer = {qid: bool(answers) for qid, answers in golds.items()}
    answered = {qid: predictions.get(qid) != "" for qid in golds}
    return squad_v2_of(raw, has_answer, answered, na_probs, threshold)


def squad_v2_of(
    raw: Scores,
    has_answer: Mapping[str, bool],
    answered: Mapping[str, bool],
    na_probs: Mapping[str, float] | None = None,
    threshold: float = 1.0,
) -> dict[str, float]:
    """Return the numbers of version 2.0 from each question's scores; see :func:`squad_v2`.

    Args:
        raw: Scores of the predictions as they are, by question id.
        has_answer: Whether a question has an answer.
        answered: Whether its prediction is not empty.
        na_probs: As for :func:`squad_v2`.
        threshold: As for :func:`squad_v2`.
    """
    probs = dict.fromkeys(raw, 0.0) if na_probs is None else na_probs
    scores = {
        qid: AnswerScore(*[float(not has_answer[qid])] * 2) if probs[qid] > threshold else score
        for qid, score in raw.items()
    }
    result = _means(scores, raw)
    for prefix, wanted in (("HasAns", True), ("NoAns", False)):
        ids = [qid for qid in raw if has_answer[qid] is wanted]
        if ids:
            part = _means(scores, ids)
            result.update({f"{prefix}_{name}": value for name, value in part.items()})
    if na_probs is not None:
        ranked = sorted((q for q in na_probs if q in raw), key=lambda q: na_probs[q])
        result.update(_best_thresholds(ranked, raw, has_answer, answered, na_probs))
        result.update(_average_precisions(ranked, raw, has_answer, na_probs))
    return result


def _score(
    golds: Golds, predictions: Predictions, one: Callable[[str, Sequence[str]], AnswerScore]
) -> Scores:
    """Score every question; one without a prediction scores 0."""
    return {
        qid: one(predictions[qid], answers) if qid in predictions else AnswerScore(0.0, 0.0)
        for qid, answers in golds.items()
    }


def _means(scores: Scores, ids: Iterable[str]) -> dict[str, float]:
    """Return the means over some questions, in percent, and how many they are."""
    part = [scores[qid] for qid in ids]
    exact, f1 = (100.0 * ratio(sum(column), len(part)) for column in zip(*part, strict=True))
    return {"exact": exact, "f1": f1, "total": len(part)}


def _best_thresholds(
    ranked: Sequence[str],
    raw: Scores,
    has_answer: Mapping[str, bool],
    answered: Mapping[str, bool],
    na_probs: Mapping[str, float],
) -> dict[str, float]:
    """Return the best scores over all thresholds, and the thresholds.

    With the threshold below every probability only impossible questions score; raising it past a
    question adds its score, or takes back the point of an impossible one that was answered.
    """
    result: dict[str, float] = {}
    for field, name in enumerate(FIELDS):
        current = best = float(sum(not there for there in has_answer.values()))
        best_threshold = 0.0
        for qid in ranked:
            wrong = not has_answer[qid] and answered[qid]
            current += raw[qid][field] if has_answer[qid] else -float(wrong)
            if current > best:
                best, best_threshold = current, na_probs[qid]
        result[f"best_{name}"] = 100.0 * best / len(raw)
        result[f"best_{name}_thresh"] = best_threshold
    return result


def _average_precisions(
    ranked: Sequence[str],
    raw: Scores,
    has_answer: Mapping[str, bool],
    na_probs: Mapping[str, float],
) -> dict[str, float]:
    """Return the areas under precision over recall, questions ranked by their probability."""
    total = sum(has_answer.values())
    if not total:
        return {}
    kinds = {
        "pr_exact_ap": {qid: score.exact for qid, score in raw.items()},
        "pr_f1_ap": {qid: score.f1 for qid, score in raw.items()},
        "pr_oracle_ap": {qid: float(there) for qid, there in has_answer.items()},
    }
    result: dict[str, float] = {}
    for name, values in kinds.items():
        right = recall = area = 0.0
        for i, qid in enumerate(ranked):
            right += values[qid] * has_answer[qid]
            last = i + 1 == len(ranked)
            if last or na_probs[qid] != na_probs[ranked[i + 1]]:
                area += right / (i + 1) * (right / total - recall)
                recall = right / total
        result[name] = 100.0 * area
    return result
