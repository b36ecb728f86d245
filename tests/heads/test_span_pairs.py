"""Scores of spans, against the formula said span by span."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from mtl.heads.span_pairs import NEVER, SpanPairHead, fits
from tests.properties import max_examples

HIDDEN, LABELS = 6, 3
SIZES = st.lists(st.integers(0, 5), min_size=1, max_size=4)


def head_of(width: int, seed: int = 0) -> SpanPairHead:
    torch.manual_seed(seed)
    head = SpanPairHead(HIDDEN, LABELS, width, rank=4).double()
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    return head


def slow(head: SpanPairHead, states: Tensor, sizes: list[int]) -> Tensor:
    """Score each span of each example by itself."""
    found = torch.full((len(states), head.width, LABELS), NEVER, dtype=torch.float64)
    start = 0
    for size in sizes:
        for first in range(start, start + size):
            for last in range(first, min(first + head.width, start + size)):
                s, e = F.gelu(head.first(states[first])), F.gelu(head.last(states[last]))
                found[first, last - first] = (
                    head.pair.weight @ torch.cat([s * e, s, e]) + head.widths[last - first]
                )
        start += size
    return found


@given(SIZES, st.integers(1, 7))
@max_examples(40)
def test_scores_and_loss_are_those_of_each_span(sizes: list[int], width: int) -> None:
    head, count = head_of(width), sum(sizes)
    states = torch.randn(count, HIDDEN, dtype=torch.float64)
    gold = torch.rand(count, width, LABELS) < 0.3
    shifts = torch.arange(width)
    bits = (gold.long() << shifts[:, None]).sum(1)
    given_values = {"sizes": torch.tensor(sizes), "spans": bits}
    with torch.no_grad():
        logits = head.score(states, given_values)
        wanted = slow(head, states, sizes)
    assert logits.shape == (count, width * LABELS)
    torch.testing.assert_close(logits.unflatten(1, (width, LABELS)), wanted)
    real = wanted > NEVER
    loss = F.binary_cross_entropy_with_logits(wanted[real], gold[real].double(), reduction="sum")
    assert float(head.loss_sum(logits, given_values)) == pytest.approx(float(loss), rel=1e-6)
    assert head.mass(given_values) == count
    assert torch.equal(real[:, :, 0], fits(given_values["sizes"], width))


def test_an_example_alone_scores_as_beside_others() -> None:
    head = head_of(4)
    states = torch.randn(7, HIDDEN, dtype=torch.float64)
    together = head.score(states, {"sizes": torch.tensor([3, 4])})
    torch.testing.assert_close(together, torch.cat([head(states[:3]), head(states[3:])]))


def test_no_words_have_no_loss() -> None:
    head = head_of(3)
    given_values = {"sizes": torch.tensor([0]), "spans": torch.zeros(0, LABELS, dtype=torch.long)}
    logits = head.score(torch.zeros(0, HIDDEN, dtype=torch.float64), given_values)
    assert logits.shape == (0, 3 * LABELS)
    assert float(head.loss_sum(logits, given_values).detach()) == 0.0
