"""Answers without a model: what a task's scores are compared with."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from mtl.metrics.squad import normalize, score_v1, score_v2
from mtl.tasks._span_answers import Answer, Candidate, trimmed
from mtl.types import Row

Rule = Callable[[str, str], "tuple[int, int] | None"]
"""From text and question to a span, or None for "no answer"."""

SAMPLE = 2000
"""Most training rows on which rules are compared, evenly spaced."""
NEVER = -1e9
"""Null score of a rule that gives an answer."""
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")
_NAME = re.compile(r"[A-Z][\w'-]*(?:\s+[A-Z][\w'-]*)+")
_WORD = re.compile(r"\w+")
_AFTER = 3
"""Words of an answer that is guessed to follow the question's own words."""


def best_rule(rows: Sequence[Row], *, impossible: bool) -> Callable[[Row], Answer]:
    """Return the rule with the best F1 on training rows, as a guess for any row.

    Args:
        rows: The training rows.
        impossible: Whether "no answer" is among the rules.
    """
    chosen = [rows[i] for i in range(0, len(rows), max(1, -(-len(rows) // SAMPLE)))]
    rules = [*RULES, *([no_answer] if impossible else [])]
    best = max(rules, key=lambda rule: sum(_f1(rule, row) for row in chosen))

    def guess(row: Row) -> Answer:
        span = best(row["text"], row["question"])
        if span is None:
            return Answer("", None, 0.0, ())
        found = Candidate(span[0], span[1], 0.0)
        return Answer(row["text"][found.start : found.end], found, NEVER, (found,))

    return guess


def _f1(rule: Rule, row: Row) -> float:
    span = rule(row["text"], row["question"])
    golds = [answer["text"] for answer in row["answers"]]
    found = row["text"][slice(*span)] if span else ""
    return (score_v1 if golds else score_v2)(found, golds).f1


def no_answer(text: str, question: str) -> None:
    """Say that there is no answer."""
    del text, question


def first_sentence(text: str, question: str) -> tuple[int, int] | None:
    """Return the document's first sentence."""
    del question
    return next(iter(_sentences(text)), trimmed(text, 0, len(text)))


def first_name(text: str, question: str) -> tuple[int, int] | None:
    """Return the first run of capitalised words that the question does not mention."""
    asked = set(_words(question))
    found = [m.span() for m in _NAME.finditer(text)]
    new = (span for span in found if not asked & set(_words(text[slice(*span)])))
    return next(new, found[0] if found else first_sentence(text, question))


def likest_sentence(text: str, question: str) -> tuple[int, int] | None:
    """Return the sentence that shares most words with the question."""
    asked = set(_words(question))
    return max(
        _sentences(text),
        key=lambda span: len(asked & set(_words(text[slice(*span)]))),
        default=trimmed(text, 0, len(text)),
    )


def after_shared_words(text: str, question: str) -> tuple[int, int] | None:
    """Return the words that follow the question's words in the sentence that shares most."""
    sentence = likest_sentence(text, question)
    asked = set(_words(question))
    words = list(_WORD.finditer(text, *(sentence or (0, 0))))
    shared = [i for i, word in enumerate(words) if asked & set(_words(word.group()))]
    after = words[shared[-1] + 1 :][:_AFTER] if shared else words[-_AFTER:]
    return (after[0].start(), after[-1].end()) if after else sentence


def last_words(text: str, question: str) -> tuple[int, int] | None:
    """Return the last words of the sentence that shares most words with the question."""
    sentence = likest_sentence(text, question)
    words = list(_WORD.finditer(text, *(sentence or (0, 0))))[-_AFTER:]
    return (words[0].start(), words[-1].end()) if words else sentence


RULES: tuple[Any, ...] = (
    first_sentence,
    first_name,
    likest_sentence,
    after_shared_words,
    last_words,
)


def _sentences(text: str) -> list[tuple[int, int]]:
    spans = (trimmed(text, *m.span()) for m in _SENTENCE.finditer(text))
    return [span for span in spans if span is not None]


def _words(text: str) -> list[str]:
    return normalize(text).split()
