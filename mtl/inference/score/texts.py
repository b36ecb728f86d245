"""Scores of generated texts against references, one JSON object a line.

Gold: ``{"id": "7", "text": "…"}`` or ``{"id": "7", "references": ["…", "…"]}``; predicted:
``{"id": "7", "text": "…"}``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from mtl.data.node import Node, kind
from mtl.errors import ConfigError, DataError
from mtl.inference.score.files import check_overlap, read_jsonl
from mtl.metrics.rouge import rouge_means, rouge_sums
from mtl.metrics.rows import ratio
from mtl.metrics.squad import score_v1
from mtl.registry import Registry

Texts = Sequence[str]
References = Sequence[Sequence[str]]

SCORINGS: Registry[Callable[[Texts, References], dict[str, float]]] = Registry("--scoring")
"""Name to a function of texts and their references that returns a corpus's scores."""


@SCORINGS.register("rouge")
def rouge(texts: Texts, references: References) -> dict[str, float]:
    """Return mean ROUGE F1, on 0 to 1 as ``rouge-score`` gives it; the best of several texts."""
    return rouge_means(rouge_sums(texts, references), len(texts))


@SCORINGS.register("answers")
def answers(texts: Texts, references: References) -> dict[str, float]:
    """Return SQuAD 1.1's exact match and F1, on 0 to 100 as its evaluator gives them."""
    scores = [score_v1(text, right) for text, right in zip(texts, references, strict=True)]
    return {
        "exact": 100.0 * ratio(sum(s.exact for s in scores), len(scores)),
        "f1": 100.0 * ratio(sum(s.f1 for s in scores), len(scores)),
    }


@SCORINGS.register("bleu")
def bleu(texts: Texts, references: References) -> dict[str, float]:
    """Return corpus BLEU and chrF2, on 0 to 100 as sacreBLEU gives them."""
    try:
        from sacrebleu.metrics import BLEU, CHRF
    except ImportError as error:
        raise ConfigError(
            "Expected sacrebleu to be installed for `--scoring bleu`; say "
            "pip install 'mtl[translation]'."
        ) from error
    streams = list(map(list, zip_longest(*references)))  # One for the first references, and so on.
    found = {"bleu": BLEU(), "chrf": CHRF()}
    return {name: scorer.corpus_score(texts, streams).score for name, scorer in found.items()}


def score_texts(gold_path: Path, predicted_path: Path, scoring: str = "rouge") -> dict[str, float]:
    """Score generated texts.

    Args:
        gold_path: JSONL with ``id`` and ``text``, or ``references`` where several are right.
        predicted_path: JSONL with ``id`` and ``text``.
        scoring: ``rouge``, ``answers`` or ``bleu``.

    Returns:
        The scores; ``total`` texts, and how many of them are ``missing`` from the predictions.
        Each of those counts as an empty text.

    Raises:
        ConfigError: If there is no such scoring.
        DataError: If a file cannot be read or is not of that form, or the ids do not agree.
    """
    compute = SCORINGS.get(scoring)
    golds: dict[str, list[str]] = {}
    for row in read_jsonl(gold_path):
        key = _new_id(row, golds)
        golds[key] = _references(row)
    if not golds:
        raise DataError(f"{gold_path}: expected lines of JSON, but it is empty.")
    found: dict[str, str] = {}
    for row in read_jsonl(predicted_path):
        key = _new_id(row, found)
        found[key] = row.get("text", str).value
    missing = check_overlap(golds, found, predicted_path, "texts")
    scores = compute([found.get(key, "") for key in golds], list(golds.values()))
    return scores | {"total": len(golds), "missing": missing}


def _new_id(row: Node, seen: Mapping[str, object]) -> str:
    """Return a row's id, a string or a whole number, as a string; it must be new."""
    value = row.get("id", object).value
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise DataError(
            f"{row.file}: expected id to be a string or a whole number, but got {kind(value)}."
        )
    if str(value) in seen:
        raise DataError(f"{row.file}: expected ids to differ, but '{value}' stands there twice.")
    return str(value)


def _references(row: Node) -> list[str]:
    """Return a gold row's right texts."""
    if "references" not in row.value and "text" not in row.value:
        raise DataError(f"{row.file}: expected 'text' or 'references', but got neither.")
    if "references" not in row.value:
        return [row.get("text", str).value]
    references = [text.value for text in row.each("references", str)]
    if not references:
        raise DataError(f"{row.file}: expected at least one text in references, but got none.")
    return references
