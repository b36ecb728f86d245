"""From answers to places in windows, and from start and end logits back to answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mtl.config.section import Values
from mtl.data.value_types import show, to_start
from mtl.errors import Mismatch
from mtl.tasks._span_layouts import Windows
from mtl.trunk.text import Tokens

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Candidate(NamedTuple):
    """A part of a document: its first character, one past its last, and the sum of two logits."""

    start: int
    end: int
    score: float


class Answer(NamedTuple):
    """One output: the answer that is given, and what else was considered."""

    text: str
    """A slice of the document; empty for "no answer"."""
    span: Candidate | None
    null: float
    """Score of "no answer": the sum of the null place's logits, the lowest over the windows."""
    best: tuple[Candidate, ...]
    """The best spans, the best first, whether or not one of them is given."""

    @property
    def no_answer(self) -> float:
        """How much better "no answer" scores than the best span."""
        return self.null - self.best[0].score if self.best else 0.0


class Window(NamedTuple):
    """The places of one window of a question, the null place first; L of them."""

    logits: Floats
    """(L, 2): start and end."""
    chars: Ints
    """(L, 2): first character of each token and one past its last."""


def choose(
    text: str, windows: Sequence[Window], *, longest: int, count: int, threshold: float | None
) -> Answer:
    """Return the answer to one question.

    "No answer" scores the lowest of its windows' null scores, as in the baseline that came with
    SQuAD 2.0: a window that holds the answer should deny it, one that does not says nothing.

    Args:
        text: The document.
        windows: Of the question.
        longest: Most tokens of a span.
        count: How many of the best spans to keep.
        threshold: No answer is given where "no answer" scores better by more than this; None where
            every question has one.
    """
    found = (span for window in windows for span in best_spans(text, window, longest, count))
    null = min(float(window.logits[0].sum()) for window in windows)
    return decide(text, found, null, count=count, threshold=threshold)


def decide(
    text: str, spans: Iterable[Candidate], null: float, *, count: int, threshold: float | None
) -> Answer:
    """Return the answer of all spans that were found; see :func:`choose`."""
    found = sorted(spans, key=lambda span: (-span.score, span.start, span.end))
    unique: dict[tuple[int, int], Candidate] = {}
    for span in found:
        unique.setdefault((span.start, span.end), span)
    best = tuple(unique.values())[:count]
    if not best or (threshold is not None and null - best[0].score > threshold):
        return Answer("", None, null, best)
    return Answer(text[best[0].start : best[0].end], best[0], null, best)


def best_spans(text: str, window: Window, longest: int, count: int) -> Iterator[Candidate]:
    """Yield the best spans of one window, at least `count` where it has so many.

    White space at a span's ends is not part of it. Spans of white space are none.
    """
    size = len(window.chars) - 1
    if size < 1:
        return
    width = min(longest, size)
    start, end = window.logits[1:].T
    ends = np.concatenate([end, np.full(width, -np.inf)])
    scores = start[:, None] + np.lib.stride_tricks.sliding_window_view(ends, width)[:size]
    order = np.argsort(-scores, axis=None, kind="stable")
    kept: set[tuple[int, int]] = set()
    for first, more in zip(*np.unravel_index(order, scores.shape), strict=True):
        score = float(scores[first, more])
        if len(kept) >= count or score == -np.inf:
            return
        span = trimmed(
            text, int(window.chars[1 + first, 0]), int(window.chars[1 + first + more, 1])
        )
        if span is not None and span not in kept:
            kept.add(span)
            yield Candidate(*span, score)


def trimmed(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Return a span without white space at its ends; None if nothing is left."""
    part = text[start:end]
    if not part.strip():
        return None
    return start + len(part) - len(part.lstrip()), end - len(part) + len(part.rstrip())


def with_starts(answers: list[Values], start: Any) -> list[Values]:
    """Return answers with the offsets of a column of their own, where there is one.

    Raises:
        ValueError: If there is not one for each answer.
    """
    if start is None or not answers:
        return answers
    starts = [to_start(s) for s in (start if isinstance(start, list) else [start])]
    if len(starts) != len(answers):
        raise Mismatch(f"one start for each of {len(answers)} answers", f"got {show(start)}")
    return [
        {**answer, "start": s if s is not None else answer["start"]}
        for answer, s in zip(answers, starts, strict=True)
    ]


def nearest(document: str, text: str, place: int) -> int | None:
    """Return where `text` stands in a document nearest to a place; the first of two as near."""
    found, at = [], document.find(text)
    while at >= 0:
        found.append(at)
        at = document.find(text, at + 1)
    return min(found, key=lambda start: abs(start - place), default=None)


def token_span(answers: Sequence[Mapping[str, Any]], tokens: Tokens) -> tuple[int, int] | None:
    """Return the first and last token of the first answer; None where there is none."""
    if not answers:
        return None
    start = np.asarray([answers[0]["start"]], dtype=np.int32)
    end = start + len(answers[0]["text"])
    return int(tokens.first_of(start, end)[0]), int(tokens.last_of(start, end)[0])


def gold_places(answer: tuple[int, int] | None, windows: Windows) -> Values:
    """Return the places of an answer's tokens in each window, 0 where it is not wholly inside."""
    first, last = answer or (-1, -1)
    inside = [0 <= s <= first <= last < e for s, e in windows]
    starts = [1 + first - s if here else 0 for here, (s, _) in zip(inside, windows, strict=True)]
    ends = [1 + last - s if here else 0 for here, (s, _) in zip(inside, windows, strict=True)]
    return {"start": np.asarray(starts, np.int32), "end": np.asarray(ends, np.int32)}
