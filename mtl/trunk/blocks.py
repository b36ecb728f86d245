"""A pass without padding: tokens stand in one row, and attend in blocks.

Shapes: N real tokens of a batch of (B, T), H heads, D a head's size.

What a transformer does to each token alone (its matrices, norms and activations) costs the same
wherever the token stands, so padding is left out there. Only attention needs to know what stands
together: it runs block by block, where a block is a unit, or a few short ones behind each other. So
no query is compared with a key of another block, and a causal unit of one branch needs no mask.

On a GPU many small attentions are slower than one with a mask; this is for CPUs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from mtl.trunk.masks import additive, visible
from mtl.types import TrunkBatch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAME = "mtl_blocks"
"""What transformers knows this attention by."""
FEWEST = 64
"""Tokens up to which units share a block: below them a call costs more than it computes."""


@dataclass(frozen=True, slots=True)
class Block:
    """Tokens that attend to each other."""

    size: int
    mask: Tensor | None
    """(1, 1, size, size), added to the scores; None where all or what came before is seen."""
    causal: bool
    """Without a mask: whether a token sees only what came before it."""


class BlockMask(Tensor):
    """A mask of four dimensions that stands for blocks: models hand such a mask on as it is."""

    blocks: list[Block]

    @classmethod
    def of(cls, blocks: list[Block]) -> BlockMask:
        """Return a mask of integers, which nothing casts to another type."""
        mask = torch.zeros(1, 1, 1, 1, dtype=torch.int8).as_subclass(cls)
        mask.blocks = blocks
        return mask


@dataclass(frozen=True, slots=True)
class Flat:
    """A batch's real tokens."""

    places: Tensor
    """(N,) where they stand among the flattened (B * T)."""
    tokens: TrunkBatch
    """The tokens in one row, (1, N); no two units share a number."""
    blocks: list[Block]


def flatten(
    batch: TrunkBatch, dtype: torch.dtype, *, causal: bool, window: int | None = None
) -> Flat:
    """Return where a batch's real tokens stand, and what attends to what.

    Args:
        batch: The rows.
        dtype: Of masks.
        causal: Whether the trunk is a decoder; what an encoder reads sees all of itself.
        window: As for :func:`mtl.trunk.masks.visible`.
    """
    width = batch.unit.shape[1]
    places = (batch.unit.flatten() >= 0).nonzero().squeeze(1)
    tokens = batch.each(lambda values: values.flatten()[places][None])
    tokens.unit += places // width * width  # No two rows share a unit's number.
    if not causal:
        tokens.bidirectional = torch.ones_like(tokens.bidirectional)
    sizes = torch.unique_consecutive(tokens.unit, return_counts=True)[1].tolist()
    blocks, at = [], 0
    for units in _together(sizes):
        cut = slice(at, at + sum(units))
        part = tokens.each(lambda values, cut=cut: values[:, cut])  # type: ignore[misc]
        blocks.append(_block(part, len(units), dtype, causal, window))
        at = cut.stop
    return Flat(places, tokens, blocks)


def _together(sizes: list[int]) -> list[list[int]]:
    """Put short units that follow each other together."""
    found: list[list[int]] = []
    for size in sizes:
        if found and sum(found[-1]) + size <= FEWEST:
            found[-1].append(size)
        else:
            found.append([size])
    return found


def _block(
    part: TrunkBatch, units: int, dtype: torch.dtype, causal: bool, window: int | None
) -> Block:
    size = part.unit.shape[1]
    if units == 1 and window is None:
        bidirectional = part.bidirectional
        if bool(bidirectional.all()) and not bool(part.segment.any()):
            return Block(size, None, causal=False)
        if not bool(bidirectional.any()) and int(part.segment.max()) <= 1:
            return Block(size, None, causal=True)
    seen = visible(part, causal_branches=causal, window=window)
    return Block(size, additive(seen, dtype), causal=False)


def attend_in_blocks(
    model: PreTrainedModel, blocks: list[Block], arguments: dict[str, object]
) -> Tensor:
    """Run a model that :func:`let_attend` was told of on one row of blocks; returns (N, D).

    The arguments are those of the model's forward, all but the mask.
    """
    mask = BlockMask.of(blocks)
    states: Tensor = model(**arguments, attention_mask=mask).last_hidden_state
    return states[0]


def let_attend(model: PreTrainedModel) -> bool:
    """Let a model attend in blocks where a pass has them; returns whether it can.

    Only where its attention is PyTorch's fused one, through transformers' interface.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    if getattr(model.config, "_attn_implementation", None) != "sdpa":
        return False
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    try:
        model.set_attn_implementation(NAME)
    except ValueError:
        return False
    return bool(model.config._attn_implementation == NAME)


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **options: object,
) -> tuple[Tensor, None]:
    """Do what transformers' `sdpa` does, in blocks where the mask is a :class:`BlockMask`.

    Queries, and as many keys and values or fewer, are (B, H, T, D) and become (B, T, H, D); with
    blocks (1, H, N, D) and (1, N, H, D).
    """
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if not isinstance(attention_mask, BlockMask):
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    blocks = attention_mask.blocks
    sizes = [block.size for block in blocks]
    # Split, not sliced: the gradient of a slice is as large as what it was taken from.
    parts = zip(*(x.split(sizes, dim=2) for x in (query, key, value)), strict=True)
    options.pop("is_causal", None)
    found = [
        sdpa_attention_forward(module, *qkv, block.mask, is_causal=block.causal, **options)[0]
        for qkv, block in zip(parts, blocks, strict=True)
    ]
    return torch.cat(found, dim=1), None
