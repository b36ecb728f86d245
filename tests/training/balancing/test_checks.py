"""What a balancing cannot work with is refused before training."""

from __future__ import annotations

from typing import Any

import pytest

from mtl.config.schema import Config, TaskConfig
from mtl.training.balancing import checks, refusals
from tests.training.site import change


def config(**changes: Any) -> Config:
    cfg = Config(tasks={name: TaskConfig(type="text_classification") for name in ("a", "b")})
    for key, value in changes.items():
        change(cfg, key.replace("__", "."), value)
    return cfg


def test_what_works_is_not_refused() -> None:
    for name in ("sum", "dwa", "uncertainty", "random"):
        assert refusals(config(balancing__name=name, trainer__strategy="fsdp")) == []
    assert refusals(config(balancing__name="famo")) == []


def test_missing_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "find_spec", lambda name: None)
    (problem,) = refusals(config(balancing__name="dwa"))
    assert problem.where == "balancing.name"
    assert "torchjd is not" in str(problem)
    assert "pip install 'mtl[balancing]'" in problem.advice
    for name in ("sum", "random", "famo"):
        assert refusals(config(balancing__name=name)) == []


def test_losses_ahead_under_fsdp() -> None:
    (problem,) = refusals(config(balancing__name="famo", trainer__strategy="fsdp"))
    assert str(problem).startswith("Expected `balancing.name` to be a method that needs no losses")
