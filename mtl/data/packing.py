"""Fit units into rows, and rows into trunk passes under a token budget.

One group is what must stay in one pass: the windows of a document with their branches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

Place = tuple[int, int]
"""(group, unit inside the group)."""


@dataclass(slots=True)
class _Pass:
    width: int
    free: list[int] = field(default_factory=list)
    rows: list[list[Place]] = field(default_factory=list)


def pack(groups: Sequence[Sequence[int]], budget: int, *, share: bool) -> list[list[list[Place]]]:
    """Return passes of rows of places.

    Longest first, each unit goes into the first row with room for it (first-fit decreasing); a
    row is as wide as the pass's longest unit. A pass is closed when one more row would take it
    over `budget`; a group that alone is over it has a pass of its own.

    Args:
        groups: Token counts of each group's units.
        budget: Most tokens of one pass, padding included.
        share: Whether a row may hold several units.
    """
    order = sorted(range(len(groups)), key=lambda g: (-max(groups[g]), g))
    passes: list[_Pass] = []
    for group in order:
        units = groups[group]
        if not passes or not _place(passes[-1], group, units, budget, share):
            passes.append(_Pass(width=max(units)))
            fits = _place(passes[-1], group, units, None, share)
            assert fits
    return [p.rows for p in passes]


def _place(into: _Pass, group: int, units: Sequence[int], budget: int | None, share: bool) -> bool:
    """Place all units of a group, or none of them; True if they were placed."""
    if not share and max(units) * 2 < into.width:
        return False  # Rows of very different lengths would be mostly padding.
    free = list(into.free)
    chosen = []
    for unit, size in enumerate(units):
        row = next((r for r, room in enumerate(free) if room >= size), None) if share else None
        if row is None:
            row = len(free)
            free.append(into.width)
        free[row] -= size
        chosen.append((row, (group, unit)))
    if budget is not None and into.rows and len(free) * into.width > budget:
        return False
    into.free = free
    into.rows.extend([] for _ in range(len(free) - len(into.rows)))
    for row, place in chosen:
        into.rows[row].append(place)
    return True
