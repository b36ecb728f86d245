"""The plan of an epoch: what it contains, in what order, and what that depends on."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl.data.plan import EpochPlan, fill, generator
from tests.data.tables import TABLES, digest, planner, table
from tests.properties import max_examples

Pair = tuple[int, int]


def pairs(plan: EpochPlan) -> list[Pair]:
    return list(zip(plan.task.tolist(), plan.example.tolist(), strict=True))


def order_of(plan: EpochPlan, task: int) -> list[int]:
    return plan.example[plan.task == task].tolist()


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=4),
    st.integers(1, 40),
    st.integers(1, 5),
    st.integers(0, 3),
    st.none() | st.integers(1, 20),
)
@max_examples(150)
def test_every_example_once_in_steps_of_exact_size(
    sizes: list[int], examples: int, max_branches: int, epoch: int, documents: int | None
) -> None:
    tables = [table(f"t{i}", n, documents=documents) for i, n in enumerate(sizes)]
    them = planner(tables, examples=examples, max_branches=max_branches)
    plan = them.epoch(epoch)
    steps = [plan.step(s) for s in range(len(plan))]
    assert len(steps) == them.steps_per_epoch
    found = [pair for step in steps for group in step for pair in group]
    assert Counter(found) == Counter((t, e) for t, n in enumerate(sizes) for e in range(n))
    counts = [sum(map(len, step)) for step in steps]
    assert counts[:-1] == [examples] * (len(steps) - 1)
    assert 1 <= counts[-1] <= examples
    for group in (group for step in steps for group in step):
        assert len({int(tables[t][f"t{t}"][e]) for t, e in group}) == 1, "unequal documents share"
        assert len(group) <= max_branches


def test_equal_documents_stand_together() -> None:
    plan = planner(TABLES, max_branches=4).epoch(0)
    groups = [g for s in range(len(plan)) for g in plan.step(s)]
    documents = Counter(TABLES[1]["sentiment"].tolist())
    least = sum(-(-n // 4) for n in documents.values()) + 500 + 41
    assert least <= len(groups) <= least + len(plan), "at most one group is cut a step"


def test_the_same_in_another_process() -> None:
    code = "from tests.data.tables import *; print(digest(planner(TABLES).epoch(3)))"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert found == digest(planner(TABLES).epoch(3))


def test_it_depends_on_seed_and_epoch_alone() -> None:
    them = planner(TABLES)
    late = digest(them.epoch(5))
    assert digest(them.epoch(5)) == late
    digests = {digest(planner(TABLES, seed=s).epoch(e)) for s in (7, 8) for e in (0, 1, 5)}
    assert len(digests) == 6
    assert late in digests


def test_generators_do_not_collide() -> None:
    """The same characters in other places, or another type of number, are another stream."""
    purposes: list[tuple[int, *tuple[str | int, ...]]] = [
        (1, "a", 1),
        (1, "a1"),
        (11, "a"),
        (1, "a", "", 1),
        (1, "", "a", 1),
    ]
    assert len({int(generator(*p).integers(2**62)) for p in purposes}) == len(purposes)


@pytest.mark.parametrize("mixing", ["uniform", "temperature"])
def test_quotas_hold_every_epoch(mixing: str) -> None:
    them = planner(TABLES, mixing)
    wanted = [them.rounds[0].quota[name] for table in TABLES for name in table]
    assert wanted != [500, 300, 41]
    for epoch in range(4):
        found = np.bincount(them.epoch(epoch).task, minlength=3).tolist()
        assert found == wanted


def test_sub_sampling_walks_through_the_whole_task_before_it_repeats() -> None:
    tables = [table("large", 100), table("small", 10)]
    them = planner(tables, "uniform")
    assert them.rounds[0].quota == {"large": 55, "small": 55}
    seen: dict[int, list[Counter[int]]] = {0: [], 1: []}
    for epoch in range(20):
        plan = them.epoch(epoch)
        for task in seen:
            seen[task].append(Counter(order_of(plan, task)))
    for task, size in ((0, 100), (1, 10)):
        so_far: Counter[int] = Counter()
        for counts_of_epoch in seen[task]:
            so_far += counts_of_epoch
            counts = [so_far[i] for i in range(size)]
            assert max(counts) - min(counts) <= 1, "one example is ahead of another by two turns"


def test_repeats_of_an_example_do_not_share_one_encoding() -> None:
    """A second turn of the same example is a group of its own."""
    them = planner([table("large", 400), table("small", 5)], "uniform", examples=10**6)
    for group in them.epoch(0).step(0):
        assert len(set(group)) == len(group)


@pytest.mark.parametrize("branches", [1, 4])
@pytest.mark.parametrize("others", [[1, 0, 2], [0, 2, 1], [0, 1], [1, 0]])
def test_another_task_leaves_a_tasks_order_alone(others: list[int], branches: int) -> None:
    """Wherever it stands; but for a few places where groups are moved to fill steps."""
    for task in (0, 1):
        alone = planner([TABLES[task]], max_branches=branches)
        beside = planner([TABLES[i] for i in others], max_branches=branches)
        for epoch in range(3):
            found = order_of(beside.epoch(epoch), others.index(task))
            expected = order_of(alone.epoch(epoch), 0)
            assert sorted(found) == sorted(expected)
            moved = np.argsort(found) - np.argsort(expected)
            assert abs(moved).mean() < (branches - 1) * 2 or found == expected


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(1, 20))
@max_examples(300)
def test_steps_are_filled_with_whole_groups(sizes: list[int], room: int) -> None:
    chosen = fill(sizes, room)
    places, taken = [p for p, _ in chosen], [n for _, n in chosen]
    assert places[0] == 0, "what waits longest is served first"
    assert places == sorted(set(places))
    assert sum(taken) == min(room, sum(sizes))
    cut = [p for p, n in chosen if n < sizes[p]]
    assert cut in ([], [places[-1]])
    rest = range(1, len(sizes))
    choices = (c for n in range(len(sizes)) for c in itertools.combinations(rest, n))
    if any(sizes[0] + sum(sizes[i] for i in c) == room for c in choices):
        assert not cut


def test_few_groups_are_cut() -> None:
    """Paragraphs with about five questions, of which three or so fit into a step."""
    rng = np.random.default_rng(0)
    keys = np.repeat(np.arange(400), rng.choice([3, 4, 5, 5, 5, 6], 400)).astype(np.uint64)
    plan = planner([{"qa": keys}], max_branches=16, examples=16).epoch(0)
    groups = sum(len(plan.step(s)) for s in range(len(plan)))
    assert 400 <= groups < 410


def test_epochs_are_shuffled() -> None:
    them = planner([TABLES[0]])
    first, second = order_of(them.epoch(0), 0), order_of(them.epoch(1), 0)
    assert first != second
    assert first != sorted(first)
    for order in (first, second):
        correlation = np.corrcoef(order, np.arange(500))[0, 1]
        assert abs(correlation) < 0.2


@pytest.mark.parametrize("sizes", [[1000, 10], [300, 200, 100], [50, 50]])
def test_tasks_are_spread_evenly(sizes: list[int]) -> None:
    """Between one example of a task and its next lie at most twice the mean gap, and a few."""
    tables = [table(f"t{i}", n) for i, n in enumerate(sizes)]
    for epoch in range(5):
        plan = planner(tables).epoch(epoch)
        for task, size in enumerate(sizes):
            at = np.flatnonzero(plan.task == task).tolist()
            edges = [-1, *at, sum(sizes)]
            gaps = [after - before for before, after in pairwise(edges)]
            assert max(gaps) <= 2 * sum(sizes) / size + 2 * len(sizes)


def test_a_task_without_examples() -> None:
    plan = planner([table("ner", 0), table("qa", 5)]).epoch(0)
    assert sorted(pairs(plan)) == [(1, i) for i in range(5)]


def test_an_examples_place_costs_few_bytes() -> None:
    plan = planner([table("ner", 10_000)]).epoch(0)
    size = plan.task.nbytes + plan.example.nbytes + plan.group.nbytes
    assert size <= 100 * 10_000
