"""Parts of packed rows, each run alone through the model's own forward: the reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mtl.layout import Unit
from mtl.types import IntArray


def native(model: Any, *parts: IntArray) -> Tensor:
    """Return the states (n, D) of some parts joined into one text: no mask, no positions."""
    ids = torch.cat([torch.from_numpy(p).long() for p in parts])[None]
    body = model.get_encoder() if model.config.is_encoder_decoder else model
    return body(input_ids=ids).last_hidden_state[0]


def unit_alone(model: Any, unit: Unit) -> Tensor:
    """Return a unit's states in its row's order: the document, then each branch after it."""
    size = len(unit.document)
    parts = [native(model, unit.document)]
    parts += [native(model, unit.document, branch)[size:] for branch in unit.branches]
    return torch.cat(parts)


def rows_alone(model: Any, rows: Sequence[Sequence[Unit]]) -> Tensor:
    """Return the states of all units of all rows, one after the other."""
    return torch.cat([unit_alone(model, unit) for row in rows for unit in row])


def gradients(model: Any, states: Tensor, seed: int = 0) -> dict[str, Tensor]:
    """Return the gradient of a random linear readout of `states` by parameter name."""
    generator = torch.Generator().manual_seed(seed)
    readout = torch.randn(states.shape, generator=generator)
    model.zero_grad()
    (states * readout).sum().backward()
    found = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    assert found, "no parameter has a gradient"
    return found


def assert_same_gradients(
    found: dict[str, Tensor], wanted: dict[str, Tensor], relative: float = 1e-5
) -> None:
    """Compare each parameter's gradient; differences are relative to the largest of them all."""
    assert found.keys() == wanted.keys()
    scale = max(g.abs().max().item() for g in wanted.values())
    for name, gradient in wanted.items():
        error = (found[name] - gradient).abs().max().item()
        assert error <= relative * scale, f"{name}: {error / scale:.1e}"
