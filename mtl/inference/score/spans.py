"""Scores of predicted answers against a SQuAD file, as the official evaluators give them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from mtl.config.section import Values
from mtl.data.node import Node, kind
from mtl.errors import DataError, Place, Problem
from mtl.inference.score.files import check_overlap, check_words, read_json, say_characters
from mtl.metrics.segments import AUTO
from mtl.metrics.squad_corpus import squad_v1, squad_v2


def score_spans(
    gold_path: Path,
    predicted_path: Path,
    na_prob_path: Path | None = None,
    language: str = AUTO,
) -> dict[str, float]:
    """Score predicted answers.

    Args:
        gold_path: SQuAD JSON; version 2.0 when it says so or holds a question that it marks as
            impossible, else version 1.1.
        predicted_path: A JSON object from question id to answer, empty for "no answer".
        na_prob_path: A JSON object from question id to the probability that there is no answer.
        language: As :func:`mtl.metrics.segments.by_character` takes it.

    Returns:
        The evaluator's numbers under its names, 0 to 100, and ``missing``: how many questions have
        no prediction. Each of those counts as wrong.

    Raises:
        DataError: If a file cannot be read or is not of that form, or the ids do not agree.
    """
    check_words(language)
    document = read_json(gold_path)
    golds = read_golds(document)
    predictions = _read_map(predicted_path, (str,), "an answer")
    missing = check_overlap(golds, predictions, predicted_path, "questions")
    say_characters(golds.values(), language)
    if _is_v2(document):
        na_probs = None if na_prob_path is None else _read_probs(na_prob_path, golds)
        found = squad_v2(golds, predictions, na_probs, language=language)
        return found | {"missing": missing}
    if na_prob_path is not None:
        expected = "to be unset with version 1.1, whose questions all have an answer"
        raise DataError(Problem("--na-prob", expected, f"'{gold_path}' is of that version"))
    _check_answered(golds, gold_path)
    return squad_v1(golds, predictions, language) | {"missing": missing}


def questions(document: Node) -> Iterator[Node]:
    """Yield a SQuAD file's questions.

    Raises:
        DataError: If something is missing or of the wrong type, with its place in the file.
    """
    for article in document.each("data", dict):
        for paragraph in article.each("paragraphs", dict):
            yield from paragraph.each("qas", dict)


def read_golds(document: Node) -> dict[str, list[str]]:
    """Return each question's right answers.

    Raises:
        DataError: If something is missing or of the wrong type, with its place in the file; if an
            id comes twice; if there is no question.
    """
    golds: dict[str, list[str]] = {}
    for question in questions(document):
        qid = question.get("id", str)
        if qid.value in golds:
            found = f"{qid.place} is '{qid.value}' again"
            raise DataError(Problem(Place(qid.file), "ids that differ", found))
        answers = question.each("answers", dict)
        golds[qid.value] = [answer.get("text", str).value for answer in answers]
    if not golds:
        expected = "questions at data[].paragraphs[].qas[]"
        raise DataError(Problem(Place(document.file), expected, "there is none"))
    return golds


def _is_v2(document: Node) -> bool:
    """Return whether a SQuAD file says that it is of version 2, or has impossible questions."""
    version = str(document.value.get("version", "")).lower()
    return version.startswith(("v2", "2")) or any(
        question.value.get("is_impossible") for question in questions(document)
    )


def _check_answered(golds: dict[str, list[str]], path: Path) -> None:
    """Refuse a question of version 1.1 that has no answer."""
    empty = next((qid for qid, answers in golds.items() if not answers), None)
    if empty is not None:
        expected = f"at least one answer for question '{empty}'"
        advice = 'Mark it with "is_impossible": true if it has none.'
        raise DataError(Problem(Place(path), expected, "there is none", advice))


def _read_map(path: Path, wanted: tuple[type, ...], what: str) -> Values:
    """Read a JSON object whose values are all of one type."""
    value: Values = read_json(path).value
    for key, item in value.items():
        if not isinstance(item, wanted) or isinstance(item, bool):
            raise DataError(Problem(Place(path), f"{what} for id '{key}'", f"got {kind(item)}"))
    return value


def _read_probs(path: Path, golds: dict[str, list[str]]) -> dict[str, float]:
    """Read the probabilities of "no answer", one for each question."""
    probs = _read_map(path, (float, int), "a number")
    for key, value in probs.items():
        if not math.isfinite(value):
            expected = f"a finite number for id '{key}'"
            raise DataError(Problem(Place(path), expected, f"got {value}"))
    absent = next((qid for qid in golds if qid not in probs), None)
    if absent is not None:
        expected = f"a number for question '{absent}'"
        raise DataError(Problem(Place(path), expected, "there is none"))
    return probs
