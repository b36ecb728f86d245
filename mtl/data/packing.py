"""Fit units into rows, and rows into trunk passes under a token budget.

One group is what must stay in one pass: the windows of a document with their branches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

Place = tuple[int, int]
"""(group, unit inside the group)."""

OPEN = 8
"""How many passes short units may still fall into; more pack little better and take longer."""


@dataclass(slots=True)
class _Pass:
    width: int
    budget: int
    free: list[int] = field(default_factory=list)
    """Room left in each row."""
    room: int = 0
    """The most that any row has left."""
    rows: list[list[Place]] = field(default_factory=list)


def pack(groups: Sequence[Sequence[int]], budget: int, *, share: bool) -> list[list[list[Place]]]:
    """Return passes of rows of places.

    Longest first, each unit goes into the first row with room for it (first-fit decreasing), in
    the first of the last few passes that has such a row or may have one more without going over
    `budget`. A row is as wide as its pass's longest unit; a group that alone is over the budget
    has a pass of its own, which is run a part at a time (:mod:`mtl.training.parts`).

    Args:
        groups: Token counts of each group's units.
        budget: Most tokens of one pass, padding included.
        share: Whether a row may hold several units.
    """
    order = sorted(range(len(groups)), key=lambda g: (-max(groups[g]), g))
    passes: list[_Pass] = []
    for group in order:
        units = groups[group]
        if not any(_place(p, group, units, share) for p in passes[-OPEN:]):
            passes.append(_Pass(width=max(units), budget=budget))
            fits = _place(passes[-1], group, units, share)
            assert fits
    return [p.rows for p in passes]


def _place(into: _Pass, group: int, units: Sequence[int], share: bool) -> bool:
    """Place all units of a group, or none of them; True if they were placed."""
    longest = max(units)
    if not share and longest * 2 < into.width:
        return False  # Rows of very different lengths would be mostly padding.
    full = (len(into.free) + 1) * into.width > into.budget
    if into.rows and full and (not share or longest > into.room):
        return False
    free, most = list(into.free), into.room
    chosen = []
    for unit, size in enumerate(units):
        if share and free and most >= size:
            row = next(r for r, room in enumerate(free) if room >= size)
            free[row] -= size
            most = max(free)
        else:
            row = len(free)
            free.append(into.width - size)
            most = max(most, free[row])
        chosen.append((row, (group, unit)))
    if into.rows and len(free) * into.width > into.budget:
        return False
    into.free, into.room = free, most
    into.rows.extend([] for _ in range(len(free) - len(into.rows)))
    for row, place in chosen:
        into.rows[row].append(place)
    return True
