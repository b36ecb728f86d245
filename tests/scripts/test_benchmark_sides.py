"""The benchmarks' own side: it trains through Lightning, counts what it did, and starts again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scripts.benchmarks.cases import joint
from scripts.benchmarks.ours import SKIPPED, Training


@pytest.fixture(scope="module")
def training() -> Iterator[Training]:
    line = ["task=sentiment", "trunk=tiny", "tasks.sentiment.data.max_examples=12", "logger=none"]
    made = Training([*line, "batching.examples=3", "seed=1"], threads=1)
    yield made
    made.folder.cleanup()


def test_a_round_counts_all_steps_but_the_first(training: Training) -> None:
    steps = SKIPPED + 2
    timing = training.round(steps)
    counted = [training.step(number) for number in range(SKIPPED, steps)]
    assert timing.steps == 2
    assert timing.examples == sum(step.examples for step in counted) == 6
    assert timing.tokens == sum(step.tokens for step in counted)


def test_rounds_begin_with_the_same_weights(training: Training) -> None:
    before = training.loss()
    training.round(SKIPPED + 1)
    weights = training.model.state_dict()
    assert any((weights[n] != value).any() for n, value in training.start.items())
    assert training.loss() == before


def test_an_epoch_after_the_first_steps_has_every_example_once(training: Training) -> None:
    steps = training.prepared.data.planner.steps_per_epoch
    loader = training.prepared.data.train_dataloader()
    counted = [loader.step(number).examples for number in range(SKIPPED, steps + SKIPPED)]
    assert sum(counted) == joint.size(training) == 12
    assert joint.epoch(training)() > 0
