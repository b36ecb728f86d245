"""What a document's tokens see under each direction, and at what price."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mtl.layout import Unit, build_rows
from mtl.trunk.trunk import Trunk
from mtl.types import TrunkBatch
from tests.trunk.conftest import Load
from tests.trunk.test_packed import some_ids

ARCHITECTURES = ["llama", "gpt2", "qwen3", "mistral", "gpt_neox"]
EARLIER, LAST = slice(0, 7), 7


def states(trunk: Trunk, last: int) -> Tensor:
    """States of eight tokens whose last one is `last`, in a row with two units."""
    ids = np.append(some_ids(7, 0), np.int32(last))
    rows = [[Unit(ids), Unit(some_ids(3, 1))]]
    bidirectional = trunk.attention == "bidirectional"
    return trunk(build_rows(rows, 0, bidirectional=bidirectional).batch)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_causal_tokens_do_not_see_the_future(load: Load, name: str) -> None:
    trunk = load(name, "causal")
    first, other = states(trunk, 20), states(trunk, 21)
    assert torch.equal(first[EARLIER], other[EARLIER])
    assert not torch.allclose(first[LAST], other[LAST])


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_bidirectional_tokens_see_the_future(load: Load, name: str) -> None:
    trunk = load(name, "bidirectional")
    first, other = states(trunk, 20), states(trunk, 21)
    moved = (first - other).abs().amax(dim=1)
    assert (moved[EARLIER] > 1e-4).all()
    assert (moved[LAST + 1 :] == 0).all(), "the neighbour in the row sees none of it"


def test_encoders_read_both_ways_whatever_is_asked(load: Load) -> None:
    assert load("bert", "causal").attention == "bidirectional"
    assert load("t5", "causal").attention == "bidirectional"


class Spy:
    """Notes what the model and its attention kernel are given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, trunk: Trunk) -> None:
        self.masks: list[Any] = []
        self.kernel: list[tuple[Tensor | None, bool]] = []
        kernel = F.scaled_dot_product_attention

        def before(module: object, args: object, kwargs: dict[str, Any]) -> None:
            self.masks.append(kwargs.get("attention_mask"))

        def attend(q: Tensor, k: Tensor, v: Tensor, attn_mask: Any = None, **rest: Any) -> Tensor:
            self.kernel.append((attn_mask, bool(rest.get("is_causal"))))
            return kernel(q, k, v, attn_mask=attn_mask, **rest)

        trunk.capabilities = replace(trunk.capabilities, blocks=False)  # As on a GPU.
        trunk.model.register_forward_pre_hook(before, with_kwargs=True)
        monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", attend)


def plain_batch() -> TrunkBatch:
    rows = [[Unit(some_ids(6, 0), [some_ids(3, 1)])], [Unit(some_ids(4, 2))]]
    return build_rows(rows, 0, bidirectional=False).batch


@pytest.mark.parametrize("name", ["llama", "gpt2", "qwen3", "opt"])
def test_plain_rows_take_the_native_causal_path(
    load: Load, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trunk = load(name)
    spy = Spy(monkeypatch, trunk)
    trunk(plain_batch())
    assert spy.masks == [None]
    assert spy.kernel == [(None, True)] * 2, "one call a layer, without a mask tensor"


def test_only_what_needs_a_mask_has_one(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    trunk = load("llama")
    spy = Spy(monkeypatch, trunk)
    two = [some_ids(2, 1), some_ids(2, 2)]
    trunk(build_rows([[Unit(some_ids(5, 0), two)]], 0, bidirectional=False).batch)
    trunk(build_rows([[Unit(some_ids(5, 0))]], 0, bidirectional=True).batch)
    assert [m.shape for m in spy.masks] == [(1, 1, 9, 9), (1, 1, 5, 5)]


def test_encoders_take_the_cheapest_mask(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    trunk = load("bert")
    spy = Spy(monkeypatch, trunk)
    full = [[Unit(some_ids(5, 0))], [Unit(some_ids(5, 1))]]
    padded = [[Unit(some_ids(5, 0))], [Unit(some_ids(3, 1))]]
    shared = [[Unit(some_ids(5, 0)), Unit(some_ids(3, 1))]]
    for rows in (full, padded, shared):
        trunk(build_rows(rows, 0, bidirectional=True).batch)
    assert [None if m is None else tuple(m.shape) for m in spy.masks] == [
        None, (2, 5), (1, 1, 8, 8),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma3", "bert"])
def test_shared_rows_under_autocast(load: Load, name: str) -> None:
    """In bf16 the mask still separates: no NaN, and close to float32."""
    trunk = load(name)
    rows = [[Unit(some_ids(6, 0)), Unit(some_ids(4, 1))], [Unit(some_ids(5, 2))]]
    batch = build_rows(rows, 0, bidirectional=trunk.architecture != "decoder").batch
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = trunk(batch).float()
    assert low.isfinite().all()
    wanted = trunk(batch)
    assert (low - wanted).abs().mean() < 0.05 * wanted.abs().mean()
