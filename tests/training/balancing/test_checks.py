"""What a balancing cannot work with is refused before training."""

from __future__ import annotations

from typing import Any

import pytest

from mtl.config.schema import Config, TaskConfig
from mtl.training.balancing import checks, refusals
from mtl.training.balancing.checks import automatic
from tests.training.site import change


def config(**changes: Any) -> Config:
    cfg = Config(tasks={name: TaskConfig(type="text_classification") for name in ("a", "b")})
    cfg.balancing.name = "sum"
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


@pytest.mark.parametrize("name", ["dwa", "uncertainty", "famo"])
def test_a_trunk_that_does_not_learn_has_nothing_to_balance(name: str) -> None:
    (problem,) = refusals(config(balancing__name=name, tuning__name="frozen"))
    assert problem.expected.startswith("to be sum with tuning=frozen, where tasks share nothing")
    assert "tuning=lora" in problem.advice
    shared = config(balancing__name=name, tuning__name="frozen")
    for task in shared.tasks.values():
        task.head = {"name": "both"}
    assert refusals(shared) == []


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "one task": ({"tasks__b__weight": 0.0}, "where 'a' alone has a weight above 0"),
    "frozen": ({"tuning__name": "frozen"}, "with tuning=frozen, as no trunk learns"),
    "no rate": ({"trunk__lr": 0.0}, "with trunk.lr=0, as no trunk learns"),
    "float16": ({"trainer__precision": "16-mixed"}, "trainer.precision=16-mixed"),
    "one task a step": ({"mixing__order": "round_robin"}, "mixing.order=round_robin"),
    "distillation": ({"init__keep": "distill"}, "with init.keep=distill"),
    "fsdp": ({"trainer__strategy": "fsdp"}, "trainer.strategy=fsdp"),
}


@pytest.mark.parametrize(("changes", "why"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("name", ["upgrad", "gradnorm", "conflict"])
def test_gradients_of_single_tasks(name: str, changes: dict[str, Any], why: str) -> None:
    on = {"balancing__conflict": True} if name == "conflict" else {"balancing__name": name}
    assert refusals(config(**on)) == []
    (problem,) = refusals(config(**on, **changes))
    assert problem.where == ("balancing.conflict" if name == "conflict" else "balancing.name")
    assert why in problem.expected
    other = "balancing.conflict=false" if name == "conflict" else "balancing=sum"
    assert other in problem.advice


@pytest.mark.parametrize("name", ["sum", "upgrad"])
def test_features(name: str) -> None:
    (problem,) = refusals(config(balancing__name=name, balancing__parameters="features"))
    assert "{adapters, last, trunk}, but got 'features'" in str(problem)
    assert "would be the plain sum" in problem.advice
    (problem,) = refusals(config(balancing__name=name, balancing__parameters="adapter"))
    assert "adapters" in problem.advice


@pytest.mark.parametrize("changes", [own for own, _ in REFUSED.values()], ids=list(REFUSED))
def test_the_default_is_the_sum_where_gradients_of_tasks_cannot_be_had(
    changes: dict[str, Any],
) -> None:
    assert automatic(config()) == "equal_norms"
    assert automatic(config(**changes)) == "sum"
    assert automatic(config(tuning__name="lora")) == "equal_norms"
    assert automatic(config(tuning__name="lora", tuning__adapters="per_task")) == "sum"
