"""Units into rows and passes: nothing lost, nothing over its bounds."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mtl.data.packing import Place, pack
from tests.properties import max_examples

GROUPS = st.lists(st.lists(st.integers(1, 60), min_size=1, max_size=4), max_size=40)
Passes = list[list[list[Place]]]


def width(groups: list[list[int]], rows: list[list[Place]]) -> int:
    return max(sum(groups[g][u] for g, u in row) for row in rows)


@given(GROUPS, st.integers(1, 300), st.booleans())
@max_examples(300)
def test_every_unit_is_placed_once(groups: list[list[int]], budget: int, share: bool) -> None:
    passes = pack(groups, budget, share=share)
    placed = sorted(place for rows in passes for row in rows for place in row)
    assert placed == [(g, u) for g, units in enumerate(groups) for u in range(len(units))]
    assert all(row for rows in passes for row in rows)


@given(GROUPS, st.integers(1, 300), st.booleans())
@max_examples(300)
def test_rows_and_passes_keep_their_bounds(
    groups: list[list[int]], budget: int, share: bool
) -> None:
    for rows in pack(groups, budget, share=share):
        members = {g for row in rows for g, _ in row}
        longest = max(max(groups[g]) for g in members)
        assert width(groups, rows) == longest, "a row is fuller than the longest unit"
        assert len(rows) * longest <= budget or len(members) == 1
        if not share:
            assert all(len(row) == 1 for row in rows)


@given(GROUPS, st.integers(1, 300), st.booleans())
@max_examples(100)
def test_a_group_stays_in_one_pass(groups: list[list[int]], budget: int, share: bool) -> None:
    seen: dict[int, int] = {}
    for number, rows in enumerate(pack(groups, budget, share=share)):
        for g in {g for row in rows for g, _ in row}:
            assert seen.setdefault(g, number) == number


@given(GROUPS, st.integers(1, 300))
@max_examples(100)
def test_packing_part_of_a_pass_again_gives_the_same_pass(
    groups: list[list[int]], budget: int
) -> None:
    """Loaders plan passes once and rebuild each from its groups."""
    for rows in pack(groups, budget, share=True):
        members = sorted({g for row in rows for g, _ in row})
        again = pack([groups[g] for g in members], budget, share=True)
        assert [[[(members[g], u) for g, u in row] for row in r] for r in again] == [rows]


def test_first_fit_decreasing_by_hand() -> None:
    groups = [[3], [9], [5], [4], [6], [1]]
    assert pack(groups, 100, share=True) == [
        [[(1, 0)], [(4, 0), (0, 0)], [(2, 0), (3, 0)], [(5, 0)]]
    ]
    assert pack(groups, 18, share=True) == [
        [[(1, 0)], [(4, 0), (0, 0)]],  # 9; 6 + 3, although 5 and 4 came before the 3
        [[(2, 0)], [(3, 0), (5, 0)]],  # 5; 4 + 1
    ]


def test_short_and_long_texts_apart_where_rows_are_not_shared() -> None:
    """Padding a 10-token text to 100 tokens costs more than a pass of its own."""
    assert len(pack([[100], [90], [10], [9]], 10**6, share=False)) == 2


def test_packed_rows_are_mostly_real_tokens() -> None:
    """Lengths like a corpus of sentences: 2 to 60 tokens, mostly short."""
    lengths = np.random.default_rng(0).gamma(2.0, 8.0, 400).clip(2, 60).astype(int).tolist()
    groups = [[n] for n in lengths]
    passes = pack(groups, 2048, share=True)
    assert len(passes) > 1
    tokens = sum(len(rows) * width(groups, rows) for rows in passes)
    assert sum(lengths) / tokens > 0.95


def test_nothing_to_pack() -> None:
    assert pack([], 10, share=True) == []


def test_the_budget_holds_for_groups_of_several_rows() -> None:
    groups = [[5, 5], [5, 5]]
    assert [len(rows) for rows in pack(groups, 20, share=True)] == [4]
    assert [len(rows) for rows in pack(groups, 19, share=True)] == [2, 2]
