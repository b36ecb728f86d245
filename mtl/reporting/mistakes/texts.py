"""Answers that stand in a document, and texts that a model wrote."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from itertools import pairwise

from mtl.metrics.squad import score_v1, score_v2
from mtl.reporting.mistakes.base import (
    COMPARISONS,
    LONGEST,
    Block,
    Judged,
    Piece,
    Values,
    given_blocks,
    shorten,
)

AROUND = 400
"""Characters of a document before its first and after its last answer that are shown."""
WORDS = 300
"""Words of a text whose differences are shown."""


class Answers:
    """A part of a document, or nothing."""

    def judge(self, answer: Values, expected: Values) -> Judged:
        """Return one less SQuAD's F1."""
        golds = [one["text"] for one in expected["answers"]]
        found = answer["answer"]
        score = (score_v1 if golds else score_v2)(found, golds)
        if score.exact:
            return Judged(0.0)
        return Judged(1.0 - score.f1 or 0.01, [_kind(answer, expected)])

    def show(self, given: Values, answer: Values, expected: Values) -> list[Block]:
        """Return the question, and the document with both answers marked."""
        text = str(given.get("text", ""))
        right = [(one["start"], one["start"] + len(one["text"])) for one in expected["answers"]]
        start = answer.get("start")
        found = [] if start is None else [(start, answer["end"])]
        blocks = given_blocks(given, "text")
        blocks.append(Block("document", _document(text, right, found)))
        golds = dict.fromkeys(one["text"] for one in expected["answers"])
        blocks.append(Block("right", [Piece(" / ".join(golds) or "no answer", "right")]))
        exact = answer["answer"] in golds or (not golds and not answer["answer"])
        model = answer["answer"] or "no answer"
        return [*blocks, Block("model", [Piece(model, "right" if exact else "found")])]


def _kind(answer: Values, expected: Values) -> str:
    if not expected["answers"]:
        return "answered what has no answer"
    if not answer["answer"]:
        return "no answer given"
    start, end = answer["start"], answer["end"]
    golds = [(one["start"], one["start"] + len(one["text"])) for one in expected["answers"]]
    overlaps = any(low < end and start < high for low, high in golds)
    return "edge of the answer" if overlaps else "another place"


def _document(
    text: str, right: Sequence[tuple[int, int]], found: Sequence[tuple[int, int]]
) -> list[Piece]:
    """Return the part of a document around its answers, in pieces."""
    places = [place for pair in (*right, *found) for place in pair]
    low = max(0, min(places, default=0) - AROUND)
    high = min(len(text), max(places, default=0) + AROUND, low + LONGEST)
    edges = sorted({low, high, *(place for place in places if low <= place <= high)})
    pieces = [Piece("…")] if low else []
    for start, end in pairwise(edges):
        gold = any(a <= start and end <= b for a, b in right)
        model = any(a <= start and end <= b for a, b in found)
        mark = "right" if gold and model else "missed" if gold else "found" if model else ""
        pieces.append(Piece(text[start:end], mark))
    return [*pieces, Piece("…")] if high < len(text) else pieces


class Texts:
    """A text that was written."""

    def judge(self, answer: Values, expected: Values) -> Judged:
        """Return one less the likeness to the nearest right text, in words."""
        golds = _references(expected)
        likeness = max((_matcher(gold, answer["text"]).ratio() for gold in golds), default=0.0)
        if likeness == 1:
            return Judged(0.0)
        return Judged(
            1 - likeness, ["nothing written" if not answer["text"].strip() else "differs"]
        )

    def show(self, given: Values, answer: Values, expected: Values) -> list[Block]:
        """Return the reference and the text, each with what the other one lacks marked."""
        golds = _references(expected)
        written = answer["text"]
        best = max(golds, key=lambda gold: _matcher(gold, written).ratio(), default="")
        one, other = _words(best), _words(written)
        right: list[Piece] = []
        model: list[Piece] = []
        for kind, a, b, c, d in _matcher(best, written).get_opcodes():
            same = kind == "equal"
            right.append(Piece(" ".join(one[a:b]) + " ", "" if same else "missed"))
            model.append(Piece(" ".join(other[c:d]) + " ", "" if same else "found"))
        shown = [Block(role, [Piece(shorten(str(text), LONGEST))]) for role, text in given.items()]
        return [
            *shown,
            Block("reference", [p for p in right if p.text.strip()]),
            Block("written", [p for p in model if p.text.strip()] or [Piece("nothing")]),
        ]


def _references(expected: Values) -> list[str]:
    given = expected["target"]
    return [str(one) for one in given] if isinstance(given, list) else [str(given)]


def _matcher(gold: str, written: str) -> difflib.SequenceMatcher[str]:
    return difflib.SequenceMatcher(None, _words(gold), _words(written), autojunk=False)


def _words(text: str) -> list[str]:
    return text.split()[:WORDS]


COMPARISONS.register("answer")(Answers())
COMPARISONS.register("text")(Texts())
