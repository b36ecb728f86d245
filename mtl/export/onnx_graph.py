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

from mtl.export.samples import Sample, lines
from mtl.heads.base import Head
from mtl.heads.spans import PointerSpanHead, SpanHead
from mtl.trunk import Trunk
from mtl.types import TrunkBatch

Reads = Literal["tokens", "question", "mean", "beside", "last", "first"]
"""Whether a head has logits for each token, perhaps by what is asked behind the text; or for a
text, of which states: the mean of all, or of those beside the text, the last or the first one."""


class TrunkGraph(nn.Module):
    """Token ids and which are real to states, (B, T) to (B, T, K * D); padding is on the right.

    A text may have others behind it, such as questions; each sees the text and itself.
    """

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """Return the states; those of padding mean nothing.

        Args:
            input_ids: (B, T).
            attention_mask: (B, T) 1 for real tokens, else 0.
            token_type_ids: (B, T) 0 for the text, 1 for what stands behind it, 2 for the next.
        """
        trunk = self.trunk
        zeros = torch.zeros_like(input_ids)
        places = torch.arange(input_ids.shape[1], device=input_ids.device).expand_as(input_ids)
        if token_type_ids is not None:
            places = _places(places, attention_mask, token_type_ids)
        batch = TrunkBatch(
            input_ids=input_ids,
            position_ids=places,
            unit=attention_mask - 1,
            segment=zeros if token_type_ids is None else token_type_ids,
            bidirectional=zeros + 1 > 0 if trunk.attention == "bidirectional" else zeros > 0,
            plain=False,
        )
        arguments = trunk.arguments(batch, None)
        dense = trunk.capabilities.share_rows
        arguments["attention_mask"] = trunk.dense_mask(batch) if dense else attention_mask
        two = trunk.architecture == "encoder-decoder"
        body = trunk.model.get_encoder() if two else trunk.model
        return trunk.beside(lambda: body(**arguments).last_hidden_state)


def _places(order: Tensor, real: Tensor, segment: Tensor) -> Tensor:
    """Return (B, T) positions: what stands behind a text goes on from the text's end."""
    same = segment[:, :, None] == segment[:, None, :]
    earlier = order[:, :, None] >= order[:, None, :]
    own = (same & earlier).sum(-1) - 1
    size = ((segment == 0) & (real > 0)).sum(1, keepdim=True)
    return own + torch.where(segment > 0, size, 0)


class HeadGraph(nn.Module):
    """States to logits: (B, T, C) of each token, or (B, C) of each text."""

    def __init__(self, head: Head, reads: Reads) -> None:
        super().__init__()
        self.head = head
        self.reads = reads

    def forward(
        self, states: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """Return the logits; of a question, those of its last token are of "no answer here"."""
        if self.reads == "tokens":
            found = self._logits(states.flatten(0, 1))
            return found.unflatten(0, states.shape[:2])
        # Layers are picked of each state, before any are averaged.
        picked = self.head.picked(states.flatten(0, 1)).unflatten(0, states.shape[:2])
        weights = self._weights(attention_mask.to(picked.dtype), token_type_ids)
        pooled = (weights[:, None] @ picked)[:, 0]
        if self.reads != "question":
            return self.head(pooled)
        assert isinstance(self.head, PointerSpanHead)
        pointed, null = self.head.point(picked, pooled)
        return torch.where(weights[..., None] > 0, null[:, None], pointed)

    def _weights(self, real: Tensor, beside: Tensor | None) -> Tensor:
        """Return (B, T) shares of the states that are averaged."""
        if self.reads in ("mean", "beside"):
            read = real if beside is None else real * beside.to(real.dtype)
            return read / read.sum(1, keepdim=True)
        if self.reads == "first":
            return torch.cat([real[:, :1], torch.zeros_like(real[:, 1:])], dim=1)
        return real - torch.cat([real[:, 1:], torch.zeros_like(real[:, :1])], dim=1)

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
    found = [line for one in asked for line in lines(one)]
    if all(one.example.group is None for one in asked):
        if any(len(lines(one)) != 1 for one in asked):
            return None
        return "question" if any(line.beside.any() for line in found) else "tokens"
    ways: dict[Reads, list[bool]] = {"mean": [], "beside": [], "last": [], "first": []}
    for line in found:
        size = len(line.ids)
        ways["mean"].append(np.array_equal(line.places, np.arange(size)))
        ways["beside"].append(np.array_equal(line.places, np.flatnonzero(line.beside)))
        ways["last"].append(line.places.tolist() == [size - 1])
        ways["first"].append(line.places.tolist() == [0])
    fits = (way for way, all_of in ways.items() if all(all_of))
    return next(fits, None) if all(len(line.logits) == 1 for line in found) else None
