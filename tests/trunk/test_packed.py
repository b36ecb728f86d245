"""Packed rows equal their parts run alone, in states and in gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from mtl.layout import Unit, build_rows
from mtl.trunk.trunk import Trunk
from mtl.types import IntArray, TrunkBatch
from tests.trunk.alone import assert_same_gradients, gradients, native, rows_alone
from tests.trunk.conftest import Load
from tests.trunk.families import APART, DECODERS, ENCODERS
from tests.trunk.reference import slow_visible
from tests.trunk.test_masks import places


def some_ids(count: int, seed: int) -> IntArray:
    # Ids from 5 on: none of them is a family's padding or special token.
    return np.random.default_rng(seed).integers(5, 195, count).astype(np.int32)


def branching_rows() -> list[list[Unit]]:
    """Two rows of unlike length, with zero to three branches to a document."""
    ids = [some_ids(n, seed) for seed, n in enumerate([7, 3, 4, 2, 5, 6, 3, 4])]
    return [[Unit(ids[0], ids[1:4]), Unit(ids[4])], [Unit(ids[5], [ids[6]]), Unit(ids[7])]]


def document_rows() -> list[list[Unit]]:
    ids = [some_ids(n, seed) for seed, n in enumerate([9, 6, 12])]
    return [[Unit(ids[0]), Unit(ids[1])], [Unit(ids[2])]]


def real(states: Tensor, batch: TrunkBatch) -> Tensor:
    return states[batch.unit.flatten() >= 0]


def run(trunk: Trunk, rows: list[list[Unit]], *, bidirectional: bool = False) -> Tensor:
    batch = build_rows(rows, 0, bidirectional=bidirectional).batch
    return real(trunk(batch), batch)


@pytest.mark.parametrize("name", DECODERS)
def test_decoder_rows_with_branches(load: Load, name: str) -> None:
    trunk, rows = load(name), branching_rows()
    assert trunk.capabilities.share_rows
    assert trunk.capabilities.can_attend_bidirectionally
    found, wanted = run(trunk, rows), rows_alone(trunk.model, rows)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    assert_same_gradients(gradients(trunk.model, found), gradients(trunk.model, wanted))


@pytest.mark.parametrize("name", ENCODERS)
def test_encoder_rows_with_several_documents(load: Load, name: str) -> None:
    trunk, rows = load(name), document_rows()
    assert trunk.capabilities.share_rows
    found, wanted = run(trunk, rows, bidirectional=True), rows_alone(trunk.model, rows)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    assert_same_gradients(gradients(trunk.model, found), gradients(trunk.model, wanted))


@pytest.mark.parametrize("name", [*DECODERS, *ENCODERS])
def test_a_row_longer_than_the_model_has_positions(load: Load, name: str) -> None:
    trunk = load(name)
    rows = [[Unit(some_ids(61, 0)), Unit(some_ids(6, 1))]]
    assert trunk.positions in (64, None)
    bidirectional = trunk.architecture != "decoder"
    found, wanted = run(trunk, rows, bidirectional=bidirectional), rows_alone(trunk.model, rows)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", [*DECODERS, *ENCODERS, *APART])
def test_one_document_a_row_with_padding(load: Load, name: str) -> None:
    trunk = load(name)
    rows = [[Unit(some_ids(9, 0))], [Unit(some_ids(5, 1))], [Unit(some_ids(1, 2))]]
    bidirectional = trunk.architecture != "decoder"
    found, wanted = run(trunk, rows, bidirectional=bidirectional), rows_alone(trunk.model, rows)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["llama", "gpt2", "mistral", "qwen3", "opt", "gpt_neox"])
def test_bidirectional_documents_equal_the_models_own(load: Load, name: str) -> None:
    trunk, rows = load(name, "bidirectional"), document_rows()
    found = run(trunk, rows, bidirectional=True)
    trunk.model.config.is_causal = False
    for module in trunk.model.modules():
        if hasattr(module, "is_causal"):
            module.is_causal = False
    wanted = rows_alone(trunk.model, rows)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["llama", "gpt2", "qwen3"])
def test_prefix_language_model(load: Load, name: str) -> None:
    """A document read both ways, its branches causal: against a mask written pair by pair."""
    trunk, rows = load(name, "bidirectional"), branching_rows()
    for row in rows:
        for unit in row:
            unit.bidirectional = True
    found = run(trunk, rows, bidirectional=True)
    wanted = [_by_hand(trunk, unit) for row in rows for unit in row]
    torch.testing.assert_close(found, torch.cat(wanted), rtol=1e-5, atol=1e-5)


def _by_hand(trunk: Trunk, unit: Unit) -> Tensor:
    """A unit's states, each branch with its document in a pass of its own."""
    size = len(unit.document)
    parts: list[Tensor] = []
    for branch in unit.branches or [np.zeros(0, np.int32)]:
        ids = torch.from_numpy(np.concatenate([unit.document, branch])).long()[None]
        allowed = slow_visible(places([[Unit(unit.document, [branch], True)]]))
        mask = torch.zeros(allowed.shape).masked_fill(~allowed, torch.finfo(torch.float32).min)
        states = trunk.model(input_ids=ids, attention_mask=mask[:, None]).last_hidden_state[0]
        parts.append(states if not parts else states[size:])
    return torch.cat(parts)


def test_a_mixed_batch_has_causal_and_bidirectional_documents(load: Load) -> None:
    causal, both = load("llama"), load("llama", "bidirectional")
    first, second = some_ids(6, 0), some_ids(8, 1)
    rows = [[Unit(first, bidirectional=False), Unit(second, bidirectional=True)]]
    found = run(causal, rows)
    wanted = torch.cat(
        [native(causal.model, first), run(both, [[Unit(second)]], bidirectional=True)]
    )
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def test_padding_needs_no_position_of_its_own(load: Load) -> None:
    """A row of many branches is longer than the model has positions; its neighbour is padded."""
    trunk = load("gpt2")  # 64 learned positions
    long = Unit(some_ids(50, 0), [some_ids(12, i) for i in range(1, 5)])
    rows = [[long], [Unit(some_ids(60, 9))]]
    torch.testing.assert_close(
        run(trunk, rows), rows_alone(trunk.model, rows), rtol=1e-5, atol=1e-5
    )
