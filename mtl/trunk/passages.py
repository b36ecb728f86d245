"""A text of any length, passage by passage: only the tokens of one passage exist at one time.

A passage is a run of characters. What is read for it are the windows that speak for its tokens,
each where it is in the whole text, so that states are those of the text read at once. Neighboring
passages read a window or two both, which the second one knows to be `repeated`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mtl.trunk.text import TextEncoder, Tokens, joined
from mtl.trunk.windows import Window, Windows
from mtl.types import IntArray

SIZE = 250_000
"""Characters of a passage."""
MARGINS = 2
"""How many windows' tokens on either side of a passage are at hand."""
KEPT = 4
"""Pieces whose tokens are kept; those of a passage and its margins stand in hardly more."""


class LongText:
    """A text of which tokens are made where they are wanted, and forgotten.

    Args:
        text: The text.
        encoder: Whose tokens; the text is cut where that changes none.
    """

    def __init__(self, text: str, encoder: TextEncoder) -> None:
        self.text = text
        self.encoder = encoder
        self.done: dict[int, int] = {}
        """By room: how many windows of so much room passages have read."""
        self._cuts = encoder.cuts(text)
        self._pieces: dict[int, Tokens] = {}
        sizes = [len(self._piece(number)) for number in range(len(self._cuts) - 1)]
        self._firsts = [0, *np.cumsum(sizes, dtype=np.int64).tolist()]

    def __len__(self) -> int:
        return int(self._firsts[-1])

    def ends(self) -> Iterator[int]:
        """Yield one past the last character of each passage."""
        yield from range(SIZE, len(self.text), SIZE)
        yield len(self.text)

    def passage(self, first: int, end: int, reach: int) -> Passage:
        """Return the passage of the characters [first, end), with tokens up to `reach`."""
        count = len(self)
        lowest = min(self._ended(first), count - 1) if first else 0
        beyond = max(self._begun(reach), lowest + 1) if reach < len(self.text) else count
        margin = MARGINS * self.encoder.max_length
        base = max(0, lowest - margin)
        tokens = self._between(base, min(count, beyond + margin))
        return Passage(self, first, end, tokens, base, lowest, beyond)

    def _ended(self, character: int) -> int:
        """Return how many tokens end at a character or before it."""
        number = self._holding(character)
        inside = np.searchsorted(self._piece(number).ends, character, side="right")
        return int(self._firsts[number] + inside)

    def _begun(self, character: int) -> int:
        """Return how many tokens begin before a character."""
        number = self._holding(character)
        inside = np.searchsorted(self._piece(number).starts, character)
        return int(self._firsts[number] + inside)

    def _holding(self, character: int) -> int:
        return bisect_right(self._cuts, character) - 1

    def _between(self, first: int, end: int) -> Tokens:
        """Return the tokens [first, end), their characters counted in the whole text."""
        last = bisect_right(self._firsts, end - 1) - 1
        number = bisect_right(self._firsts, first) - 1
        whole = joined(self._piece(n) for n in range(number, last + 1))
        cut = slice(first - self._firsts[number], end - self._firsts[number])
        return Tokens(whole.ids[cut], whole.starts[cut], whole.ends[cut])

    def _piece(self, number: int) -> Tokens:
        if number not in self._pieces:
            first, end = self._cuts[number : number + 2]
            while len(self._pieces) >= KEPT:
                del self._pieces[next(iter(self._pieces))]
            self._pieces[number] = self.encoder.between(self.text, first, end)
        return self._pieces[number]


@dataclass(frozen=True)
class Passage:
    """Some characters of a text with the tokens that are read for them.

    Args:
        source: Whose they are.
        first: Its first character.
        end: One past its last.
        tokens: Its own and some on either side, their characters counted in the whole text.
        base: The number of the first of these in the whole text.
        lowest: The number of its own first token there.
        beyond: One past the number of the last token that is asked for.
    """

    source: LongText
    first: int
    end: int
    tokens: Tokens
    base: int
    lowest: int
    beyond: int

    @property
    def is_last(self) -> bool:
        """Whether the text ends with it."""
        return self.end == len(self.source.text)


class PassageEncoder(TextEncoder):
    """The encoder of a text, for one passage of it: windows are those of the whole text.

    Args:
        passage: Its tokens are what windows and places are counted in.
        read: Takes by room how many windows have been read by the end of the passage.
    """

    def __init__(self, passage: Passage, read: dict[int, int]) -> None:
        vars(self).update(vars(passage.source.encoder))
        self.passage = passage
        self.read = read
        self.repeated: list[bool] = []
        """Of each window that was asked for, in order: whether the passage before had it."""

    def windows(self, length: int, room: int | None = None) -> list[Window]:
        """Return the windows that the passage's tokens are read in; the length is known."""
        del length
        room = self.room if room is None else room
        passage = self.passage
        every = Windows(len(passage.source), room, self.stride)
        done = passage.source.done.get(room, 0)
        at_hand = bisect_left(range(len(every)), passage.base, key=lambda n: every[n][0])
        first = max(at_hand, min(done, every.of(passage.lowest)))
        end = every.of(passage.beyond - 1) + 1
        self.repeated += [number < done for number in range(first, end)]
        self.read[room] = max(done, end)
        return [(start - passage.base, stop - passage.base) for start, stop in every[first:end]]

    def places(self, index: IntArray, windows: list[Window]) -> tuple[IntArray, IntArray]:  # type: ignore[override]
        """Return part and offset of tokens of the passage, as in the whole text."""
        base, count = self.passage.base, len(self.passage.source)
        return self._placed(index, windows, -base, count - base)
