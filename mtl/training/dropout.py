"""Dropout whose random numbers are cheap on a CPU.

PyTorch draws one Bernoulli number an element there, from a serial generator, while everything
around it runs on all cores; and its fused attention has no dropout. Here one 64-bit number of the
same generator decides on four elements, 16 bits each, so a rate is kept to 1 / 65536.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

TORCH_DROPOUT, TORCH_ATTENTION = F.dropout, F.scaled_dot_product_attention
PARTS = 4
"""Elements that one random number decides on."""
RANGE = 1 << 16
FEW = 1 << 20
"""Weights of an attention that are kept for its gradient; more are computed again."""


@contextmanager
def cheap_dropout(device: torch.device) -> Iterator[None]:
    """Let dropout on a CPU be ours, whichever module of whichever model asks for it.

    Nothing of a model is replaced, so what is saved of it stays the same. For a whole step,
    backward too: activations that are computed again there must draw what they drew before. (A
    TorchFunctionMode is off in it.)

    Args:
        device: Where the model lies; on others nothing changes.
    """
    ours = OURS if device.type == "cpu" else {}
    theirs = {name: getattr(F, name) for name in ours}
    try:
        for name, function in ours.items():
            setattr(F, name, function)
        yield
    finally:
        for name, function in theirs.items():
            setattr(F, name, function)


def noise(shape: Sequence[int], rate: float, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return factors on the CPU: 0 with probability `rate`, else ``1 / (1 - rate)``.

    They depend on the state of PyTorch's generator and nothing else.
    """
    return kept(shape, rate).to(dtype).mul_(1 / (1 - rate))


def kept(shape: Sequence[int], rate: float) -> Tensor:
    """Return 0 with probability `rate`, else 1, as numbers of 16 bits on the CPU."""
    count = prod(shape)
    drawn = torch.empty(-(-count // PARTS), dtype=torch.int64).random_(-(1 << 63), None)
    # Compared in place: a boolean result takes ten times as long.
    least = min(round(rate * RANGE), RANGE - 1) - RANGE // 2
    return drawn.view(torch.int16)[:count].ge_(least).view(torch.Size(shape))


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Set elements to zero with probability `p`, and scale the others by ``1 / (1 - p)``."""
    if not training or not 0.0 < p < 1.0 or input.device.type != "cpu":
        return TORCH_DROPOUT(input, p, training, inplace)
    factors = noise(input.shape, p, input.dtype)
    return input.mul_(factors) if inplace else input * factors


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Return what PyTorch's attention does, but for how dropout is drawn; (..., H, T, V).

    A query that sees nothing gets the mean of all values; PyTorch gives zeros.

    Args:
        query: (..., H, T, D).
        key: (..., H or fewer, S, D).
        value: (..., H or fewer, S, V).
        attn_mask: Added to the scores, or boolean and true where a key is seen; broadcast to
            (..., H, T, S).
        dropout_p: Rate of the weights.
        is_causal: Whether query t sees the keys up to t, where there is no mask.
        scale: Of the scores; ``1 / sqrt(D)`` when None.
        enable_gqa: Whether several queries' heads may share one of the keys' and values'.
    """
    ours = 0.0 < dropout_p < 1.0 and query.device.type == "cpu" and query.dtype == torch.float32
    if not ours or torch.is_autocast_enabled("cpu") or (is_causal and attn_mask is not None):
        return TORCH_ATTENTION(
            query,
            key,
            value,
            attn_mask,
            dropout_p,
            is_causal,
            scale=scale,
            enable_gqa=enable_gqa,
        )
    if enable_gqa:
        groups = query.shape[-3] // key.shape[-3]
        key, value = key.repeat_interleave(groups, -3), value.repeat_interleave(groups, -3)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    query = query * scale
    if is_causal:
        attn_mask = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool).tril()
    if attn_mask is None or not attn_mask.requires_grad:
        found: Tensor = _Attention.apply(query, key, value, attn_mask, dropout_p)
        return found
    weights = _masked(query @ key.transpose(-1, -2), attn_mask).softmax(-1)
    return (weights * noise(weights.shape, dropout_p)) @ value


class _Attention(torch.autograd.Function):
    """Attention that keeps which of its weights were dropped, and of few of them their values.

    The graph of its four steps would keep three numbers of 32 bits a weight, which with windows of
    512 tokens is most of what a pass keeps. This keeps one of 16, and computes many weights again.
    """

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, rate: float
    ) -> Tensor:
        weights = _masked(query @ key.transpose(-1, -2), mask).softmax(-1)
        left = kept(weights.shape, rate)
        few = weights if weights.numel() <= FEW else None
        ctx.save_for_backward(query, key, value, mask, left, few)
        ctx.scale = 1 / (1 - rate)
        return left.to(weights.dtype, copy=True).mul_(weights) @ value * ctx.scale

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, mask, left, weights = ctx.saved_tensors
        if weights is None:
            weights = _masked(query @ key.transpose(-1, -2), mask).softmax(-1)
        slope = grads[0] * ctx.scale
        dropped = left.to(weights.dtype, copy=True).mul_(weights)
        values = dropped.transpose(-1, -2) @ slope
        # Of a softmax: w * (g - sum(g * w)).
        scores = (slope @ value.transpose(-1, -2)).mul_(dropped)
        scores.addcmul_(weights, scores.sum(-1, keepdim=True), value=-1)
        keys = scores.transpose(-1, -2) @ query
        return scores @ key, keys, values, None, None


def _masked(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Return scores with what a query does not see pushed down, never so far that none is left."""
    if mask is None:
        return scores
    least = torch.finfo(scores.dtype).min
    if mask.dtype == torch.bool:
        return scores.masked_fill(~mask, least)
    return scores + mask.clamp_min(least)


OURS: dict[str, Callable[..., Any]] = {
    "dropout": dropout,
    "scaled_dot_product_attention": attention,
}
"""What stands for functions of :mod:`torch.nn.functional`."""
