"""States of inner layers against those that transformers returns."""

from __future__ import annotations

import pytest
import torch

from mtl.trunk.inner import InnerLayers
from tests.trunk.conftest import Load
from tests.trunk.families import DECODERS, ENCODERS
from tests.trunk.test_packed import branching_rows, document_rows, run


@pytest.mark.parametrize("name", [*DECODERS, *ENCODERS])
def test_inner_layers_are_those_of_transformers(load: Load, name: str) -> None:
    """Row by row alone, and in rows that units share."""
    trunk = load(name)
    if trunk.architecture == "encoder-decoder":
        pytest.skip("has layers of two kinds")
    rows = branching_rows() if name in DECODERS else document_rows()
    bidirectional = name in ENCODERS
    last = run(trunk, rows, bidirectional=bidirectional)
    trunk.inner = InnerLayers(trunk.model, [1])
    wide = run(trunk, rows, bidirectional=bidirectional)
    assert wide.shape[-1] == trunk.width == 2 * trunk.hidden_size
    torch.testing.assert_close(wide[..., : trunk.hidden_size], last)
    alone = run(trunk, [[unit] for row in rows for unit in row], bidirectional=bidirectional)
    torch.testing.assert_close(wide, alone, rtol=1e-5, atol=1e-5)
    ids = torch.tensor([[5, 6, 7, 8, 9, 10]])
    with torch.no_grad():
        wanted = trunk.model(input_ids=ids, output_hidden_states=True).hidden_states[1]
        found = trunk.inner.beside(lambda: trunk.model(input_ids=ids).last_hidden_state)
    torch.testing.assert_close(found[..., trunk.hidden_size :], wanted)
