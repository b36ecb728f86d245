"""How raw text becomes words: a property of a model, learned from its training data.

Between two characters that no white space parts, a word may end. A rule says where, by what the
training words had there. Each character is seen as a class: ``L`` a letter, ``D`` a digit, ``C`` a
letter of a script without spaces, and any other character as itself; a *context* is the two
characters and the kind of their neighbors (``P`` for any sign, a blank for none). From the words
``@ines_t`` and ``Talbot|-|inspired``, for example::

    " @LL" and "LL_L" are kept together        "LL-L" and "L-LL" are cut

What no training word tells is split by :func:`mtl.data.words.split_words`, and letters of scripts
without spaces one by one.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from mtl.config.section import Field, Flag, Section
from mtl.data.scripts import has_spaceless, is_spaceless, joins
from mtl.data.words import split_words

if TYPE_CHECKING:
    from mtl.types import IntArray

CHUNK = re.compile(r"\S+")
BLANK = re.compile(r"\s")
LONGEST = 16
"""Characters of the longest word that is looked for in a script without spaces."""
_TRIM = 3
"""Signs at either end of a chunk that may stand around a word known as a whole."""
_KEPT = 100_000
"""Chunks whose words are remembered."""

BLOCK = 4096
"""Characters of a longer chunk that are looked at together."""
_BESIDE = 64
"""Characters on either side of a block that its cuts may depend on."""
_REMEMBERED = 30
"""Longer chunks are hardly met twice."""

STRETCH = 50_000
"""Words of a long text that are found at a time."""
LENGTH = 250_000
"""Characters of one in which they are found at a time, where words stand between blanks."""

Cuts = tuple[int, ...]
Words: TypeAlias = "tuple[IntArray, IntArray]"
"""Starts and ends (W,) of words, in characters."""


class WordRule(Section):
    """Where words end in a text without spaces; an empty one knows scripts only."""

    scripts: Flag = True
    """Whether letters of scripts without spaces are words of their own; not so in models that were
    made before there was such a rule."""
    cut: list[str] = Field(default_factory=list)
    """Contexts where a word ends: with both neighbors, or without."""
    keep: list[str] = Field(default_factory=list)
    """Those where it goes on."""
    whole: dict[str, list[int]] = Field(default_factory=dict)
    """Pieces of text that the contexts would split otherwise: where words begin inside of them."""
    endings: list[str] = Field(default_factory=list)
    """Words with an apostrophe that follow another without a space: ``n't``, ``'s``."""
    beginnings: list[str] = Field(default_factory=list)
    """Words with an apostrophe that another follows without a space: ``l'``, ``qu'``."""
    vocabulary: list[str] = Field(default_factory=list)
    """Longer words of scripts without spaces; the longest that fits is taken, else a character."""

    def split(self, text: str) -> Words:
        """Return the starts and ends (W,) of the words of a text, in characters."""
        starts, ends = zip(*self.stretches(text), strict=True)
        return np.concatenate(starts), np.concatenate(ends)

    def stretches(self, text: str) -> Iterator[Words]:
        """Yield the words of a text in their order, some at a time, since it may have no end."""
        if self._is_plain and not (self.scripts and has_spaceless(text)):
            for first, end in _parts(text):
                inside = split_words(text[first:end])
                yield inside[0] + np.int32(first), inside[1] + np.int32(first)
            return
        starts, ends = array("i"), array("i")
        for chunk in CHUNK.finditer(text):
            at, end = chunk.span()
            starts.append(at)
            for cuts in self._cuts(text, at, end):
                starts.extend(cuts)
                ends.extend(cuts)
                if len(ends) >= STRETCH:
                    yield _words(starts[:-1], ends)
                    starts, ends = starts[-1:], array("i")
            ends.append(end)
            if len(ends) >= STRETCH:
                yield _words(starts, ends)
                starts, ends = array("i"), array("i")
        yield _words(starts, ends)

    def _cuts(self, text: str, at: int, end: int) -> Iterator[array[int]]:
        """Yield where words begin inside a chunk of text without white space, some at a time."""
        if end - at > BLOCK:
            yield from self._by_blocks(text, at, end)
        else:
            yield array("i", (at + cut for cut in self.cuts(text[at:end])))

    def cuts(self, chunk: str) -> Cuts:
        """Return where words begin inside a short chunk without white space, ascending."""
        if len(chunk) > _REMEMBERED:
            return self._find(chunk)
        known = self._known.get(chunk)
        if known is None:
            if len(self._known) >= _KEPT:
                self._known.clear()
            known = self._known[chunk] = self._find(chunk)
        return known

    def _by_blocks(self, text: str, at: int, end: int) -> Iterator[array[int]]:
        """Yield the cuts of a chunk without end, a block at a time."""
        for start in range(at, end, BLOCK):
            before, beyond = max(at, start - _BESIDE), min(end, start + BLOCK + _BESIDE)
            inside = (before + cut for cut in self.by_contexts(text[before:beyond]))
            least, most = max(start, at + 1), start + BLOCK
            yield array("i", (cut for cut in inside if least <= cut < most))

    @cached_property
    def _known(self) -> dict[str, Cuts]:
        return {}

    @cached_property
    def _is_plain(self) -> bool:
        return not (self.cut or self.keep or self.whole or self.endings or self.beginnings)

    @cached_property
    def _contexts(self) -> dict[str, bool]:
        return dict.fromkeys(self.keep, False) | dict.fromkeys(self.cut, True)

    @cached_property
    def _words(self) -> frozenset[str]:
        return frozenset(self.vocabulary)

    @cached_property
    def _clitics(self) -> re.Pattern[str] | None:
        """What finds endings and beginnings, each as a group of its name."""
        sides = {
            "ending": (self.endings, r"(?<=[^\W\d_])({})(?![^\W_])"),
            "beginning": (self.beginnings, r"(?<![^\W_])({})(?=[^\W_])"),
        }
        parts = [
            form.format(f"?P<{name}>" + "|".join(map(re.escape, sorted(words, key=len)[::-1])))
            for name, (words, form) in sides.items()
            if words
        ]
        return re.compile("|".join(parts), re.IGNORECASE) if parts else None

    def _find(self, chunk: str) -> Cuts:
        found = self.by_contexts(chunk)
        for first, last in _cores(chunk) if self.whole else ():
            inside = self.whole.get(chunk[first:last])
            if inside is not None:
                edges = {first, last} - {0, len(chunk)}
                outside = {cut for cut in found if not first <= cut <= last}
                return tuple(sorted(outside | edges | {first + cut for cut in inside}))
        return found

    def by_contexts(self, chunk: str) -> Cuts:
        """Return where words begin inside a chunk, but for pieces that are known as a whole."""
        seen = classes(chunk)
        usual = set(split_words(chunk)[0].tolist())
        found = {at for at in range(1, len(chunk)) if self._is_cut(seen, at, usual)}
        for match in self._clitics.finditer(chunk) if self._clitics else ():
            start, end = match.span()
            edge = start if match.lastgroup == "ending" else end
            found = {cut for cut in found if not start < cut < end} | {edge}
        if self._words:
            found -= {at for at in found if seen[at] == "C" and seen[at - 1] in "Cm"}
            found |= self._longest(chunk, seen)
        return tuple(sorted(found))

    def _is_cut(self, seen: Sequence[str], at: int, usual: set[int]) -> bool:
        if seen[at] == "m":
            return False
        wide, narrow = contexts(seen, at)
        told = self._contexts.get(wide, self._contexts.get(narrow))
        if told is not None:
            return told
        if self.scripts and "C" in wide[1:3]:
            return True
        return at in usual

    def _longest(self, chunk: str, seen: Sequence[str]) -> set[int]:
        """Return the cuts between letters of scripts without spaces, by the longest known words."""
        found, at, size = set(), 0, len(chunk)
        while at < size:
            if seen[at] != "C":
                at += 1
                continue
            if at and seen[at - 1] in "Cm":
                found.add(at)
            ends = range(min(at + LONGEST, size), at + 1, -1)
            at = next((e for e in ends if chunk[at:e] in self._words), at + 1)
            while at < size and seen[at] == "m":
                at += 1
        return found


def _words(starts: array[int], ends: array[int]) -> Words:
    return np.asarray(starts, dtype=np.int32), np.asarray(ends, dtype=np.int32)


def _parts(text: str) -> Iterator[tuple[int, int]]:
    """Yield parts [first, end) of a text that are cut before white space."""
    first = 0
    while len(text) - first > LENGTH and (blank := BLANK.search(text, first + LENGTH)):
        yield first, blank.start()
        first = blank.start()
    yield first, len(text)


def classes(chunk: str) -> list[str]:
    """Return each character's class: L, D, C, or itself; m if it belongs to the one before."""
    return [_class(c, first=not i) for i, c in enumerate(chunk)]


def _class(character: str, *, first: bool) -> str:
    if character.isalpha():
        return "C" if not character.isascii() and is_spaceless(character) else "L"
    if character.isdecimal():
        return "D"
    if not first and not character.isascii() and joins(character):
        return "m"
    return "L" if character.isalnum() else character


def contexts(seen: Sequence[str], at: int) -> tuple[str, str]:
    """Return the context of the place before a character: with its neighbors, and without.

    Without them, a blank says that a sign stands at an end.
    """
    left = at - 1
    while left > 0 and seen[left] == "m":
        left -= 1
    before = _coarse(seen[left - 1]) if left > 0 else " "
    after = _coarse(seen[at + 1]) if at + 1 < len(seen) else " "
    pair = seen[left] + seen[at]
    outer = after if pair[1] not in "LDC" else before if pair[0] not in "LDC" else ""
    return before + pair + after, pair + (" " if outer == " " else "")


def _coarse(kind: str) -> str:
    return kind if kind in "LDC" else "L" if kind == "m" else "P"


def _cores(chunk: str) -> list[tuple[int, int]]:
    """Return a chunk, then what is left of it without some of the signs at its ends."""
    size = len(chunk)
    lead = next((i for i, c in enumerate(chunk) if c.isalnum()), size)
    trail = next((i for i, c in enumerate(reversed(chunk)) if c.isalnum()), size)
    return [
        (first, size - last)
        for first in range(min(lead, _TRIM) + 1)
        for last in range(min(trail, _TRIM) + 1)
        if first < size - last
    ]
