"""A head is exactly W · h + b."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mtl.heads.base import LinearHead
from mtl.heads.classification import ClassificationHead, MultiLabelHead
from mtl.heads.regression import RegressionHead

HEADS: list[LinearHead] = [
    ClassificationHead(5, 4, dropout=0.5, label_smoothing=0.1, class_weights=[0.5, 2, 1, 4]),
    MultiLabelHead(5, 4, dropout=0.5),
    RegressionHead(5, dropout=0.5),
]


def by_hand(head: LinearHead, states: Tensor) -> list[float]:
    """One multiplication at a time."""
    rows = list(zip(head.linear.weight.tolist(), head.linear.bias.tolist(), strict=True))
    return [
        sum(w * x for w, x in zip(row, state, strict=True)) + bias
        for state in states.tolist()
        for row, bias in rows
    ]


@pytest.mark.parametrize("head", HEADS, ids=lambda h: type(h).__name__)
def test_logits_by_hand(head: LinearHead) -> None:
    torch.nn.init.normal_(head.linear.bias)
    states = torch.randn(7, 5)
    logits = head.eval()(states)
    assert logits.shape == (7, head.linear.out_features)
    assert logits.flatten().tolist() == pytest.approx(by_hand(head, states), abs=1e-6)


def test_a_head_has_no_other_weights() -> None:
    for head in HEADS:
        assert set(head.state_dict()) == {"linear.weight", "linear.bias"}


def test_a_fresh_head_favours_nothing() -> None:
    head = ClassificationHead(64, 3)
    assert head.linear.bias.tolist() == [0, 0, 0]
    assert 0.01 < head.linear.weight.std() < 0.03


def test_dropout_falls_on_the_states_in_training_only() -> None:
    head = ClassificationHead(1000, 1, dropout=0.25).train()
    torch.nn.init.ones_(head.linear.weight)
    states = torch.eye(1000)  # Output i is state i alone.
    found = head(states).flatten()
    assert found.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert 0.2 < (found == 0).float().mean() < 0.3
    assert (head.eval()(states) == 1).all()


def test_no_states() -> None:
    for head in HEADS:
        assert head(torch.zeros(0, 5)).shape == (0, head.linear.out_features)
