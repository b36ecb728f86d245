"""Steps whose hidden states are cached: read from a column on disk, in place of a trunk pass.

What is kept are the states that heads read, as they read them: those of positions once a document,
however many examples and tasks read it, and means of positions as one row each. A step has the
micro-batches that it would have had, with the same examples in the same order, so that a head
draws the same dropout.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mtl.data.collate import Collator, Group, Pair, Read, Readers, head_batch
from mtl.data.columns import Column, file_of
from mtl.data.packing import Place
from mtl.data.store import ExampleStore
from mtl.types import Array, CachedStates, Encoded, IntArray, MicroBatch

STATES = "states"
DTYPES = {name: getattr(torch, name) for name in ("float32", "float16", "bfloat16", "float64")}


Places = list[list[IntArray]]
"""By task number and example: (G,) rows among cached states where its outputs' stand."""


def places(collator: Collator, groups: Sequence[Sequence[Pair]]) -> tuple[Places, int]:
    """Give all states that are read a row, group after group; returns how many rows there are, too.

    The groups have each example once, with others that read its document.
    """
    nothing = np.zeros(0, dtype=np.int32)
    found = [[nothing] * len(store) for store in collator.stores]
    count = 0
    for part in collator.separate(groups):
        count += _place(collator.merge(part), found, count)
    return found, count


def _place(group: Group, found: Places, first: int) -> int:
    """Number a group's rows from `first` on; returns how many it has."""
    starts = np.cumsum([0, *map(len, group.units)])
    count = 0
    single: list[Pair] = []
    tokens: list[np.ndarray] = []
    for (task, index), example, parts in group.members:
        if example.group is not None:
            rows = np.arange(first + count, first + count + example.outputs)
            found[task][index] = rows.astype(np.int32)
            count += example.outputs
            continue
        at = np.asarray([starts[unit] + inside for unit, inside in parts], dtype=np.int64)
        single.append((task, index))
        tokens.append(at[example.part] + example.offset)
    if single:
        unique, place = np.unique(np.concatenate(tokens), return_inverse=True)
        cuts = np.cumsum([len(t) for t in tokens])[:-1]
        for (task, index), rows in zip(single, np.split(place, cuts), strict=True):
            found[task][index] = (first + count + rows).astype(np.int32)
        count += len(unique)
    return count


class StateWriter:
    """An entry of states (rows, D) that is being written, by several processes at once."""

    def __init__(self, rows: int, width: int, dtype: torch.dtype) -> None:
        self.dtype = dtype
        # NumPy has no bfloat16, and a copy need not know what it copies.
        self.column = Column(f"int{8 * dtype.itemsize}", (rows, width))

    @property
    def about(self) -> dict[str, str]:
        """What is to be read with the column."""
        return {"dtype": str(self.dtype).removeprefix("torch.")}

    def create(self, folder: Path) -> None:
        """Make the file, with room for all rows where the system can promise it.

        Raises:
            OSError: If there is no room, or no right to write.
        """
        with file_of(folder, STATES).open("xb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, self.column.size)
            file.truncate(self.column.size)

    def write(self, folder: Path, rows: IntArray, states: Tensor) -> None:
        """Write some rows.

        Args:
            folder: Where the file is.
            rows: (n,) their numbers, in any order; one that occurs twice has the same states.
            states: (n, D).

        Raises:
            OSError: If the disk is full.
        """
        order, first = np.unique(rows, return_index=True)
        values = states.detach().cpu()[torch.from_numpy(first)].contiguous()
        plain = values.view(torch.uint8).numpy()
        step = self.column.shape[1] * self.dtype.itemsize
        cuts = np.flatnonzero(np.diff(order) != 1) + 1
        with file_of(folder, STATES).open("r+b") as file:
            for numbers, part in zip(np.split(order, cuts), np.split(plain, cuts), strict=True):
                if len(numbers):
                    file.seek(int(numbers[0]) * step)
                    file.write(part.data)


class States:
    """The states of an entry that :class:`StateWriter` wrote."""

    def __init__(self, columns: Mapping[str, Array], about: Mapping[str, object]) -> None:
        self._rows = columns[STATES]
        self.dtype = DTYPES[str(about["dtype"])]

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, rows: IntArray) -> Tensor:
        """Return a copy of some rows, shape (len(rows), D)."""
        return torch.from_numpy(np.take(self._rows, rows, axis=0)).view(self.dtype)


class CachedStatesCollator(Collator):
    """Builds the micro-batches that `collator` would, of cached states of the same examples."""

    def __init__(self, collator: Collator, states: States, at: Places) -> None:
        super().__init__(collator.stores, collator.budget, collator.sharing)
        self.states = states
        self.at = at

    def micro_batch(
        self,
        groups: Sequence[Group],
        rows: Sequence[Sequence[Place]],
        readers: Readers | None = None,
    ) -> MicroBatch:
        """Return one pass, without any token in it; no document can be kept from it."""
        assert not readers
        chosen = [groups[g] for g in sorted({g for row in rows for g, _ in row})]
        members = [(*pair, example) for group in chosen for pair, example, _ in group.members]
        reads: dict[int, list[Read]] = {}
        places: list[IntArray] = []
        first = 0
        for task, index, example in sorted(members, key=lambda member: member[0]):
            places.append(self.at[task][index])
            positions = np.arange(first, first + len(places[-1]))
            reads.setdefault(task, []).append((positions, index, example))
            first += len(positions)
        heads = {self.stores[t].task: head_batch(read, pooled=True) for t, read in reads.items()}
        tokens = sum(len(groups[g].units[u]) for row in rows for g, u in row)
        states = self.states.read(np.concatenate(places))
        return MicroBatch(CachedStates(states, tokens), heads)


def fingerprint(stores: Sequence[ExampleStore]) -> str:
    """Return a digest of all that decides which states are read, and from what tokens."""
    found = hashlib.blake2b(digest_size=16)
    for store in stores:
        found.update(f"{len(store)} {store.bidirectional}\n".encode())
        for index in range(len(store)):
            for array in _arrays(store.examples[index]):
                found.update(len(array).to_bytes(4, "little"))
                found.update(np.ascontiguousarray(array, dtype=np.int32).tobytes())
    return found.hexdigest()


def _arrays(example: Encoded) -> list[IntArray]:
    counts = np.asarray([len(example.documents), len(example.branches)], dtype=np.int32)
    owners = np.asarray([b.document for b in example.branches], dtype=np.int32)
    groups = [] if example.group is None else [example.group]
    ids = [*example.documents, *(b.ids for b in example.branches)]
    return [counts, owners, *ids, example.part, example.offset, *groups]
