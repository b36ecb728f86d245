"""Units written into rows."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mtl.layout import Unit, build_rows
from tests.helpers import ints
from tests.properties import max_examples

PAD = 99
SIZES = st.lists(
    st.lists(st.tuples(st.integers(1, 5), st.lists(st.integers(1, 4), max_size=3)), min_size=1,
             max_size=3),
    min_size=1, max_size=4,
)  # fmt: skip


def test_two_rows_written_out() -> None:
    branching = Unit(ints(1, 2), [ints(3), ints(4, 5)])
    rows = build_rows([[branching, Unit(ints(6), bidirectional=True)], [Unit(ints(7, 8))]], PAD,
                      bidirectional=False)  # fmt: skip
    batch = rows.batch
    assert batch.input_ids.tolist() == [[1, 2, 3, 4, 5, 6], [7, 8, PAD, PAD, PAD, PAD]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 2, 3, 0], [0, 1, 0, 0, 0, 0]]
    assert batch.unit.tolist() == [[0, 0, 0, 0, 0, 1], [0, 0, -1, -1, -1, -1]]
    assert batch.segment.tolist() == [[0, 0, 1, 2, 2, 0], [0] * 6]
    assert batch.bidirectional.tolist() == [[False] * 5 + [True], [False] * 6]
    assert rows.starts == [[0, 5], [6]]
    assert not batch.plain
    assert batch.tokens == 8


def test_plain_rows_run_on_so_that_no_reset_is_inferred() -> None:
    units = [[Unit(ints(1, 2), [ints(3)])], [Unit(ints(4))]]
    batch = build_rows(units, PAD, bidirectional=False).batch
    assert batch.plain
    assert batch.position_ids.tolist() == [[0, 1, 2], [0, 1, 2]]


@pytest.mark.parametrize(
    ("row", "bidirectional", "plain"),
    [
        ([Unit(ints(1))], False, True),
        ([Unit(ints(1), [ints(2)])], False, True),
        ([Unit(ints(1), [ints(2), ints(3)])], False, False),
        ([Unit(ints(1)), Unit(ints(2))], False, False),
        ([Unit(ints(1))], True, False),
        ([Unit(ints(1), bidirectional=False)], True, True),
        ([Unit(ints(1), bidirectional=True)], False, False),
    ],
)
def test_what_is_plain(row: list[Unit], bidirectional: bool, plain: bool) -> None:
    assert build_rows([row], PAD, bidirectional=bidirectional).batch.plain == plain
    both = build_rows([row, [Unit(ints(5), bidirectional=False)]], PAD, bidirectional=bidirectional)
    assert both.batch.plain == plain, "one row decides for the batch"


@given(SIZES)
@max_examples(100)
def test_every_token_is_where_its_unit_starts(sizes: list[list[tuple[int, list[int]]]]) -> None:
    count = iter(range(100, 10**6))
    rows = [
        [
            Unit(ints(*(next(count) for _ in range(n))),
                 [ints(*(next(count) for _ in range(b))) for b in branches])
            for n, branches in row
        ]
        for row in sizes
    ]  # fmt: skip
    built = build_rows(rows, PAD, bidirectional=False)
    flat, places = built.batch.input_ids.flatten(), built.batch.position_ids.flatten()
    for row, starts in zip(rows, built.starts, strict=True):
        for unit, at in zip(row, starts, strict=True):
            parts = [unit.document, *unit.branches]
            tokens = [int(t) for p in parts for t in p]
            assert flat[at : at + len(unit)].tolist() == tokens
            size = len(unit.document)
            wanted = [*range(size), *(size + i for b in unit.branches for i in range(len(b)))]
            assert places[at : at + len(unit)].tolist() == wanted
    assert (flat != PAD).sum() == built.batch.tokens == sum(len(u) for row in rows for u in row)
    assert built.batch.input_ids.dtype == torch.int64
