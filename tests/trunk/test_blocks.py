"""A pass without padding gives the states and gradients of the same rows with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mtl.layout import Unit, build_rows
from mtl.trunk import blocks
from mtl.trunk.load import _checkpoint_activations
from mtl.trunk.trunk import Trunk
from mtl.types import TrunkBatch
from tests.trunk.alone import assert_same_gradients, gradients, rows_alone
from tests.trunk.conftest import Load
from tests.trunk.families import APART, DECODERS, ENCODERS
from tests.trunk.test_packed import branching_rows, document_rows, real, some_ids

IN_ROWS = {"gemma3", "qwen2-window", "modernbert", "t5"}
"""They take one mask for full and one for sliding layers, or add a bias by distance."""


def batch_of(
    trunk: Trunk, rows: list[list[Unit]], *, bidirectional: bool | None = None
) -> TrunkBatch:
    if bidirectional is None:
        bidirectional = trunk.architecture != "decoder"
    return build_rows(rows, 0, bidirectional=bidirectional).batch


def in_rows(trunk: Trunk, batch: TrunkBatch) -> Tensor:
    """The states of the real tokens of a pass with padding."""
    found = trunk.capabilities
    trunk.capabilities = replace(found, blocks=False)
    try:
        return real(trunk(batch), batch)
    finally:
        trunk.capabilities = found


def assert_same(trunk: Trunk, batch: TrunkBatch) -> None:
    found, wanted = real(trunk(batch), batch), in_rows(trunk, batch)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    assert_same_gradients(gradients(trunk.model, found), gradients(trunk.model, wanted))


@pytest.mark.parametrize("name", [*DECODERS, *ENCODERS, *APART])
def test_which_trunks_attend_in_blocks(load: Load, name: str) -> None:
    trunk = load(name)
    able = name in (*DECODERS, *ENCODERS) and name not in IN_ROWS
    assert trunk.capabilities.blocks == able


@pytest.mark.parametrize("short", [1, 64], ids=["a unit a block", "short units together"])
@pytest.mark.parametrize("name", [n for n in DECODERS if n not in IN_ROWS])
def test_decoders(load: Load, name: str, short: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "FEWEST", short)
    trunk = load(name)
    assert_same(trunk, batch_of(trunk, branching_rows()))
    plain = [
        [Unit(some_ids(9, 0), [some_ids(2, 3)])],
        [Unit(some_ids(5, 1))],
        [Unit(some_ids(1, 2))],
    ]
    assert_same(trunk, batch_of(trunk, plain))
    if trunk.capabilities.can_attend_bidirectionally:
        assert_same(trunk, batch_of(trunk, branching_rows(), bidirectional=True))
        assert_same(trunk, batch_of(trunk, document_rows(), bidirectional=True))


@pytest.mark.parametrize("short", [1, 64], ids=["a unit a block", "short units together"])
@pytest.mark.parametrize("name", [n for n in ENCODERS if n not in IN_ROWS])
def test_encoders(load: Load, name: str, short: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "FEWEST", short)
    trunk = load(name)
    assert_same(trunk, batch_of(trunk, document_rows()))
    assert_same(trunk, batch_of(trunk, [[Unit(some_ids(9, 0))], [Unit(some_ids(5, 1))]]))


@pytest.mark.parametrize("name", ["llama", "gpt2", "bert"])
def test_more_tokens_than_positions(load: Load, name: str) -> None:
    """Together, in one row; none of the texts is longer than the model allows."""
    trunk = load(name)
    limit = trunk.positions
    assert limit is not None
    rows = [[Unit(some_ids(limit - n, n))] for n in range(4)]
    batch = batch_of(trunk, rows)
    torch.testing.assert_close(
        real(trunk(batch), batch), rows_alone(trunk.model, rows), rtol=1e-5, atol=1e-5
    )


def test_activations_that_are_computed_again(load: Load) -> None:
    trunk = load("llama")
    batch = batch_of(trunk, branching_rows())
    wanted = gradients(trunk.model, in_rows(trunk, batch))
    _checkpoint_activations(trunk.model)
    trunk.model.train()
    assert_same_gradients(gradients(trunk.model, real(trunk(batch), batch)), wanted)


@pytest.mark.parametrize("name", ["llama", "bert"])
def test_under_autocast(load: Load, name: str) -> None:
    trunk = load(name)
    batch = batch_of(trunk, document_rows())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = real(trunk(batch), batch).float()
    wanted = in_rows(trunk, batch)
    assert (low - wanted).abs().mean() < 0.05 * wanted.abs().mean()


def test_what_is_saved_names_transformers_own_attention(load: Load, tmp_path: Path) -> None:
    load("llama").model.save_pretrained(tmp_path)
    assert blocks.NAME not in (tmp_path / "config.json").read_text(encoding="utf-8")


def test_padding_is_zeros(load: Load) -> None:
    trunk = load("bert")
    batch = batch_of(trunk, document_rows())
    assert (trunk(batch)[batch.unit.flatten() < 0] == 0).all()


def test_what_attends_to_what(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long units have blocks of their own, with a mask only where branches need one."""
    calls: list[tuple[int, bool, bool]] = []
    kernel = F.scaled_dot_product_attention

    def attend(q: Tensor, k: Tensor, v: Tensor, attn_mask: Any = None, **rest: Any) -> Tensor:
        assert q.shape[2] == k.shape[2]
        calls.append((q.shape[2], attn_mask is not None, bool(rest.get("is_causal"))))
        return kernel(q, k, v, attn_mask=attn_mask, **rest)

    monkeypatch.setattr(blocks, "FEWEST", 8)
    trunk = load("llama")
    batch = batch_of(
        trunk,
        [
            [Unit(some_ids(9, 0)), Unit(some_ids(3, 1))],  # The 3 and the 4 share a block.
            [Unit(some_ids(4, 2))],
            [Unit(some_ids(6, 3), [some_ids(2, 4)])],
            [Unit(some_ids(5, 5), [some_ids(2, 6), some_ids(3, 7)])],
            [Unit(some_ids(7, 8), bidirectional=True)],
        ],
    )
    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", attend)
    trunk(batch)
    once = [
        (9, False, True),
        (7, True, False),
        (8, False, True),
        (10, True, False),
        (7, False, False),
    ]
    assert calls == once * 2, "in each of two layers"


def test_rows_without_padding_or_masks_run_as_they_are(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    trunk = load("llama")
    original, calls = trunk._run_in_blocks, []

    def counted(*given: Any) -> Any:
        calls.append(given)
        return original(*given)

    monkeypatch.setattr(trunk, "_run_in_blocks", counted)
    equal = [[Unit(some_ids(6, 0))], [Unit(some_ids(6, 1))]]
    trunk(batch_of(trunk, equal))
    assert not calls
    trunk(batch_of(trunk, [*equal, [Unit(some_ids(5, 2))]]))
    assert len(calls) == 1
