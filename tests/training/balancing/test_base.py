"""Losses become one."""

from __future__ import annotations

import torch

from mtl.config.schema import BalancingConfig
from mtl.training.balancing import build_balancing


def test_the_sum_is_weighted() -> None:
    balance = build_balancing({"a": 2.0, "b": 0.5, "c": 7.0}, BalancingConfig())
    losses = {"a": torch.tensor(3.0, requires_grad=True), "b": torch.tensor(4.0)}
    total = balance(losses)
    total.backward()
    assert total.item() == 2.0 * 3.0 + 0.5 * 4.0
    assert losses["a"].grad == torch.tensor(2.0)


def test_passes_add_up() -> None:
    balance = build_balancing({"a": 2.0, "b": 0.5}, BalancingConfig())
    first = {"a": torch.tensor(1.0), "b": torch.tensor(2.0)}
    second = {"b": torch.tensor(4.0)}
    whole = {"a": torch.tensor(1.0), "b": torch.tensor(6.0)}
    assert balance(first) + balance(second) == balance(whole)
