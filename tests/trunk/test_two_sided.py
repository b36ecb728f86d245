"""Encoder-decoders: documents through the encoder once, each branch through the decoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mtl.layout import Unit, build_rows
from mtl.trunk.trunk import Trunk
from mtl.trunk.two_sided import branches_of, documents_of
from mtl.types import IntArray
from tests.trunk.writers import load_writer

FAMILIES = ["t5", "bart"]


def ids(count: int, seed: int) -> IntArray:
    return np.random.default_rng(seed).integers(5, 195, count).astype(np.int32)


def units() -> list[Unit]:
    """Return units of three, one, two and no branches."""
    sizes: list[tuple[int, list[int]]] = [(5, [3, 1, 6]), (9, [2]), (2, [4, 4]), (7, [])]
    return [
        Unit(ids(n, number), [ids(b, 10 * number + i) for i, b in enumerate(branches, start=1)])
        for number, (n, branches) in enumerate(sizes)
    ]


def rows_for(trunk: Trunk) -> list[list[Unit]]:
    """Return all units, several to a row where the encoder keeps them apart."""
    one, two, three, four = units()
    if trunk.capabilities.share_rows:
        return [[one, two], [three, four]]
    return [[one], [two], [three], [four]]


def alone(trunk: Trunk, unit: Unit) -> Tensor:
    """Return a unit's states: the encoder's of its document, the decoder's of every branch."""
    model = trunk.model

    def tensor(part: IntArray) -> Tensor:
        return torch.from_numpy(part).long()[None]

    document = model.get_encoder()(input_ids=tensor(unit.document)).last_hidden_state
    parts = [document[0]]
    for branch in unit.branches:
        found = model(
            input_ids=tensor(unit.document),
            decoder_input_ids=tensor(branch),
            output_hidden_states=True,
        )
        parts.append(found.decoder_hidden_states[-1][0])
    return torch.cat(parts)


@pytest.mark.parametrize("name", FAMILIES)
def test_states_are_those_of_each_unit_alone(tmp_path: Path, name: str) -> None:
    trunk = load_writer(name, tmp_path)
    rows = rows_for(trunk)
    batch = build_rows(rows, 0, bidirectional=True).batch
    found = trunk(batch)[batch.unit.flatten() >= 0]
    wanted = torch.cat([alone(trunk, unit) for row in rows for unit in row])
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_document_with_branches_is_encoded_once(tmp_path: Path, name: str) -> None:
    """And gives each of them what a row of its own would."""
    trunk, (unit, *_) = load_writer(name, tmp_path), units()
    encoded: list[int] = []
    trunk.model.get_encoder().register_forward_hook(
        lambda _, args, kwargs, out: encoded.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    together = build_rows([[unit]], 0, bidirectional=True)
    separate = build_rows(
        [[Unit(unit.document, [branch])] for branch in unit.branches], 0, bidirectional=True
    )
    found, wanted = trunk(together.batch), trunk(separate.batch)
    assert encoded == [5, 15]
    at = 5
    for row, branch in enumerate(unit.branches):
        start = separate.starts[row][0] + 5
        torch.testing.assert_close(
            found[at : at + len(branch)], wanted[start : start + len(branch)], rtol=1e-5, atol=1e-5
        )
        at += len(branch)


@pytest.mark.parametrize("name", FAMILIES)
def test_gradients_reach_both_sides(tmp_path: Path, name: str) -> None:
    trunk = load_writer(name, tmp_path)
    rows = rows_for(trunk)
    batch = build_rows(rows, 0, bidirectional=True).batch
    real = batch.unit.flatten() >= 0
    readout = torch.randn(int(real.sum()), trunk.hidden_size)

    def gradients(states: Tensor) -> dict[str, Tensor]:
        trunk.zero_grad()
        (states * readout).sum().backward()
        named: Any = trunk.model.named_parameters()
        return {n: p.grad.clone() for n, p in named if p.grad is not None}

    wanted = gradients(torch.cat([alone(trunk, unit) for row in rows for unit in row]))
    found = gradients(trunk(batch)[real])
    assert found.keys() == wanted.keys()
    assert any("decoder" in n for n in found)
    largest = max(float(g.abs().max()) for g in wanted.values())
    for key, gradient in wanted.items():
        torch.testing.assert_close(found[key], gradient, rtol=1e-4, atol=1e-6 * largest)


@pytest.mark.parametrize("name", FAMILIES)
def test_documents_alone_do_not_run_the_decoder(tmp_path: Path, name: str) -> None:
    trunk = load_writer(name, tmp_path)
    ran: list[int] = []
    trunk.model.get_decoder().register_forward_hook(lambda *_: ran.append(1))
    rows = [[Unit(unit.document)] for unit in units()]
    batch = build_rows(rows, 0, bidirectional=True).batch
    found = trunk(batch)[batch.unit.flatten() >= 0]
    assert not ran
    wanted = torch.cat([alone(trunk, unit) for (unit,) in rows])
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def test_branches_by_hand() -> None:
    """Two rows: a unit with branches of 2 and 1 and one of none; a unit with a branch of 3."""
    rows = [
        [Unit(ids(3, 0), [ids(2, 1), ids(1, 2)]), Unit(ids(2, 3))],
        [Unit(ids(1, 4), [ids(3, 5)])],
    ]
    batch = build_rows(rows, 0, bidirectional=True).batch
    found = branches_of(batch)
    assert found.flat.tolist() == [3, 4, 5, 9, 10, 11]
    assert found.branch.tolist() == [0, 0, 1, 2, 2, 2]
    assert found.offset.tolist() == [0, 1, 0, 0, 1, 2]
    assert found.first.tolist() == [3, 5, 9]
    assert found.shape == (3, 3)


def test_neighbours_of_one_number_are_two_branches() -> None:
    """The first branch of a unit beside that of the next: documents of no token between them."""
    nothing = np.zeros(0, dtype=np.int32)
    rows = [
        [Unit(ids(1, 0), [ids(2, 1)]), Unit(nothing, [ids(2, 2)])],
        [Unit(nothing, [ids(1, 3)])],
    ]
    found = branches_of(build_rows(rows, 0, bidirectional=True).batch)
    assert found.first.tolist() == [1, 3, 5]


def test_documents_by_hand() -> None:
    rows = [[Unit(ids(3, 0), [ids(4, 1)])], [Unit(ids(2, 2), [ids(1, 3)]), Unit(ids(1, 4))]]
    batch = build_rows(rows, 0, bidirectional=True).batch
    found = documents_of(batch)
    assert found.unit.tolist() == [[0, 0, 0, -1], [0, 0, -1, 1]]
    assert not found.segment.any()
    assert torch.equal(found.input_ids, batch.input_ids[:, :4])
    assert torch.equal(found.position_ids, batch.position_ids[:, :4])
    assert batch.segment.any(), "the batch itself stays as it was"
