"""The trunk and the heads as functions of plain tensors, for ONNX.

The trunk is run once, and its states are given to each head. Shapes: B texts, T tokens of the
longest, K * D states with those of inner layers beside them, C labels, V tokens of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from mtl.export.samples import Sample
from mtl.heads.base import Head
from mtl.heads.spans import SpanHead
from mtl.trunk import Trunk
from mtl.types import TrunkBatch

Reads = Literal["tokens", "mean", "last", "first"]
"""Whether a head has logits for each token, or for a text, of which states."""


class TrunkGraph(nn.Module):
    """Token ids and which are real to states, (B, T) to (B, T, K * D); padding is on the right."""

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the states; those of padding mean nothing."""
        trunk = self.trunk
        places = torch.arange(input_ids.shape[1], device=input_ids.device)
        zeros = torch.zeros_like(input_ids)
        batch = TrunkBatch(
            input_ids=input_ids,
            position_ids=places.expand_as(input_ids),
            unit=attention_mask - 1,
            segment=zeros,
            bidirectional=zeros + 1 > 0 if trunk.attention == "bidirectional" else zeros > 0,
            plain=False,
        )
        arguments = trunk.arguments(batch, None)
        dense = trunk.capabilities.share_rows
        arguments["attention_mask"] = trunk.dense_mask(batch) if dense else attention_mask
        two = trunk.architecture == "encoder-decoder"
        body = trunk.model.get_encoder() if two else trunk.model
        return trunk.beside(lambda: body(**arguments).last_hidden_state)


class HeadGraph(nn.Module):
    """States to logits: (B, T, C) of each token, or (B, C) of each text."""

    def __init__(self, head: Head, reads: Reads) -> None:
        super().__init__()
        self.head = head
        self.reads = reads

    def forward(self, states: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the logits."""
        if self.reads == "tokens":
            found = self._logits(states.flatten(0, 1))
            return found.unflatten(0, states.shape[:2])
        # Layers are picked of each state, before any are averaged.
        picked = self.head.picked(states.flatten(0, 1)).unflatten(0, states.shape[:2])
        real = attention_mask.to(picked.dtype)
        if self.reads == "mean":
            weights = real / real.sum(1, keepdim=True)
        elif self.reads == "first":
            weights = torch.cat([real[:, :1], torch.zeros_like(real[:, 1:])], dim=1)
        else:
            after = torch.cat([real[:, 1:], torch.zeros_like(real[:, :1])], dim=1)
            weights = real - after
        return self.head((weights[:, None] @ picked)[:, 0])

    def _logits(self, states: Tensor) -> Tensor:
        picked = self.head.picked(states)
        if isinstance(self.head, SpanHead):
            return self.head.score(picked, {})
        return self.head(picked)


def reads_of(asked: Sequence[Sample]) -> Reads | None:
    """Return which states of a text a task reads; None where it is none of the known ways.

    Args:
        asked: Rows of the task.
    """
    for one in asked:
        if one.example.branches or len(one.example.documents) != 1:
            return None
    if all(one.example.group is None for one in asked):
        return "tokens"
    if any(one.example.outputs != 1 for one in asked):
        return None
    ways: dict[Reads, list[bool]] = {"mean": [], "last": [], "first": []}
    for one in asked:
        size, offset = len(one.ids), one.example.offset
        ways["mean"].append(np.array_equal(offset, np.arange(size)))
        ways["last"].append(offset.tolist() == [size - 1])
        ways["first"].append(offset.tolist() == [0])
    return next((way for way, fits in ways.items() if all(fits)), None)
