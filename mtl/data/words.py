"""Split text into words by a fixed rule, and find given words in a text."""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from mtl.data.scripts import is_set_solid, joins

if TYPE_CHECKING:  # It brings torch, which scripts that only split words can do without.
    from mtl.types import IntArray

# Words with inner apostrophes, hyphens or points; numbers with inner punctuation; the possessive
# 's apart; any other visible character alone.
WORD = re.compile(
    r"\d+(?:[.,:/]\d+)*|[^\W_]+(?:['’.-][^\W_]+)*?(?=['’]s\b)|['’]s\b|[^\W_]+(?:['’.-][^\W_]+)*|\S"
)


def split_words(text: str) -> tuple[IntArray, IntArray]:
    """Return the starts and ends (W,) of the words of `text`, in characters."""
    edges = array("i")  # Far smaller than pairs.
    for word in WORD.finditer(_marks_as_letters(text)):
        edges.extend(word.span())
    spans = np.asarray(edges, dtype=np.int32).reshape(-1, 2)
    return spans[:, 0], spans[:, 1]


def _marks_as_letters(text: str) -> str:
    """Put a letter for each accent, vowel sign and joiner, so that it stays in its word."""
    if text.isascii():
        return text
    return "".join("x" if joins(c) else c for c in text)


def join_words(words: Sequence[str]) -> str:
    """Return a text of words: blanks between them, but not in scripts without."""
    blanks = blanks_after(words)
    return "".join(word + " " * blank for word, blank in zip(words, blanks, strict=True))


def blanks_after(words: Sequence[str]) -> list[bool]:
    """Return whether a blank follows each word; none follows the last."""
    if not words:
        return []
    if "".join(words).isascii():
        return [True] * (len(words) - 1) + [False]
    solid = [
        bool(left and right) and (is_set_solid(left[-1]) or is_set_solid(right[0]))
        for left, right in pairwise(words)
    ]
    return [*(not tight for tight in solid), False]


def find_words(text: str, words: Sequence[str]) -> tuple[IntArray, IntArray] | None:
    """Return where `words` stand in `text`, one after the other, or None if one is missing."""
    starts, ends = [], []
    at = 0
    for word in words:
        start = text.find(word, at)
        if start < 0:
            return None
        at = start + len(word)
        starts.append(start)
        ends.append(at)
    return np.asarray(starts, dtype=np.int32), np.asarray(ends, dtype=np.int32)
