from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from mtl.layout import Unit, build_rows
from mtl.trunk.masks import additive, visible
from tests.helpers import ints
from tests.properties import max_examples
from tests.trunk.reference import Place, slow_visible

UNITS = st.builds(
    lambda document, branches, both: Unit(
        np.zeros(document, np.int32), [np.zeros(b, np.int32) for b in branches], both
    ),
    st.integers(1, 4),
    st.lists(st.integers(1, 3), max_size=3),
    st.booleans(),
)
ROWS = st.lists(st.lists(UNITS, min_size=1, max_size=3), min_size=1, max_size=3)


def places(rows: list[list[Unit]]) -> list[list[Place | None]]:
    """Lay units out by hand: a branch reads on from the end of its document."""
    laid: list[list[Place | None]] = []
    for row in rows:
        laid.append([])
        for u, unit in enumerate(row):
            both = bool(unit.bidirectional)
            size = len(unit.document)
            laid[-1] += [Place(u, 0, p, both) for p in range(size)]
            for b, branch in enumerate(unit.branches, start=1):
                laid[-1] += [Place(u, b, size + p, both) for p in range(len(branch))]
    width = max(map(len, laid))
    return [[*row, *[None] * (width - len(row))] for row in laid]


@given(ROWS, st.booleans(), st.none() | st.integers(1, 5))
@max_examples(200)
def test_visible_equals_the_slow_reference(
    rows: list[list[Unit]], causal_branches: bool, window: int | None
) -> None:
    batch = build_rows(rows, 0, bidirectional=False).batch
    found = visible(batch, causal_branches=causal_branches, window=window)
    wanted = slow_visible(places(rows), causal_branches=causal_branches, window=window)
    real = batch.unit >= 0
    both, one = real[:, :, None] & real[:, None, :], real[:, :, None] ^ real[:, None, :]
    assert torch.equal(found & both, wanted & both)
    assert not found[one].any(), "a token sees padding, or padding a token"
    assert found.diagonal(dim1=1, dim2=2).all(), "a row of the softmax would be empty"


def test_a_row_written_out() -> None:
    row = Unit(ints(0, 1), [ints(2), ints(3, 4)])
    allowed = visible(build_rows([[row, Unit(ints(5))]], 0, bidirectional=False).batch)
    picture = ["".join(".x"[int(v)] for v in line) for line in allowed[0]]
    assert picture == [
        "x.....",
        "xx....",
        "xxx...",  # branch 1: the document and itself
        "xx.x..",  # branch 2 does not see branch 1
        "xx.xx.",
        ".....x",  # the second unit
    ]


def test_additive_is_what_sdpa_makes_of_the_booleans() -> None:
    allowed = torch.rand(2, 6, 6) < 0.5
    allowed |= torch.eye(6, dtype=torch.bool)
    q, k, v = torch.randn(3, 2, 1, 6, 8)
    added = additive(allowed, torch.float32)
    assert added.shape == (2, 1, 6, 6)
    assert added.dtype == torch.float32
    torch.testing.assert_close(
        F.scaled_dot_product_attention(q, k, v, attn_mask=added),
        F.scaled_dot_product_attention(q, k, v, attn_mask=allowed[:, None]),
    )
