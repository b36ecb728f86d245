"""The one function that says which token may see which.

Shapes: B rows, T tokens a row.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mtl.types import TrunkBatch


def visible(
    batch: TrunkBatch, *, causal_branches: bool = True, window: int | None = None
) -> Tensor:
    """Return who sees whom: a boolean tensor (B, T, T), queries on the second axis.

    A token sees its own unit only. There it sees the document (up to itself where the document
    is causal and the token part of it) and its own branch, never another branch. Padding sees
    padding, so that no row of the softmax is empty.

    Args:
        batch: The rows.
        causal_branches: Whether a branch token sees only what came before it in its branch;
            False for encoders, which are bidirectional everywhere.
        window: Sliding window in *position ids*: a token sees less than this many positions back
            (and, under bidirectional attention, forward).
    """
    unit, segment, position = batch.unit, batch.segment, batch.position_ids
    same_unit = unit[:, :, None] == unit[:, None, :]
    key_in_document = (segment == 0)[:, None, :]
    same_segment = segment[:, :, None] == segment[:, None, :]
    before = position[:, None, :] <= position[:, :, None]
    query_in_document = (segment == 0)[:, :, None]
    if causal_branches:
        bidirectional = query_in_document & batch.bidirectional[:, :, None]
    else:
        bidirectional = batch.bidirectional[:, :, None]
    allowed = same_unit & (key_in_document | same_segment) & (before | bidirectional)
    if window is not None:
        distance = (position[:, :, None] - position[:, None, :]).abs()
        allowed &= distance < window
    return allowed


def additive(allowed: Tensor, dtype: torch.dtype) -> Tensor:
    """Turn (B, T, T) permissions into the float mask (B, 1, T, T) that is added to the scores.

    A float mask is right under SDPA and under eager attention; a boolean one is silently wrong
    under eager.
    """
    mask = torch.zeros(allowed.shape, dtype=dtype, device=allowed.device)
    return mask.masked_fill_(~allowed, torch.finfo(dtype).min)[:, None]
