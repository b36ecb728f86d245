"""Windows of a text that is longer than a trunk reads at once: where each begins and ends.

A text of ten tokens in windows of at most four that share two::

    [0, 4) [2, 6) [4, 8) [6, 10)
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np

from mtl.types import IntArray

Window = tuple[int, int]
"""[start, end), in tokens."""
NO_EDGE = 10**9
"""How far a token is from an end of the text, where nothing is cut off."""


class Windows(Sequence[Window]):
    """Overlapping windows, equally long but for rounding, so that none is a short rest.

    They are not kept but reckoned: a text may have a hundred thousand of them.

    Args:
        length: The text's tokens. A text that fits is one window.
        room: The most tokens of a window, 1 or more.
        stride: Tokens that neighboring windows share.
    """

    def __init__(self, length: int, room: int, stride: int) -> None:
        self.length = length
        self.room = min(room, length)
        step = room - min(stride, room // 2)
        self._count = 1 if length <= room else -(-(length - room) // step) + 1

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Window: ...

    @overload
    def __getitem__(self, index: slice) -> list[Window]: ...

    def __getitem__(self, index: int | slice) -> Window | list[Window]:
        """Return a window; of a slice, a list."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._count))]
        if not 0 <= index < self._count:
            raise IndexError(f"Expected a window below {self._count}, but got {index}")
        start = self._start(index)
        return start, start + self.room

    def __iter__(self) -> Iterator[Window]:
        return (self[i] for i in range(self._count))

    def _start(self, index: int) -> int:
        return round(index * (self.length - self.room) / max(1, self._count - 1))

    def of(self, token: int) -> int:
        """Return the number of the window where a token is farthest from an edge."""
        numbers = range(self._count)
        first = bisect_right(numbers, token, key=lambda i: self._start(i) + self.room)
        last = bisect_right(numbers, token, key=self._start) - 1
        near = self[first : last + 1]
        chosen = nearest(np.asarray([token], dtype=np.int32), near, 0, self.length)
        return first + int(chosen[0])


def nearest(index: IntArray, windows: Sequence[Window], start: int, end: int) -> IntArray:
    """Return for each token the window where it is farthest from an edge; the first of several.

    Args:
        index: (N,) token numbers; each is in some window.
        windows: Some that follow each other.
        start: The number of the text's first token; it is no edge: nothing is cut off there.
        end: One past the number of its last token.
    """
    edges = np.asarray(windows, dtype=np.int32)
    left = np.where(edges[:, 0] == start, -NO_EDGE, edges[:, 0])
    right = np.where(edges[:, 1] == end, NO_EDGE, edges[:, 1])
    part = np.searchsorted(edges[:, 1], index, side="right")  # The first that has the token.
    last = np.searchsorted(edges[:, 0], index, side="right") - 1
    first, most = part.copy(), np.full(len(index), -1)
    for further in range(int((last - first).max(initial=0)) + 1):
        window = np.minimum(first + further, last)
        room = np.minimum(index - left[window], right[window] - 1 - index)
        part, most = np.where(room > most, window, part), np.maximum(room, most)
    chosen: IntArray = part.astype(np.int32)
    return chosen
