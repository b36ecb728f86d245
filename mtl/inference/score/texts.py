"""Scores of generated texts against references, one JSON object a line.

Gold: ``{"id": "7", "text": "…"}`` or ``{"id": "7", "references": ["…", "…"]}``; predicted:
``{"id": "7", "text": "…"}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mtl.data.node import Node, kind
from mtl.errors import DataError, Place, Problem
from mtl.inference.score.files import check_overlap, check_words, read_jsonl, say_characters
from mtl.metrics.segments import AUTO
from mtl.metrics.texts import SCORINGS


def score_texts(
    gold_path: Path, predicted_path: Path, scoring: str = "rouge", language: str = AUTO
) -> dict[str, float]:
    """Score generated texts.

    Args:
        gold_path: JSONL with ``id`` and ``text``, or ``references`` where several are right.
        predicted_path: JSONL with ``id`` and ``text``.
        scoring: ``rouge``, ``answers`` or ``bleu``.
        language: As :func:`mtl.metrics.segments.by_character` takes it.

    Returns:
        The scores; ``total`` texts, and how many of them are ``missing`` from the predictions.
        Each of those counts as an empty text.

    Raises:
        ConfigError: If there is no such scoring.
        DataError: If a file cannot be read or is not of that form, or the ids do not agree.
    """
    check_words(language)
    compare = SCORINGS.get(scoring)()
    compare.language = language
    golds: dict[str, list[str]] = {}
    for row in read_jsonl(gold_path):
        key = _new_id(row, golds)
        golds[key] = _references(row)
    if not golds:
        raise DataError(Problem(Place(gold_path), "lines of JSON", "it is empty"))
    found: dict[str, str] = {}
    for row in read_jsonl(predicted_path):
        key = _new_id(row, found)
        found[key] = row.get("text", str).value
    missing = check_overlap(golds, found, predicted_path, "texts")
    say_characters(golds.values(), language)
    sums = compare.sums([found.get(key, "") for key in golds], list(golds.values()))
    scores = {
        compare.official.get(name, name): compare.scale * value
        for name, value in compare.scores(sums, len(golds)).items()
    }
    return scores | {"total": len(golds), "missing": missing}


def _new_id(row: Node, seen: Mapping[str, object]) -> str:
    """Return a row's id, a string or a whole number, as a string; it must be new."""
    value = row.get("id", object).value
    if not isinstance(value, str | int) or isinstance(value, bool):
        expected = "id to be a string or a whole number"
        raise DataError(Problem(Place(row.file), expected, f"got {kind(value)}"))
    if str(value) in seen:
        found = f"'{value}' stands there twice"
        raise DataError(Problem(Place(row.file), "ids that differ", found))
    return str(value)


def _references(row: Node) -> list[str]:
    """Return a gold row's right texts."""
    if "references" not in row.value and "text" not in row.value:
        raise DataError(Problem(Place(row.file), "'text' or 'references'", "it has neither"))
    if "references" not in row.value:
        return [row.get("text", str).value]
    references = [text.value for text in row.each("references", str)]
    if not references:
        expected = "at least one text in references"
        raise DataError(Problem(Place(row.file), expected, "there is none"))
    return references
