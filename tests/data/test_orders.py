"""The order of tasks inside an epoch: what every order keeps, and what each one is for."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl.data.mixing import apportion
from mtl.data.orders import ORDERS
from tests.data.tables import TABLES, planner, table
from tests.properties import max_examples

SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=4)


def steps_of(them: object, epoch: int = 0) -> list[list[tuple[int, int]]]:
    plan = them.epoch(epoch)  # type: ignore[attr-defined]
    return [[pair for group in plan.step(n) for pair in group] for n in range(len(plan))]


@pytest.mark.parametrize("order", list(ORDERS))
@given(sizes=SIZES, examples=st.integers(4, 20), seed=st.integers(0, 3))
@max_examples(40)
def test_every_order_has_every_example_in_steps_that_are_not_too_large(
    order: str, sizes: list[int], examples: int, seed: int
) -> None:
    tables = [table(name, n) for name, n in zip("abcd", sizes, strict=False)]
    them = planner(tables, order=order, examples=examples, seed=seed)
    steps = steps_of(them)
    assert len(steps) == them.steps_per_epoch
    assert all(0 < len(step) <= examples for step in steps)
    seen = Counter(pair for step in steps for pair in step)
    assert set(seen) == {(t, i) for t, n in enumerate(sizes) for i in range(n)}
    if order != "every_step":  # There, tasks with fewer examples than steps repeat.
        assert set(seen.values()) == {1}


def test_round_robin_takes_turns() -> None:
    them = planner(TABLES, "uniform", "round_robin")
    tasks = [{task for task, _ in step} for step in steps_of(them)]
    assert all(len(found) == 1 for found in tasks)
    assert [min(found) for found in tasks] == [0, 1, 2] * (len(tasks) // 3)


def test_round_robin_gives_a_larger_task_more_turns() -> None:
    them = planner([table("large", 90), table("small", 30)], order="round_robin", examples=10)
    tasks = "".join(str(step[0][0]) for step in steps_of(them))
    assert sorted(tasks) == sorted("0" * 9 + "1" * 3)
    assert "11" not in tasks


@pytest.mark.parametrize("mixing", ["proportional", "uniform", "temperature"])
def test_every_step_has_every_task(mixing: str) -> None:
    them = planner(TABLES, mixing, "every_step", examples=9)
    for epoch in (0, 1):
        counts = [Counter(task for task, _ in step) for step in steps_of(them, epoch)]
        for task in range(3):
            own = [count[task] for count in counts]
            assert min(own) >= 1
            assert max(own) - min(own) <= 1


def test_texts_of_two_tasks_are_still_read_once() -> None:
    keys = table("ner", 96)["ner"]
    plan = planner([{"ner": keys}, {"sentiment": keys}], order="every_step").epoch(0)
    assert sum(len(plan.step(n)) for n in range(len(plan))) == 96


@given(
    weights=st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 50), min_size=1),
    least=st.integers(0, 3),
    more=st.integers(0, 100),
)
@max_examples(150)
def test_apportion(weights: dict[str, int], least: int, more: int) -> None:
    some = [t for t, w in weights.items() if w]
    if not some:
        return
    total = least * len(some) + more
    found = apportion(total, weights, least)
    assert sum(found.values()) == total
    assert all(found[t] >= least if weights[t] else found[t] == 0 for t in weights)
    whole = sum(weights.values())
    if all(total * weights[t] / whole >= least for t in some):  # Each within one of its share.
        assert all(abs(found[t] - total * weights[t] / whole) < 1 for t in weights)
