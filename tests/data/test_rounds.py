"""Shares that change in the course of a run: by epoch, by stage, and by what validations decide."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from mtl.config.schema import StageConfig
from mtl.data.mixing import Dynamic as DynamicMixer
from mtl.data.mixing import DynamicOptions, Moment
from mtl.data.plan import Planner
from mtl.data.rounds import Decision
from tests.data.tables import TABLES, planner, table

TWO = [table("large", 600), table("small", 30)]


def tasks_of(them: Planner, steps: range) -> Counter[int]:
    """How many examples of each task some steps have."""
    return Counter(task for n in steps for group in them.step(n) for task, _ in group)


def test_annealing_goes_from_proportional_towards_uniform() -> None:
    them = planner(TWO, "annealed", epochs=5)
    for epoch in range(5):
        power = 1 - 0.8 * epoch / 4  # Stickland and Murray 2019, e counted from 1 there.
        large, small = 600**power, 30**power
        share = large / (large + small)
        assert them.rounds[epoch].quota["large"] == pytest.approx(630 * share, abs=1)
    assert them.rounds.total == 5 * them.steps_per_epoch


@pytest.mark.parametrize("order", ["mixed", "round_robin", "every_step"])
@pytest.mark.parametrize("mixing", ["annealed", "dynamic", "uniform"])
def test_turns_are_whole_whatever_the_shares_are(order: str, mixing: str) -> None:
    """No example is drawn twice before every other one of its task was drawn once."""
    them = planner(TABLES, mixing, order, epochs=4, every=7)
    for step in (7, 14, 21):
        them.decide(Decision(step, {"ner": 0.9, "sentiment": 0.1 * step / 7, "qa": 0.5}, []))
    drawn = Counter(pair for n in range(28) for group in them.step(n) for pair in group)
    for number, (_, keys) in enumerate(item for t in TABLES for item in t.items()):
        counts = [drawn[number, index] for index in range(len(keys))]
        assert max(counts) - min(counts) <= 1
    assert all(0 < sum(map(len, them.step(n))) <= 32 for n in range(28))


def test_shares_follow_the_distance_to_the_target() -> None:
    mixer = DynamicMixer(DynamicOptions(targets={"a": 0.9}, least=0.0))
    sizes = {"a": 500, "b": 300, "c": 200}
    assert mixer(sizes) == sizes
    found = mixer.at(sizes, Moment(0.5, {"a": 0.8, "b": 0.7, "c": 1.0}))
    assert found == {"a": 250, "b": 750, "c": 1}  # Gaps of 0.1, 0.3 and 0.
    floor = DynamicMixer(DynamicOptions(least=0.3)).at(sizes, Moment(0, {"a": 0, "b": 1, "c": 1}))
    assert floor["b"] / sum(floor.values()) == pytest.approx(0.1 / 1.2, abs=1e-3)


def test_stages_follow_each_other() -> None:
    stages = [
        StageConfig(tasks=["large"], epochs=2),
        StageConfig(tasks=["small"], epochs=3),
        StageConfig(tasks=["large", "small"]),
    ]
    them = planner(TWO, stages=stages, epochs=6, examples=30)
    assert them.rounds.total == 2 * 20 + 3 * 1 + 1 * 21
    assert tasks_of(them, range(40)) == {0: 1200}
    assert tasks_of(them, range(40, 43)) == {1: 90}
    assert tasks_of(them, range(43, 64)) == {0: 600, 1: 30}
    assert them.rounds.drawn() == {"large": 1800, "small": 120}


@pytest.mark.parametrize("order", ["mixed", "round_robin", "every_step"])
def test_a_task_that_left_is_in_no_step_and_the_run_is_as_long(order: str) -> None:
    them = planner(TABLES, order=order, epochs=3, every=5)
    total = them.rounds.total
    before = [them.step(n) for n in range(10)]
    them.decide(Decision(10, {}, ["sentiment"]))
    assert [them.step(n) for n in range(10)] == before
    assert them.rounds.total == total
    counts = tasks_of(them, range(10, total))
    assert counts[1] == 0
    assert counts[2] / counts[0] == pytest.approx(41 / 500, abs=0.02)


def test_the_state_is_all_that_a_plan_needs() -> None:
    def made() -> Planner:
        return planner(TABLES, "dynamic", epochs=3, every=4)

    them = made()
    for step in (4, 8, 12):
        them.step(step - 1)
        scores = np.random.default_rng(step).random(3).tolist()
        them.decide(Decision(step, dict(zip(("ner", "sentiment", "qa"), scores, strict=True)), []))
    other = made()
    other.rounds.load_state(them.rounds.state())
    for n in (13, 2, 20, 7, 12):
        assert other.step(n) == them.step(n)
