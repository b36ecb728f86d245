"""Where answers stand: in characters as the data says, in places of a window as the head needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mtl.data.value_types import show, to_start
from mtl.tasks._spans_layouts import Windows
from mtl.trunk.text import Tokens


def with_starts(answers: list[dict[str, Any]], start: Any) -> list[dict[str, Any]]:
    """Return answers with the offsets of a column of their own, where there is one.

    Raises:
        ValueError: If there is not one for each answer.
    """
    if start is None or not answers:
        return answers
    starts = [to_start(s) for s in (start if isinstance(start, list) else [start])]
    if len(starts) != len(answers):
        raise ValueError(
            f"Expected one start for each of {len(answers)} answers, but got {show(start)}"
        )
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


def gold_places(
    answers: Sequence[Mapping[str, Any]], tokens: Tokens, windows: Windows
) -> dict[str, Any]:
    """Return the places of the first answer in each window, 0 where it is not wholly inside."""
    first = last = -1
    if answers:
        start = np.asarray([answers[0]["start"]], dtype=np.int32)
        end = start + len(answers[0]["text"])
        first, last = int(tokens.first_of(start, end)[0]), int(tokens.last_of(start, end)[0])
    inside = [0 <= s <= first <= last < e for s, e in windows]
    starts = [1 + first - s if here else 0 for here, (s, _) in zip(inside, windows, strict=True)]
    ends = [1 + last - s if here else 0 for here, (s, _) in zip(inside, windows, strict=True)]
    return {"start": np.asarray(starts, np.int32), "end": np.asarray(ends, np.int32)}
