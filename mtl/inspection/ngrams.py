"""Texts as vectors of their n-grams of characters, for comparisons that need no model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

SIZE, LENGTH = 256, 4
"""Dimensions of a vector, and characters of an n-gram."""
CHUNK = 2_000
"""Texts that are hashed at a time."""
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_EDGE = " " * (LENGTH - 1)
"""Before and after each text, so that its first and last characters count as often as others."""


class Ngrams:
    """Counts the n-grams of texts by their hashes (Weinberger et al., 2009).

    Two hashes of an n-gram say which dimension it counts in, and with which sign, so that what
    falls together by chance cancels out. Capitals do not count, nor does how much white space
    there is.
    """

    def encode(self, inputs: Sequence[str], **options: Any) -> npt.NDArray[np.float32]:
        """Return the vectors of texts, (n, 256), as SemHash's encoders do."""
        del options
        chunks = [_vectors(inputs[at : at + CHUNK]) for at in range(0, len(inputs), CHUNK)]
        return np.concatenate(chunks) if chunks else np.zeros((0, SIZE), dtype=np.float32)


def _vectors(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    padded = [f"{_EDGE}{' '.join(text.casefold().split())}{_EDGE}" for text in texts]
    joined = "".join(padded).encode("utf-32-le", "surrogatepass")
    characters = np.frombuffer(joined, dtype=np.uint32).astype(np.uint64)
    owner = np.repeat(np.arange(len(padded)), [len(text) for text in padded])
    count = len(characters) - LENGTH + 1
    hashes = np.zeros(count, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for at in range(LENGTH):
            hashes = (hashes ^ characters[at : at + count]) * _FACTOR
            hashes ^= hashes >> np.uint64(29)
    whole = owner[:count] == owner[LENGTH - 1 :]
    hashes, owner = hashes[whole], owner[:count][whole]
    place = owner * SIZE + ((hashes >> np.uint64(8)) % np.uint64(SIZE)).astype(np.int64)
    sign = np.where(hashes & np.uint64(1), 1.0, -1.0)
    counted = np.bincount(place, weights=sign, minlength=len(padded) * SIZE)
    return counted.reshape(len(padded), SIZE).astype(np.float32)
