"""Encoded examples as columns on disk: a split may be larger than memory.

One example, as a row of the columns::

    {"ids": [1, 87, 3, 9, 2], "sizes": [4, 1], "windows": 1, "branches": [0],   # one branch
     "part": [0], "offset": [2], "group": [0], "grouped": true, "mass": 1.0,
     "owner": 17, "key": 468332143640581275, "targets:labels": [1]}

Every column is a number or a list of numbers, so that an example is a few slices of mapped files:
nothing is parsed, and nothing is copied until examples become a batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import overload

import numpy as np

from mtl.data.columns import OFFSETS, Column, ColumnWriter, read_columns
from mtl.types import Array, Branch, Encoded

BATCH = 4096
"""Examples that are written at a time."""
_PARTS = ("targets", "inputs", "extra")
"""The dictionaries of an example; a column is the name of one and of an array in it."""
_INTEGERS = np.zeros(0, dtype=np.int32)

Filed = tuple[Encoded, int, int]
"""An example, the number of the row it came from, and its document's key."""


def write_examples(folder: Path, examples: Iterable[Filed]) -> dict[str, Column]:
    """Write examples as they come, a batch at a time; returns the columns.

    All examples have the same arrays: names, types, and shapes but for the first axis.

    Raises:
        OSError: If the disk is full or the folder cannot be written.
    """
    coming = iter(examples)
    with ColumnWriter(folder) as out:
        _add(out, [])
        while batch := list(islice(coming, BATCH)):
            _add(out, batch)
    return out.columns


def _add(out: ColumnWriter, batch: Sequence[Filed]) -> None:
    """Write some examples; of none, the types of what all have."""
    examples = [example for example, _, _ in batch]
    parts = [[*e.documents, *(b.ids for b in e.branches)] for e in examples]
    lists = {
        "ids": [np.concatenate([_INTEGERS, *group]) for group in parts],
        "sizes": [np.asarray([len(ids) for ids in group]) for group in parts],
        "branches": [np.asarray([b.document for b in e.branches]) for e in examples],
        "part": [e.part for e in examples],
        "offset": [e.offset for e in examples],
        "group": [_INTEGERS if e.group is None else e.group for e in examples],
    }
    for name, values in lists.items():
        if not batch:
            out.add(name, _INTEGERS)
            out.add(name + OFFSETS, np.zeros(1, dtype=np.int64))
            continue
        out.add_lists(name, [v.astype(np.int32, copy=False) for v in values])
    for part in _PARTS if examples else ():
        for name in getattr(examples[0], part):
            out.add_lists(f"{part}:{name}", [getattr(e, part)[name] for e in examples])
    out.add("windows", np.asarray([len(e.documents) for e in examples], dtype=np.int32))
    out.add("grouped", np.asarray([e.group is not None for e in examples], dtype=bool))
    out.add("mass", np.asarray([e.mass for e in examples], dtype=np.float64))
    out.add("owner", np.asarray([owner for _, owner, _ in batch], dtype=np.int64))
    out.add("key", np.asarray([key for *_, key in batch], dtype=np.uint64))


class MappedExamples(Sequence[Encoded]):
    """Encoded examples of a folder that :func:`write_examples` wrote; their arrays are read-only.

    Args:
        folder: A sealed one; it may be removed while it is in use.

    Raises:
        Damaged: If it is anything else.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        columns, _ = read_columns(folder, check=False)
        lists = {name for name in columns if name + OFFSETS in columns}
        self._lists = {name: (columns[name], columns[name + OFFSETS]) for name in lists}
        self._numbers = {name: values for name, values in columns.items() if name not in lists}

    def __len__(self) -> int:
        return len(self._numbers["mass"])

    def __reduce__(self) -> tuple[object, ...]:
        return MappedExamples, (self.folder,)

    @overload
    def __getitem__(self, index: int) -> Encoded: ...

    @overload
    def __getitem__(self, index: slice) -> list[Encoded]: ...

    def __getitem__(self, index: int | slice) -> Encoded | list[Encoded]:
        """Return one example; of a slice, a list."""
        size = len(self)
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(size))]
        if not -size <= index < size:
            raise IndexError(f"Expected an example below {size}, but got {index}")
        at = index % size
        numbers = self._numbers
        found = {
            name: values[offsets[at] : offsets[at + 1]]
            for name, (values, offsets) in self._lists.items()
        }
        arrays: dict[str, dict[str, Array]] = {part: {} for part in _PARTS}
        for column, values in found.items():
            part, colon, name = column.partition(":")
            if colon:
                arrays[part][name] = values
        parts, end = [], 0
        for length in found["sizes"].tolist():
            parts.append(found["ids"][end : end + length])
            end += length
        windows = int(numbers["windows"][at])
        owners = found["branches"].tolist()
        return Encoded(
            documents=parts[:windows],
            part=found["part"],
            offset=found["offset"],
            targets=arrays["targets"],
            mass=float(numbers["mass"][at]),
            branches=[Branch(d, p) for d, p in zip(owners, parts[windows:], strict=True)],
            group=found["group"] if numbers["grouped"][at] else None,
            inputs=arrays["inputs"],
            extra=arrays["extra"],
        )

    @property
    def figures(self) -> dict[str, Array]:
        """Return what planning needs of each example, each of shape (n,).

        ``length``: tokens; ``reads``: positions; ``mass``, ``owner`` and ``key``.
        """
        sizes = {
            name: np.diff(self._lists[column][1]).astype(np.int32)
            for name, column in (("length", "ids"), ("reads", "part"))
        }
        return {**sizes, **{name: self._numbers[name] for name in ("mass", "owner", "key")}}
