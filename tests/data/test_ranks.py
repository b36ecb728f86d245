"""Groups shared between ranks: all of them, once, and evenly."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mtl.data.plan import split_ranks

SIZES = st.lists(st.integers(1, 500), max_size=60)


@given(SIZES, st.integers(1, 8))
def test_shares_are_a_partition(sizes: list[int], world: int) -> None:
    shares = split_ranks(sizes, world)
    assert len(shares) == world
    assert sorted(g for share in shares for g in share) == list(range(len(sizes)))
    assert all(share == sorted(share) for share in shares)


@given(SIZES.filter(bool), st.integers(1, 8))
def test_no_rank_is_ahead_by_more_than_one_group(sizes: list[int], world: int) -> None:
    """Graham's bound, and that the fullest rank without its smallest group is no fuller."""
    loads = [[sizes[g] for g in share] for share in split_ranks(sizes, world)]
    fullest = max(loads, key=sum)
    assert sum(fullest) - min(fullest) <= min(map(sum, loads))
    best = max(max(sizes), -(-sum(sizes) // world))
    assert sum(fullest) <= (4 / 3) * best + max(sizes) / 3


def test_one_rank_has_all() -> None:
    assert split_ranks([3, 1, 2], 1) == [[0, 1, 2]]


def test_fewer_groups_than_ranks() -> None:
    assert split_ranks([5], 3) == [[0], [], []]
