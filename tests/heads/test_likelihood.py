"""Losses a block at a time against the head that makes all logits at once."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoModelForCausalLM

from mtl.heads.language import LanguageHead
from mtl.heads.likelihood import BLOCK, LikelihoodHead
from mtl.trunk.output import OutputLayer
from tests import helpers

D, V = 16, 400


@pytest.fixture
def output() -> OutputLayer:
    torch.manual_seed(0)
    return OutputLayer(AutoModelForCausalLM.from_config(helpers.llama_config(vocab_size=V)))


def pair(output: OutputLayer, **options: Any) -> tuple[LanguageHead, LikelihoodHead]:
    heads = LanguageHead(D, **options), LikelihoodHead(D, **options)
    for head in heads:
        head.attach(output)
    heads[1].load_state_dict(heads[0].state_dict())
    return heads


def learned(
    head: LanguageHead, output: OutputLayer, states: Tensor, labels: Tensor
) -> list[Tensor]:
    """Return the loss and its gradients: of the states, and of the projection."""
    states = states.clone().requires_grad_()
    weight = (head.linear or output.projection).weight
    targets = {"labels": labels}
    loss = head.loss(head.score(states, targets), targets, denominator=123.0)
    return [loss.detach(), *torch.autograd.grad(3.0 * loss, [states, weight])]


@pytest.mark.parametrize("count", [1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 88])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_loss_and_gradients(output: OutputLayer, count: int, tied: bool, smoothing: float) -> None:
    plain, blocks = pair(output, tied=tied, label_smoothing=smoothing)
    states, labels = torch.randn(count, D), torch.randint(V, (count,))
    wanted = learned(plain, output, states, labels)
    for found, expected in zip(learned(blocks, output, states, labels), wanted, strict=True):
        torch.testing.assert_close(found, expected)


def test_figures_are_those_of_the_logits(output: OutputLayer) -> None:
    plain, blocks = pair(output, label_smoothing=0.1)
    states, labels = torch.randn(700, D), torch.randint(V, (700,))
    labels[:300] = plain(states[:300]).argmax(-1)
    with torch.no_grad():
        found = blocks.score(states, {"labels": labels})
        logits = plain(states)
    torch.testing.assert_close(found[:, 1], F.cross_entropy(logits, labels, reduction="none"))
    assert found[:, 2].tolist() == (logits.argmax(-1) == labels).float().tolist()
    assert found[:300, 2].all()


def test_a_frozen_trunk_leaves_the_head_to_learn(output: OutputLayer) -> None:
    _, head = pair(output, tied=False)
    targets = {"labels": torch.randint(V, (9,))}
    head.loss(head.score(torch.randn(9, D), targets), targets).backward()
    assert head.linear is not None
    assert head.linear.weight.grad is not None
    assert head.linear.weight.grad.any()


def test_no_targets_cost_nothing(output: OutputLayer) -> None:
    _, head = pair(output)
    targets = {"labels": torch.zeros(0, dtype=torch.long)}
    states = torch.zeros(0, D, requires_grad=True)
    loss = head.loss(head.score(states, targets), targets, denominator=7.0)
    loss.backward()
    assert loss.item() == 0
    assert output.projection.weight.grad is not None
    assert not output.projection.weight.grad.any()


def test_logits_are_never_whole(output: OutputLayer) -> None:
    """The largest tensor that the head makes holds one block's scores."""
    _, head = pair(output)
    sizes = []
    output.projection.register_forward_hook(lambda *call: sizes.append(len(call[-1])))
    head.score(torch.randn(1000, D), {"labels": torch.randint(V, (1000,))})
    assert sum(sizes) == 1000
    assert max(sizes) == BLOCK
