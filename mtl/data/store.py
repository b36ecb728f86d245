"""Encoded examples of one task and split, with the figures that planning needs."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import numpy.typing as npt

from mtl.data.examples import MappedExamples
from mtl.types import Encoded, Examples, Row


@dataclass(slots=True)
class ExampleStore:
    """One task's examples of one split: a list, or in a file when there are many.

    `lengths` (tokens), `reads` (positions), `keys` (hash of the document's ids; equal documents
    can be encoded once) and `masses` (loss denominators) have shape (n,).
    """

    task: str
    rows: Sequence[Row]
    examples: Sequence[Encoded]
    lengths: npt.NDArray[np.int32]
    reads: npt.NDArray[np.int32]
    keys: npt.NDArray[np.uint64]
    masses: npt.NDArray[np.float64]
    bidirectional: bool

    def __len__(self) -> int:
        return len(self.examples)

    def select(self, numbers: Sequence[int], encoded: Sequence[Encoded] | None = None) -> Examples:
        """Return some examples; those of a batch that has them are not read again."""
        found = [self.examples[i] for i in numbers] if encoded is None else encoded
        return Examples(found, Once(self.rows, numbers))


class Once(Sequence[Row]):
    """Rows of a split by their numbers, all of them read when the first one is asked for."""

    def __init__(self, rows: Sequence[Row], numbers: Sequence[int]) -> None:
        self._source = rows
        self._numbers = numbers
        self._rows: list[Row] | None = None

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...

    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        """Return one row; of a slice, rows."""
        if self._rows is None:
            self._rows = [self._source[i] for i in self._numbers]
        return self._rows[index]


class Chosen(Sequence[Row]):
    """Rows of a split by their numbers, each as often as it is named."""

    def __init__(self, rows: Sequence[Row], numbers: Sequence[int] | npt.NDArray[np.int64]) -> None:
        self.rows = rows
        self.numbers = np.asarray(numbers, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> Chosen: ...

    def __getitem__(self, index: int | slice) -> Row | Chosen:
        """Return one row; of a slice, rows."""
        if isinstance(index, slice):
            return Chosen(self.rows, self.numbers[index].tolist())
        return self.rows[int(self.numbers[index])]


def build_store(
    task: str,
    rows: Sequence[Row],
    encoded: Iterable[Encoded],
    *,
    bidirectional: bool,
    repeats: bool = False,
) -> ExampleStore:
    """Collect encoded examples.

    Args:
        task: The task's name.
        rows: The rows the examples came from, in their order; those of :class:`MappedExamples`
            tell which of them each came from.
        encoded: Examples as they come, or those in a file.
        bidirectional: Whether this task's documents see all of themselves.
        repeats: Whether a document's second copy is read again, and not with the first one.
    """
    if isinstance(encoded, MappedExamples):
        examples: Sequence[Encoded] = encoded
        figures = encoded.figures
        if not is_range(figures["owner"], len(rows)):
            rows = Chosen(rows, figures["owner"])
    else:
        examples = list(encoded)
        keys = [document_key(e, bidirectional=bidirectional) for e in examples]
        figures = {
            "length": np.asarray([e.length for e in examples], dtype=np.int32),
            "reads": np.asarray([len(e.part) for e in examples], dtype=np.int32),
            "key": np.asarray(keys, dtype=np.uint64),
            "mass": np.asarray([e.mass for e in examples], dtype=np.float64),
        }
    return ExampleStore(
        task=task,
        rows=rows,
        examples=examples,
        lengths=figures["length"],
        reads=figures["reads"],
        keys=_apart(figures["key"]) if repeats else figures["key"],
        masses=figures["mass"],
        bidirectional=bidirectional,
    )


def is_range(numbers: Sequence[int] | npt.NDArray[np.int64], size: int) -> bool:
    """Whether `numbers` are 0, 1, ..., size - 1."""
    return len(numbers) == size and bool(np.array_equal(numbers, np.arange(size)))


def document_key(example: Encoded, *, bidirectional: bool) -> int:
    """Return a hash of a document's ids and of how they are read."""
    digest = hashlib.blake2b(b"\x01" if bidirectional else b"\x00", digest_size=8)
    for window in example.documents:
        digest.update(len(window).to_bytes(4, "little"))
        digest.update(np.ascontiguousarray(window, dtype=np.int32).tobytes())
    return int.from_bytes(digest.digest(), "little")


def _apart(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Give the second and later occurrences of a key keys of their own."""
    seen: Counter[int] = Counter()
    found = keys.copy()
    _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    for at in np.flatnonzero(counts[inverse] > 1).tolist():
        key = int(keys[at])
        if seen[key]:
            copy = key.to_bytes(8, "little") + seen[key].to_bytes(8, "little")
            digest = hashlib.blake2b(copy, digest_size=8).digest()
            found[at] = int.from_bytes(digest, "little")
        seen[key] += 1
    return found
