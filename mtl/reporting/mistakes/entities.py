"""Spans of a text: what was missed, what was found without reason, edges apart from labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mtl.reporting.mistakes.base import (
    COMPARISONS,
    LONGEST,
    Block,
    Judged,
    Piece,
    Values,
    given_blocks,
)


class Span(NamedTuple):
    """A label, and the characters that have it."""

    start: int
    end: int
    label: str


class Entities:
    """Spans that may lie inside each other."""

    def judge(self, answer: Values, expected: Values) -> Judged:
        """Return the share of the spans of either side that only one has."""
        right, found = _spans(expected), _spans(answer)
        kinds = list(mistakes(right, found))
        wrong = len(set(right) ^ set(found)) / max(len(set(right) | set(found)), 1)
        return Judged(wrong, sorted(set(kinds)))

    def show(self, given: Values, answer: Values, expected: Values) -> list[Block]:
        """Return the text twice: with the right spans, and with those of the model."""
        right, found = _spans(expected), _spans(answer)
        text = str(given.get("text", ""))
        same = set(right) & set(found)
        blocks = given_blocks(given, "text", "tokens")
        blocks.append(Block("right", marked(text, right, same, "missed")))
        if set(right) != set(found):
            blocks.append(Block("model", marked(text, found, same, "found")))
        return blocks


def _spans(values: Values) -> list[Span]:
    return sorted(Span(s["start"], s["end"], s["label"]) for s in values["entities"])


def mistakes(right: Sequence[Span], found: Sequence[Span]) -> Iterator[str]:
    """Yield what is wrong with each span that only one side has.

    ``edge``: the label is right and the span overlaps a right one; ``label``: the span is right;
    ``edge and label``: it overlaps one with another label; ``in pieces``: a right span that was
    found in several; ``missed``; ``found without reason``: it overlaps none.
    """
    same = set(right) & set(found)
    left = [span for span in right if span not in same]
    for span in (s for s in found if s not in same):
        near = [other for other in left if other.start < span.end and span.start < other.end]
        if not near:
            cut = [other for other in right if other.start < span.end and span.start < other.end]
            yield f"{cut[0].label} in pieces" if cut else f"{span.label} found without reason"
            continue
        exact = [other for other in near if other[:2] == span[:2]]
        alike = [other for other in near if other.label == span.label]
        best = (exact or alike or near)[0]
        left.remove(best)
        if exact:
            yield f"label: {best.label} as {span.label}"
        elif alike:
            yield f"edge of {span.label}"
        else:
            yield f"edge and label: {best.label} as {span.label}"
    for span in left:
        yield f"{span.label} missed"


def marked(text: str, spans: Sequence[Span], same: set[Span], mark: str) -> list[Piece]:
    """Return a text with spans marked; one that lies inside another is marked after it."""
    pieces: list[Piece] = []
    at, end = 0, min(len(text), LONGEST)
    inside: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.start, -s.end)):
        if span.start >= end:
            break
        if span.start < at:
            inside.append(span)
            continue
        pieces += _nested(text, inside, same, mark)
        inside = []
        pieces.append(Piece(text[at : span.start]))
        how = "right" if span in same else mark
        pieces.append(Piece(text[span.start : span.end], how, span.label))
        at = span.end
    pieces += _nested(text, inside, same, mark)
    rest = text[at:end] if at < end else ""
    return [*pieces, Piece(rest + ("…" if end < len(text) else ""))]


def _nested(text: str, spans: Sequence[Span], same: set[Span], mark: str) -> Iterator[Piece]:
    """Yield spans that begin inside another, in brackets after it."""
    for span in spans:
        yield Piece(" [")
        how = "right" if span in same else mark
        yield Piece(text[span.start : span.end], how, span.label)
        yield Piece("]")


COMPARISONS.register("entities")(Entities())
