"""Span heads against a loop over windows, and the pointer against its formula."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from mtl.heads.spans import JointSpanHead, PointerSpanHead, SpanHead
from tests.properties import max_examples

HIDDEN = 6
HEADS = pytest.mark.parametrize("kind", [JointSpanHead, PointerSpanHead])


def drawn(sizes: list[int], seed: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Return states of windows of these sizes, and random targets inside them."""
    random = torch.Generator().manual_seed(seed)
    states = torch.randn(sum(sizes), HIDDEN, generator=random, dtype=torch.float64)
    ends = [[int(torch.randint(n, (), generator=random)) for n in sizes] for _ in range(2)]
    targets = {"start": torch.tensor(ends[0]), "end": torch.tensor(ends[1])}
    return states, {"sizes": torch.tensor(sizes), **targets}


def head_of(kind: type[SpanHead]) -> SpanHead:
    torch.manual_seed(3)
    head = kind(HIDDEN).double()
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    return head


def bounds(sizes: list[int]) -> list[tuple[int, int]]:
    return list(pairwise([0, *torch.tensor(sizes).cumsum(0).tolist()]))


@HEADS
@max_examples(30)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 99))
def test_loss_is_that_of_each_window_alone(
    kind: type[SpanHead], sizes: list[int], seed: int
) -> None:
    states, targets = drawn(sizes, seed)
    head = head_of(kind)
    logits = head.score(states, targets)
    wanted = torch.zeros((), dtype=torch.float64)
    for w, (first, end) in enumerate(bounds(sizes)):
        for column, name in enumerate(("start", "end")):
            one = logits[first:end, column][None]
            wanted = wanted + F.cross_entropy(one, targets[name][w : w + 1]) / 2
    assert head.mass(targets) == len(sizes)
    assert float(head.loss_sum(logits, targets).detach()) == pytest.approx(float(wanted.detach()))
    found = torch.autograd.grad(head.loss(logits, targets), logits, retain_graph=True)[0]
    slow = torch.autograd.grad(wanted / len(sizes), logits)[0]
    torch.testing.assert_close(found, slow)


@HEADS
@max_examples(30)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=6), st.integers(0, 99))
def test_windows_do_not_see_each_other(kind: type[SpanHead], sizes: list[int], seed: int) -> None:
    states, targets = drawn(sizes, seed)
    head = head_of(kind)
    together = head.score(states, targets)
    alone = [head(states[first:end]) for first, end in bounds(sizes)]
    torch.testing.assert_close(together, torch.cat(alone))


def test_the_pointer_is_its_formula() -> None:
    states, targets = drawn([4, 3], seed=1)
    head = head_of(PointerSpanHead)
    assert isinstance(head, PointerSpanHead)
    weight, bias = head.query.weight, head.query.bias
    found = head.score(states, targets)
    for first, end in ((0, 4), (4, 7)):
        question = states[first]
        for column in range(2):
            part = slice(column * HIDDEN, (column + 1) * HIDDEN)
            query = weight[part] @ question + bias[part]
            for place in range(first + 1, end):
                wanted = sum(query[d] * states[place, d] for d in range(HIDDEN))
                torch.testing.assert_close(
                    found[place, column], torch.as_tensor(wanted) / math.sqrt(HIDDEN)
                )
            null = head.null.weight[column] @ question + head.null.bias[column]
            torch.testing.assert_close(found[first, column], null)


@HEADS
def test_no_windows_are_an_exact_zero(kind: type[SpanHead]) -> None:
    states, targets = drawn([], seed=0)
    head = head_of(kind)
    logits = head.score(states.reshape(0, HIDDEN), targets)
    assert logits.shape == (0, 2)
    assert float(head.loss(logits, targets).detach()) == 0.0


@HEADS
def test_half_precision_states_have_a_finite_loss(kind: type[SpanHead]) -> None:
    states, targets = drawn([2, 8], seed=2)
    head = head_of(kind).bfloat16()
    loss = head.loss(head.score(states.bfloat16(), targets), targets)
    loss.backward()
    assert loss.dtype == torch.float32
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())
