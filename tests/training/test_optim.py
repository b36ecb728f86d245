"""Rates, parameter groups and clipping against closed forms and PyTorch's own."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mtl.config.schema import Config, ScheduleConfig
from mtl.config.section import read
from mtl.errors import ConfigError
from mtl.training.model import MultiTaskModel
from mtl.training.optim import (
    SCHEDULES,
    build_optimizer,
    build_schedule,
    clip,
    gradient_norm,
    rate,
    set_rates,
)
from tests.training.site import Site, prepared


def rates(name: str, steps: int, warmup: float, lr: float = 1.0) -> list[float]:
    """Return the rate of every step, as an optimiser sees it."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr)
    options = read(ScheduleConfig, {"name": name, "warmup": warmup})
    schedule = build_schedule(optimizer, options, steps)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_linear_by_hand() -> None:
    assert rates("linear", 10, 0.2, lr=4.0) == pytest.approx(
        [0.0, 2.0, 4.0, 3.5, 3.0, 2.5, 2.0, 1.5, 1.0, 0.5]
    )


def test_cosine_by_hand() -> None:
    half = math.sqrt(0.5)
    assert rates("cosine", 5, 0.2) == pytest.approx([0.0, 1.0, (1 + half) / 2, 0.5, (1 - half) / 2])


def test_constant_by_hand() -> None:
    assert rates("constant", 4, 0.5) == pytest.approx([0.0, 0.5, 1.0, 1.0])


@pytest.mark.parametrize(
    ("name", "library"),
    [
        ("linear", "get_linear_schedule_with_warmup"),
        ("cosine", "get_cosine_schedule_with_warmup"),
    ],
)
@pytest.mark.parametrize(("steps", "climbing"), [(1, 0), (7, 3), (40, 4)])
def test_equals_transformers(name: str, library: str, steps: int, climbing: int) -> None:
    import transformers

    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs: Any = getattr(transformers, library)(optimizer, climbing, steps)
    shape, warmup = SCHEDULES.get(name), climbing / steps
    for step in range(steps):
        assert rate(step, steps, warmup, shape) == pytest.approx(theirs.lr_lambdas[0](step))


@given(
    st.sampled_from(sorted(SCHEDULES)),
    st.integers(1, 500),
    st.floats(0, 1),
    st.integers(0, 600),
)
def test_rates_are_between_zero_and_one(name: str, steps: int, warmup: float, step: int) -> None:
    assert 0.0 <= rate(step, steps, warmup, SCHEDULES.get(name)) <= 1.0


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_without_warmup_the_first_step_has_the_whole_rate(name: str) -> None:
    assert rate(0, 9, 0.0, SCHEDULES.get(name)) == 1.0


def test_rates_are_set_anew() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=8.0)
    schedule = build_schedule(optimizer, ScheduleConfig(warmup=0.0), 4)
    optimizer.step()
    schedule.step()
    optimizer.param_groups[0]["lr"] = 123.0
    set_rates(schedule)
    assert optimizer.param_groups[0]["lr"] == 6.0


def test_unknown_schedule() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=8.0)
    section = ScheduleConfig.model_construct(name="linera")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"schedule\.name.*'linera'.*linear"):
        build_schedule(optimizer, section, 4)


@pytest.fixture
def model(site: Site, tmp_path: Path) -> MultiTaskModel:
    return prepared(site.config("ner", "sentiment"), tmp_path).model


def test_groups_hold_every_parameter_once(model: MultiTaskModel) -> None:
    sections = {"trunk": {"lr": 0.25}, "head": {"lr": 0.5}, "optimizer": {"weight_decay": 0.125}}
    groups = build_optimizer(model, read(Config, sections)).param_groups
    names = {id(p): name for name, p in model.named_parameters()}
    held = [names[id(p)] for group in groups for p in group["params"]]
    assert sorted(held) == sorted(names.values())
    for group in groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            small = "norm" in name or name.endswith("bias")
            assert group["weight_decay"] == (0.0 if small else 0.125)
            assert group["lr"] == (0.25 if name.startswith("trunk.") else 0.5)
            assert group["name"] == ("trunk" if name.startswith("trunk.") else "heads")


def test_a_frozen_trunk_is_in_no_group(model: MultiTaskModel) -> None:
    model.trunk.requires_grad_(False)
    groups = build_optimizer(model, Config()).param_groups
    assert {group["name"] for group in groups} == {"heads"}


@pytest.mark.parametrize("largest", [0.5, 1e9, None])
def test_clipping_equals_torchs(largest: float | None) -> None:
    torch.manual_seed(0)
    ours = [
        nn.Parameter(torch.zeros(3, 2)),
        nn.Parameter(torch.zeros(4)),
        nn.Parameter(torch.ones(1)),
    ]
    theirs = [nn.Parameter(p.detach().clone()) for p in ours]
    for mine, other in zip(ours[:2], theirs[:2], strict=True):  # The last has no gradient.
        mine.grad = torch.randn_like(mine)
        other.grad = mine.grad.clone()
    by_hand = math.sqrt(sum(float((p.grad**2).sum()) for p in ours if p.grad is not None))
    norm = gradient_norm(ours)
    clip(ours, largest, norm)
    expected = nn.utils.clip_grad_norm_(theirs, math.inf if largest is None else largest)
    assert float(norm) == pytest.approx(by_hand)
    assert float(norm) == pytest.approx(float(expected))
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.grad is None or torch.equal(mine.grad, other.grad)  # type: ignore[arg-type]
