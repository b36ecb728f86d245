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

WIDER = 4
"""How many tokens wider than its longest unit a pass's rows may be, where that saves padding."""


@dataclass(slots=True)
class _Pass:
    width: int
    budget: int
    free: list[int] = field(default_factory=list)
    """Room left in each row."""
    room: int = 0
    """The most that any row has left."""
    rows: list[list[Place]] = field(default_factory=list)

    @property
    def tokens(self) -> int:
        """Of all rows, padding to the fullest one included."""
        return len(self.free) * (self.width - min(self.free))


def pack(groups: Sequence[Sequence[int]], budget: int, *, share: bool) -> list[list[list[Place]]]:
    """Return passes of rows of places.

    Longest first, each unit goes into the first row with room for it (first-fit decreasing), in
    the first of the last few passes that has such a row or may have one more without going over
    `budget`. A row is as wide as its pass's longest unit, or a few tokens wider where the pass then
    has fewer tokens, padding included; a group that alone is over the budget has a pass of its own.

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
    return [(_widened(p, groups) if share else p).rows for p in passes]


def _widened(narrow: _Pass, groups: Sequence[Sequence[int]]) -> _Pass:
    """Return a pass of the same groups in rows a little wider, if those are fewer tokens.

    It depends on the pass alone, so that a pass can be built again from its groups.
    """
    members = list(dict.fromkeys(group for row in narrow.rows for group, _ in row))
    members.sort(key=lambda g: (-max(groups[g]), g))
    best = narrow
    for width in range(narrow.width + 1, narrow.width + WIDER + 1):
        wider = _Pass(width, narrow.budget)
        if all(_place(wider, group, groups[group], True) for group in members):
            best = min(best, wider, key=lambda p: p.tokens)
    return best


def _place(into: _Pass, group: int, units: Sequence[int], share: bool) -> bool:
    """Place all units of a group, or none of them; True if they were placed."""
    longest = max(units)
    if not share and longest * 2 < into.width:
        return False  # Rows of very different lengths would be mostly padding.
    full = (len(into.free) + 1) * into.width > into.budget
    if into.rows and full and (not share or longest > into.room):
        return False
    free = list(into.free)
    chosen = []
    for unit, size in enumerate(units):
        row = next((r for r, room in enumerate(free) if room >= size), None) if share else None
        if row is None:
            row = len(free)
            free.append(into.width)
        free[row] -= size
        chosen.append((row, (group, unit)))
    if into.rows and len(free) * into.width > into.budget:
        return False
    into.free, into.room = free, max(free)
    into.rows.extend([] for _ in range(len(free) - len(into.rows)))
    for row, place in chosen:
        into.rows[row].append(place)
    return True
