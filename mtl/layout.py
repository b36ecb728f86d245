"""Place units (a document and its branches) in the rows of a trunk batch.

Here a unit is three numpy arrays; which units stand in which row is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from mtl.types import IntArray, TrunkBatch

_Slice = npt.NDArray[np.int64]


@dataclass(slots=True)
class Unit:
    """A document window and the branches that read it."""

    document: IntArray
    branches: list[IntArray] = field(default_factory=list)
    bidirectional: bool | None = None
    """Overrides the batch's direction for this unit's document."""

    def __len__(self) -> int:
        return len(self.document) + sum(map(len, self.branches))


@dataclass(slots=True)
class Layout:
    """A trunk batch, and where each unit starts in its flattened tokens, row by row."""

    batch: TrunkBatch
    starts: list[list[int]]


def build_rows(rows: Sequence[Sequence[Unit]], pad: int, *, bidirectional: bool) -> Layout:
    """Write units into rows, from the left.

    Args:
        rows: The units of each row.
        pad: Id that fills the rest of a row; masked, never read.
        bidirectional: Whether documents see all of themselves.

    Returns:
        The batch, B = len(rows), T = the fullest row's tokens; and each unit's first token as an
        index into (B * T). A unit's branches follow its document in order.
    """
    width = max(sum(map(len, row)) for row in rows)
    shape = (len(rows), width)
    ids = np.full(shape, pad, dtype=np.int64)
    position = np.zeros(shape, dtype=np.int64)
    unit = np.full(shape, -1, dtype=np.int64)
    segment = np.zeros(shape, dtype=np.int64)
    flags = np.zeros(shape, dtype=bool)
    starts: list[list[int]] = []
    plain = all(_is_plain(row, bidirectional) for row in rows)
    for r, row in enumerate(rows):
        column = 0
        starts.append([])
        for u, item in enumerate(row):
            end = column + len(item)
            starts[-1].append(r * width + column)
            unit[r, column:end] = u
            flags[r, column:end] = _is_bidirectional(item, bidirectional)
            _fill(item, ids[r, column:end], position[r, column:end], segment[r, column:end])
            column = end
        if plain:  # Positions run on through the padding, so that no reset is inferred.
            position[r, column:] = np.arange(column, width)
    batch = TrunkBatch(
        input_ids=torch.from_numpy(ids),
        position_ids=torch.from_numpy(position),
        unit=torch.from_numpy(unit),
        segment=torch.from_numpy(segment),
        bidirectional=torch.from_numpy(flags),
        plain=plain,
    )
    return Layout(batch, starts)


def _is_bidirectional(item: Unit, default: bool) -> bool:
    return default if item.bidirectional is None else item.bidirectional


def _is_plain(row: Sequence[Unit], bidirectional: bool) -> bool:
    return (
        len(row) == 1 and len(row[0].branches) <= 1 and not _is_bidirectional(row[0], bidirectional)
    )


def _fill(item: Unit, ids: _Slice, position: _Slice, segment: _Slice) -> None:
    """Write one unit into its slice of a row; branches continue from the document's end."""
    size = len(item.document)
    ids[:size] = item.document
    position[:size] = np.arange(size)
    at = size
    for number, branch in enumerate(item.branches, start=1):
        end = at + len(branch)
        ids[at:end] = branch
        position[at:end] = size + np.arange(len(branch))
        segment[at:end] = number
        at = end
