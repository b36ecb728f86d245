"""What the keys of a mixture must hold, and what is said where they do not."""

from __future__ import annotations

import pytest

from tests.config.conftest import compose, refusal

REFUSED = [
    (["mixing.order=robin"], "`mixing.order` to be one of {every_step, mixed, round_robin}"),
    (["mixing=every_step", "batching.examples=1"], "`batching.examples` to be at least 2"),
    (["mixing.stages=[{tasks:[ner],epochs:1},{tasks:[ner]}]"], "none trains 'sentiment'"),
    (["mixing.stages=[{tasks:[ner]},{tasks:[ner,sentiment]}]"], "`mixing.stages[0].epochs`"),
    (["mixing.stages=[{tasks:[ner,sentiment],epochs:2}]"], "`mixing.stages[0].epochs` to be unset"),
    (["mixing.stages=[{tasks:[nerd],epochs:1},{tasks:[ner,sentiment]}]"], "Did you mean 'ner'?"),
    (["mixing.stages=[{epochs:1},{tasks:[ner,sentiment]}]"], "`mixing.stages[0].tasks` to name"),
    (
        ["mixing.stages=[{tasks:[ner],epochs:3},{tasks:[ner,sentiment]}]", "trainer.max_epochs=3"],
        "`trainer.max_epochs` to be above 3",
    ),
    (
        ["mixing.stages=[{tasks:[ner],epochs:1},{tasks:[ner,sentiment]}]", "mixing.patience=1"],
        "`mixing.patience` to be unset",
    ),
    (["mixing.min_delta=0.1"], "`mixing.min_delta` to be 0 without mixing.patience"),
    (["mixing=annealed", "mixing.options.final=2"], "`mixing.options.final` to be a number from 0"),
    (["mixing=dynamic", "mixing.options.targets.ner=0"], "`mixing.options.targets.ner`"),
]


@pytest.mark.parametrize(("overrides", "told"), REFUSED, ids=[told for _, told in REFUSED])
def test_what_cannot_work_is_refused(overrides: list[str], told: str) -> None:
    assert told in refusal("task=ner,sentiment", *overrides)


def test_targets_are_written_on_the_command_line() -> None:
    for typed in ("mixing.options.targets={ner:0.9}", "mixing.options.targets.ner=0.9"):
        mixing = compose("task=ner,sentiment", "mixing=dynamic", typed).config.mixing
        assert mixing.options == {"targets": {"ner": 0.9}, "least": 0.1}


def test_stages_are_written_on_the_command_line() -> None:
    stages = "mixing.stages=[{tasks:[ner],epochs:1},{tasks:[ner,sentiment]}]"
    found = compose("task=ner,sentiment", stages).config.mixing.stages
    assert [(stage.tasks, stage.epochs) for stage in found] == [
        (["ner"], 1),
        (["ner", "sentiment"], None),
    ]
