"""What passes between text, trunk and heads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mtl.layout import Unit, build_rows
from mtl.types import Branch, Encoded, HeadBatch, MicroBatch, Step, concatenate
from tests.helpers import ints


def head() -> HeadBatch:
    return HeadBatch(
        positions=torch.tensor([4, 0, 2]),
        targets={"labels": torch.tensor([1, 2, 3])},
        examples=[7, 8],
        sizes=[1, 2],
    )


def pooled() -> HeadBatch:
    """The second and third position are one output."""
    group, share = torch.tensor([0, 1, 1]), torch.tensor([1, 0.5, 0.5])
    return replace(head(), sizes=[1, 1], group=group, share=share)


def step() -> Step:
    trunk = build_rows([[Unit(ints(1, 2, 3))], [Unit(ints(4))]], 0, bidirectional=False).batch
    micro = MicroBatch(trunk, {"ner": head(), "topic": pooled()})
    return Step(number=3, micro_batches=[micro, micro], denominators={"ner": 6.0}, examples=4)


def test_outputs_and_length_of_an_example() -> None:
    item = Encoded([ints(1, 2), ints(3)], ints(0, 0, 2), ints(0, 1, 0), {}, 3.0,
                   [Branch(1, ints(4, 5))])  # fmt: skip
    assert (item.outputs, item.length) == (3, 5)
    item.group = ints(0, 1, 1)
    assert item.outputs == 2
    item.group = ints()
    assert item.outputs == 0


def test_reading_positions() -> None:
    hidden = torch.arange(10.0).reshape(5, 2)
    assert head().read(hidden).tolist() == [[8, 9], [0, 1], [4, 5]]


def test_reading_means() -> None:
    hidden = torch.arange(10.0).reshape(5, 2)
    assert pooled().read(hidden).tolist() == [[8, 9], [2, 3]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_reading_keeps_the_type_and_the_gradient(dtype: torch.dtype) -> None:
    hidden = torch.ones(5, 2, dtype=dtype, requires_grad=True)
    found = pooled().read(hidden)
    assert found.dtype == dtype
    found.sum().backward()
    assert hidden.grad is not None
    assert hidden.grad[:, 0].tolist() == [0.5, 0, 0.5, 0, 1]


def test_a_step_moves_as_a_whole() -> None:
    there = step().to("meta")
    assert (there.number, there.examples, there.denominators) == (3, 4, {"ner": 6.0})
    micro = there.micro_batches[1]
    assert micro.trunk.plain is True
    tensors = [micro.trunk.input_ids, micro.trunk.unit, micro.heads["ner"].positions,
               micro.heads["ner"].targets["labels"], micro.heads["topic"].group]  # fmt: skip
    assert all(t is not None and t.device.type == "meta" for t in tensors)
    assert micro.heads["ner"].group is None
    assert micro.heads["ner"].examples == [7, 8]


def test_moving_leaves_the_first_where_it_was() -> None:
    here = step()
    here.to("meta")
    assert here.micro_batches[0].trunk.input_ids.device.type == "cpu"


def test_tokens_are_real_ones() -> None:
    assert step().tokens == 2 * 4
    assert step().micro_batches[0].trunk.input_ids.numel() == 6


@pytest.mark.parametrize(
    ("arrays", "dtype"),
    [
        ([ints(1), ints(2, 3)], torch.int64),
        ([np.asarray([1], np.uint8), np.asarray([2, 3], np.uint8)], torch.int64),
        ([np.asarray([1.0]), np.asarray([2.0, 3.0])], torch.float64),
        ([ints(), ints(1, 2, 3)], torch.int64),
    ],
)
def test_concatenate(arrays: list[np.ndarray], dtype: torch.dtype) -> None:
    found = concatenate(iter(arrays))
    assert found.dtype == dtype
    assert found.tolist() == [1, 2, 3]


def test_concatenate_keeps_further_axes() -> None:
    assert concatenate([np.zeros((1, 4), np.int8), np.ones((2, 4), np.int8)]).shape == (3, 4)
