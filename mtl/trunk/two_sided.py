"""One pass of an encoder-decoder: documents through the encoder, branches through the decoder.

Shapes: B rows, T tokens a row, W the longest document part, N branches, L the longest of them,
D hidden.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from mtl.types import TrunkBatch

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True, slots=True)
class Branches:
    """The branches of a batch, each a row of the decoder."""

    flat: Tensor
    """(n,) where each branch token stands in the batch's flattened (B * T) tokens."""
    branch: Tensor
    """(n,) its branch."""
    offset: Tensor
    """(n,) its place in the branch."""
    first: Tensor
    """(N,) where each branch starts among the flattened tokens."""

    @property
    def shape(self) -> tuple[int, int]:
        """N and L."""
        return len(self.first), int(self.offset.max()) + 1


def branches_of(batch: TrunkBatch) -> Branches:
    """Find the branches of a batch: runs of tokens of one row, unit and segment above 0."""
    unit, segment = batch.unit.flatten(), batch.segment.flatten()
    row = torch.arange(len(unit), device=unit.device) // batch.unit.shape[1]
    flat = torch.nonzero(segment > 0)[:, 0]
    key = torch.stack([row[flat], unit[flat], segment[flat]])
    new = torch.ones(len(flat), dtype=torch.bool, device=flat.device)
    new[1:] = (key[:, 1:] != key[:, :-1]).any(0)
    branch = new.cumsum(0) - 1
    first = flat[new]
    return Branches(flat, branch, flat - first[branch], first)


def documents_of(batch: TrunkBatch) -> TrunkBatch:
    """Return a batch without its branches, as wide as its longest document part."""
    document = (batch.segment == 0) & (batch.unit >= 0)
    width = int(torch.nonzero(document.any(0)).max()) + 1
    unit = batch.unit.masked_fill(~document, -1)
    segment = batch.segment.masked_fill(~document, 0)
    return replace(batch, unit=unit, segment=segment).each(lambda values: values[:, :width])


def run(
    model: PreTrainedModel, batch: TrunkBatch, encode: Callable[[TrunkBatch], Tensor], pad: int
) -> Tensor:
    """Return (B * T, D) states: the encoder's for documents, the decoder's for branches.

    Args:
        model: A Hugging Face encoder-decoder.
        batch: The rows.
        encode: Runs the encoder on a batch of documents; returns (B, W, D).
        pad: Id that fills the decoder's rows.
    """
    if not bool((batch.segment > 0).any()):
        return encode(batch).flatten(0, 1)
    documents = documents_of(batch)
    states = encode(documents)
    found = branches_of(batch)
    length = batch.unit.shape[1]
    rows = found.first // length
    ids = batch.input_ids.new_full(found.shape, pad)
    ids[found.branch, found.offset] = batch.input_ids.flatten()[found.flat]
    real = torch.zeros_like(ids)
    real[found.branch, found.offset] = 1
    unit = batch.unit.flatten()[found.first]
    decoded = model.get_decoder()(
        input_ids=ids,
        attention_mask=real,
        encoder_hidden_states=states[rows],
        encoder_attention_mask=(documents.unit[rows] == unit[:, None]).long(),
        use_cache=False,
    ).last_hidden_state
    hidden = F.pad(states, (0, 0, 0, length - states.shape[1])).flatten(0, 1)
    return hidden.index_copy(0, found.flat, decoded[found.branch, found.offset].to(hidden.dtype))
