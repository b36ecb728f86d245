"""Methods of losses alone, on two convex tasks, against the papers' formulas and TorchJD."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torchjd import scalarization as torchjd

from mtl.training.balancing import Moment
from tests.training.balancing.convex import RATE, descend, losses_of, made, start

STEPS = 12
METHODS: dict[str, dict[str, Any]] = {
    "sum": {},
    "random": {},
    "geometric_mean": {},
    "stch": {"mu": 0.5},
    "dwa": {"window": 3},
    "uncertainty": {"lr": 0.05},
    "imtl_l": {"lr": 0.05},
    "famo": {"lr": 0.1},
}


def values(point: Tensor) -> Tensor:
    return torch.stack(list(losses_of(point).values()))


def same(found: list[Tensor], wanted: list[Tensor]) -> None:
    torch.testing.assert_close(torch.stack(found), torch.stack(wanted), rtol=1e-5, atol=1e-6)


def by_hand(combine: Any, more: list[Any] | None = None, lr: float = 0.0) -> list[Tensor]:
    point = start()
    groups: list[dict[str, Any]] = [{"params": [point]}]
    groups += [{"params": more, "lr": lr}] if more else []
    optimizer, path = torch.optim.SGD(groups, lr=RATE), []
    for _ in range(STEPS):
        optimizer.zero_grad()
        combine(values(point)).backward()
        optimizer.step()
        path.append(point.detach().clone())
    return path


@pytest.mark.parametrize(
    ("name", "options", "combine"),
    [
        ("geometric_mean", {}, torchjd.GeometricMean()),
        ("stch", {"mu": 0.5}, torchjd.STCH(0.5)),
    ],
)
def test_without_memory_as_torchjd(name: str, options: dict[str, Any], combine: Any) -> None:
    same(descend(made(name, **options), STEPS), by_hand(combine))


@pytest.mark.parametrize(
    ("name", "combine"), [("uncertainty", torchjd.UW(2)), ("imtl_l", torchjd.IMTLL(2))]
)
def test_learned_as_torchjd(name: str, combine: Any) -> None:
    found = descend(made(name, lr=0.05), STEPS)
    same(found, by_hand(combine, list(combine.parameters()), lr=0.05))


def test_uncertainty_as_in_the_paper() -> None:
    """Equation 7 for two regressions, over sigma itself, at its optimum: sigma^2 is the loss."""
    point = start().detach()
    balancing = made("uncertainty", lr=0.5)
    (flat, steep) = balancing.parameters()
    optimizer = torch.optim.SGD([flat, steep], lr=0.5)
    for _ in range(200):
        balancing.learn(losses_of(point), torch.tensor(True))
        optimizer.step()
    torch.testing.assert_close(torch.stack([flat, steep]).exp().detach(), values(point))
    balancing.begin(Moment(0, 0, ["flat", "steep"], {}))
    wanted = [0.5 / float(loss) for loss in values(point)]
    assert list(balancing.shown().values()) == pytest.approx(wanted, rel=1e-4)


def test_famo_as_torchjd() -> None:
    """All steps have the same examples: the next step's losses are those after the update."""
    famo, point, path = torchjd.FAMO(2, lr=0.1), start(), []
    optimizer = torch.optim.SGD([point], lr=RATE)
    for _ in range(STEPS):
        optimizer.zero_grad()
        famo(values(point)).backward()
        optimizer.step()
        famo.update(values(point))
        path.append(point.detach().clone())
    same(descend(made("famo", lr=0.1), STEPS), path)


def test_dwa_as_in_the_paper() -> None:
    """Equation 7 of Liu et al. 2019, an epoch being three steps."""
    point, path = start(), []
    epochs: list[list[Tensor]] = [[]]
    for step in range(STEPS):
        losses = values(point)
        factors = torch.ones(2)
        if len(epochs) > 2:
            means = [torch.stack(epoch).mean(dim=0) for epoch in epochs[-3:-1]]
            powers = [math.exp(float(r) / 2.0) for r in means[1] / means[0]]
            factors = torch.tensor([2 * p / sum(powers) for p in powers])
        (gradient,) = torch.autograd.grad((factors * losses).sum(), point)
        point = (point - RATE * gradient).detach().requires_grad_()
        path.append(point.detach().clone())
        epochs[-1].append(losses.detach())
        if step % 3 == 2:
            epochs.append([])
    found = descend(made("dwa", window=3), STEPS)
    same(found, path)


def test_random_weights() -> None:
    """Softmax of normal draws: they add up to 1, and a step has the same ones every time."""
    balancing = made("random")
    drawn = []
    for step in range(4000):
        balancing.begin(Moment(step, 3, ["flat", "steep"], {}))
        drawn.append(list(balancing.shown().values()))
    found = torch.tensor(drawn)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(4000))
    # The difference of two normal draws has variance 2.
    odds = (found[:, 0] / found[:, 1]).log()
    assert abs(float(odds.mean())) < 0.1
    assert float(odds.var()) == pytest.approx(2.0, rel=0.1)
    again = made("random")
    again.begin(Moment(5, 3, ["flat", "steep"], {}))
    assert list(again.shown().values()) == drawn[5]


@pytest.mark.parametrize(("name", "options"), METHODS.items(), ids=METHODS)
def test_a_weight_is_a_factor(name: str, options: dict[str, Any]) -> None:
    plain, weighted = made(name, **options), made(name, {"flat": 3.0, "steep": 0.0}, **options)
    alone = made(name, {"flat": 1.0}, **options)
    point = start()
    for balancing in (plain, weighted, alone):
        losses = {n: loss for n, loss in losses_of(point).items() if n in balancing.weights}
        known = {n: loss.detach() for n, loss in losses.items() if n in balancing.tasks}
        balancing.begin(Moment(0, 3, list(known), known))
        total = balancing(losses).detach()
        if balancing is not plain:
            one = balancing.weights["flat"] * float(balancing.factors.get("flat", 1.0))
            assert float(total) == pytest.approx(one * float(known["flat"]), rel=1e-6)
    assert weighted.factors == alone.factors  # A task of weight 0 is not balanced.


@pytest.mark.parametrize(("name", "options"), METHODS.items(), ids=METHODS)
def test_resumes_with_what_it_knew(name: str, options: dict[str, Any]) -> None:
    """From a state as a checkpoint holds it, the path goes on bit for bit; tasks may be absent."""

    def absent(step: int) -> set[str]:
        return {"steep"} if step % 4 == 1 else {"flat"} if step % 5 == 3 else set()

    whole = descend(made(name, **options), STEPS, absent)
    half = made(name, **options)
    before = descend(half, 7, absent)
    other = made(name, **options)
    other.load_state(half.state())
    point = before[-1].clone().requires_grad_()
    after = descend(other, STEPS - 7, absent, first=7, point=point)
    assert torch.equal(torch.stack(before + after), torch.stack(whole))


@pytest.mark.parametrize("name", ["uncertainty", "imtl_l", "famo"])
def test_an_absent_task_is_left_alone(name: str) -> None:
    balancing = made(name)
    descend(balancing, 4)
    before = balancing.state()
    descend(balancing, 3, lambda step: {"steep"})
    after = balancing.state()
    if name == "famo":
        assert before["before"]["steep"] == after["before"]["steep"]
        before, after = before["logits"], after["logits"]
    assert before["steep"] == after["steep"]


@pytest.mark.parametrize("name", ["dwa", "famo"])
def test_learns_nothing_of_a_step_that_is_left_out(name: str) -> None:
    balancing = made(name, **METHODS[name])
    descend(balancing, 4)
    before = balancing.state()
    bad = {"flat": torch.tensor(math.nan), "steep": torch.tensor(math.inf)}
    balancing.learn(bad, torch.tensor(False))
    after = balancing.state()
    key = "before" if name == "famo" else "sums"
    assert str(before[key]) == str(after[key])
