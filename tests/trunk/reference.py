"""Who sees whom, one pair of tokens at a time, from the design's words alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Place:
    """Where a token stands: its unit, its branch (0 is the document), its position in reading."""

    unit: int
    branch: int
    position: int
    bidirectional: bool


def sees(
    query: Place | None, key: Place | None, *, causal_branches: bool, window: int | None
) -> bool:
    """Say whether `query` may attend to `key`; None is padding."""
    if query is None or key is None:
        return query is None and key is None
    if query.unit != key.unit:
        return False
    if key.branch not in (0, query.branch):
        return False  # Another branch, or a branch as seen from the document.
    if window is not None and abs(query.position - key.position) >= window:
        return False
    if key.position <= query.position:
        return True
    if query.branch == 0:
        return query.bidirectional
    return query.bidirectional and not causal_branches


def slow_visible(
    rows: list[list[Place | None]], *, causal_branches: bool = True, window: int | None = None
) -> Tensor:
    """Return (B, T, T) booleans for B rows of T places."""
    width = len(rows[0])
    answer = torch.zeros(len(rows), width, width, dtype=torch.bool)
    for r, row in enumerate(rows):
        for q, query in enumerate(row):
            for k, key in enumerate(row):
                answer[r, q, k] = sees(query, key, causal_branches=causal_branches, window=window)
    return answer
