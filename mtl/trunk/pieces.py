"""Pieces of a long text that a tokenizer may read one by one.

A tokenizer takes about a hundred bytes for each character that it is given at once. A text may be
cut where what stands around the cut has the same tokens whether it is cut or not; that is tried for
each cut, so that nothing has to be known about the tokenizer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from mtl.types import IntArray

SIZE = 100_000
"""Characters of a piece; a text of twice as many is cut."""
AROUND = 64
"""Characters on each side of a cut that are looked at."""
TRIED = 50
"""Places before a piece's full size where a cut is tried."""

Ids = Callable[[str], IntArray]
"""A text's token ids, without special tokens."""


def pieces(text: str, ids: Ids) -> Iterator[str]:
    """Yield parts of a text, in order, whose tokens together are those of the text.

    Where no cut is found, a piece is longer.
    """
    start, at = 0, SIZE
    while len(text) - at > SIZE:
        cut = next((c for c in _places(text, start, at) if _harmless(text, c, ids)), None)
        if cut is not None:
            yield text[start:cut]
            start = cut
        at = (at if cut is None else cut) + SIZE
    yield text[start:]


def _places(text: str, start: int, at: int) -> Iterator[int]:
    """Yield places to cut near `at`, the last first: before single spaces, then anywhere."""
    near = range(at, max(at - 20 * AROUND, start + AROUND), -1)
    spaces = [
        c
        for c in near
        if text[c].isspace() and not text[c - 1].isspace() and not text[c + 1].isspace()
    ]
    yield from spaces[:TRIED]
    yield from near[:TRIED]


def _harmless(text: str, cut: int, ids: Ids) -> bool:
    before, after = text[cut - AROUND : cut], text[cut : cut + AROUND]
    return np.array_equal(ids(before + after), np.concatenate([ids(before), ids(after)]))
