"""Steps whose hidden states are known already: from a table on disk, in place of a trunk pass.

What is kept are the states that heads read, as they read them: those of positions once a document,
however many examples and tasks read it, and means of positions as one row each. A step has the
micro-batches that it would have had, with the same examples in the same order, so that a head
draws the same dropout.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mtl.data.collate import Collator, Group, Pair, Pass, Readers, Reads, head_batch
from mtl.data.store import ExampleStore
from mtl.data.table import Table
from mtl.types import CachedStates, Encoded, IntArray, MicroBatch


@dataclass(frozen=True, slots=True)
class Places:
    """Where the states of every example's outputs stand in a table."""

    rows: list[list[IntArray]]
    """By task number and example: (G,) rows of its outputs."""
    count: int
    """Rows of the table."""


def places(collator: Collator, groups: Sequence[Sequence[Pair]]) -> Places:
    """Give all states that are read a row, group after group.

    Args:
        collator: Of the examples.
        groups: Each example once, with others that read its document.
    """
    nothing = np.zeros(0, dtype=np.int32)
    found = [[nothing] * len(store) for store in collator.stores]
    count = 0
    for part in collator.separate(groups):
        count += _place(collator.merge(part), found, count)
    return Places(found, count)


def _place(group: Group, found: list[list[IntArray]], first: int) -> int:
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


class KnownCollator(Collator):
    """Builds the micro-batches that `collator` would, of known states.

    Args:
        collator: Of the same examples.
        table: The states.
        at: Where each example's are in it.
    """

    def __init__(self, collator: Collator, table: Table, at: Places) -> None:
        super().__init__(collator.stores, collator.budget, collator.sharing)
        self.table = table
        self.at = at

    def micro_batch(self, chosen: Pass, readers: Readers | None = None) -> MicroBatch:
        """Return one pass, without any token in it; no document can be kept from it."""
        assert not readers
        groups, rows = chosen.groups, chosen.rows
        reads: dict[int, Reads] = {}
        wanted: dict[int, list[IntArray]] = {}
        for g in sorted({g for row in rows for g, _ in row}):
            for (task, index), example, _ in groups[g].members:
                reads.setdefault(task, Reads()).examples.append((index, example))
                wanted.setdefault(task, []).append(self.at.rows[task][index])
        heads, first = {}, 0
        places: list[IntArray] = []
        for task in sorted(reads):
            places += wanted[task]
            size = sum(map(len, wanted[task]))
            reads[task].positions = [np.arange(first, first + size)]
            heads[self.stores[task].task] = head_batch(reads[task], pooled=True)
            first += size
        tokens = sum(len(groups[g].units[u]) for row in rows for g, u in row)
        states = self.table.read(np.concatenate(places))
        return MicroBatch(CachedStates(states, tokens), heads)


def fingerprint(stores: Sequence[ExampleStore], limit: int | None = None) -> str:
    """Return a digest of all that decides which states are read, and from what tokens.

    Args:
        stores: Examples, a store a task.
        limit: Only the first so many of each count.
    """
    found = hashlib.blake2b(digest_size=16)
    for store in stores:
        count = len(store) if limit is None else min(limit, len(store))
        found.update(f"{count} {store.bidirectional}\n".encode())
        for index in range(count):
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
