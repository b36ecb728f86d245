"""Methods of tasks' own gradients, on two convex tasks, against TorchJD and against the papers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torchjd import aggregation as torchjd

from mtl.training.balancing import AGGREGATORS, Balancing, Moment
from mtl.training.balancing.gradients import combined
from mtl.training.model import seed_torch
from tests.training.balancing.convex import RATE, SEED, kept, losses_of, made, start

STEPS = 8
KINDS = {method.name: method.kind for method in AGGREGATORS}
OPTIONS: dict[str, dict[str, Any]] = {"cagrad": {"c": 0.4}, "fairgrad": {"alpha": 1.0}}


def rows_of(point: Tensor) -> Tensor:
    grads = [torch.autograd.grad(loss, point)[0] for loss in losses_of(point).values()]
    return torch.stack(grads)


def path_of(make: Callable[[Tensor, int], Tensor], steps: int = STEPS) -> Tensor:
    """Go down by what is made of the tasks' gradients; returns all points."""
    point, path = start(), []
    for step in range(steps):
        point = (point - RATE * make(rows_of(point), step)).detach().requires_grad_()
        path.append(point.detach())
    return torch.stack(path)


def ours(balancing: Balancing) -> Callable[[Tensor, int], Tensor]:
    def make(rows: Tensor, step: int) -> Tensor:
        moment = Moment(step, SEED, ["flat", "steep"], {})
        balancing.begin(moment)
        return combined(balancing, kept(rows), moment)

    return make


@pytest.mark.parametrize("name", KINDS)
def test_as_torchjd_by_hand(name: str) -> None:
    more = {"n_tasks": 2} if name == "nash_mtl" else {}
    aggregator = getattr(torchjd, KINDS[name])(**OPTIONS.get(name, {}), **more)

    def theirs(rows: Tensor, step: int) -> Tensor:
        seed_torch(SEED, "balancing", step)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Of a solver, about its speed.
            found: Tensor = aggregator(rows)
        return found

    balancing = made(name, **OPTIONS.get(name, {}))
    found = path_of(ours(balancing))
    assert torch.equal(found, path_of(theirs))
    if name not in ("graddrop", "config"):  # What is logged as weights makes the gradient.
        rows = rows_of(start())
        gradient = ours(balancing)(rows, 0)
        torch.testing.assert_close(torch.tensor(list(balancing.shown().values())) @ rows, gradient)


def test_pcgrad_as_in_the_paper() -> None:
    """Algorithm 1 for two tasks: each gradient loses what points against the other."""

    def paper(rows: Tensor, step: int) -> Tensor:
        first, second = rows
        dot = first @ second
        if dot >= 0:
            return first + second
        return first - dot / (second @ second) * second + second - dot / (first @ first) * first

    rows = rows_of(start())
    assert rows[0] @ rows[1] < 0 or rows_of(start() * 0)[0] @ rows_of(start() * 0)[1] < 0
    torch.testing.assert_close(path_of(ours(made("pcgrad"))), path_of(paper), rtol=1e-4, atol=1e-5)


def test_mgda_as_in_the_paper() -> None:
    """Sener & Koltun 2018, algorithm 1: the shortest mean of two gradients."""

    def paper(rows: Tensor, step: int) -> Tensor:
        first, second = rows
        share = ((second - first) @ second / ((first - second) @ (first - second))).clamp(0, 1)
        return share * first + (1 - share) * second

    found = path_of(ours(made("mgda", epsilon=1e-6, max_iters=1000)))
    torch.testing.assert_close(found, path_of(paper), rtol=1e-3, atol=1e-4)


def test_imtl_g_as_in_the_paper() -> None:
    """Liu et al. 2021, equation 6: equal projections on both directions; weights add up to 1."""

    def paper(rows: Tensor, step: int) -> Tensor:
        first, second = rows
        apart = first / first.norm() - second / second.norm()
        share = second @ apart / ((second - first) @ apart)
        return share * first + (1 - share) * second

    torch.testing.assert_close(path_of(ours(made("imtl_g"))), path_of(paper), rtol=1e-3, atol=1e-4)


def test_upgrad_as_in_the_paper() -> None:
    """Quinton & Rey 2024: the mean of the gradients, each projected on where no task loses."""

    def onto(gradient: Tensor, others: Tensor) -> Tensor:
        against = others[(others @ gradient) < 0]
        assert len(against) <= 1  # One other task.
        for other in against:
            gradient = gradient - other @ gradient / (other @ other) * other
        return gradient

    for seed in range(5):  # Of like norm: TorchJD regularizes what it divides by.
        rows = torch.randn(2, 3, generator=torch.Generator().manual_seed(seed))
        rows[1] = rows[1] * rows[0].norm() / rows[1].norm()
        wanted = torch.stack([onto(row, rows) for row in rows]).mean(dim=0)
        found = ours(made("upgrad"))(rows, 0)
        torch.testing.assert_close(found, wanted, rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["gradvac", "nash_mtl", "pcgrad"])
def test_resumes_with_what_it_knew(name: str) -> None:
    whole = made(name)
    rows = [rows_of(torch.tensor([float(n), 1.0 - n], requires_grad=True)) for n in range(6)]
    make = ours(whole)
    wanted = [make(found, step) for step, found in enumerate(rows)]
    half, other = made(name), made(name)
    before = [ours(half)(found, step) for step, found in enumerate(rows[:3])]
    other.load_state(half.state())
    after = [ours(other)(found, step) for step, found in enumerate(rows[3:], start=3)]
    assert torch.equal(torch.stack(before + after), torch.stack(wanted))


def test_a_set_of_tasks_has_a_memory_of_its_own() -> None:
    weights = {"a": 1.0, "b": 1.0, "c": 1.0}
    rows = torch.tensor([[1.0, 2.0, 0.0], [0.5, -1.0, 1.0], [-2.0, 0.1, 0.3]])
    balancing = made("gradvac", weights)
    for step, names in enumerate((["a", "b"], ["a", "b", "c"], ["a", "b"])):
        combined(balancing, kept(rows[: len(names)]), Moment(step, SEED, names, {}))
    assert set(balancing.state()["memory"]) == {"a,b", "a,b,c"}
    alone = made("gradvac", weights)
    for step in (0, 2):
        combined(alone, kept(rows[:2]), Moment(step, SEED, ["a", "b"], {}))
    assert torch.equal(alone.state()["memory"]["a,b"], balancing.state()["memory"]["a,b"])


def test_nothing_is_made_of_one_task_or_of_what_is_not_finite() -> None:
    balancing = made("upgrad")
    row = torch.tensor([[3.0, -4.0]])
    assert torch.equal(combined(balancing, kept(row), Moment(0, SEED, ["flat"], {})), row[0])
    odd = torch.tensor([[1.0, torch.nan], [2.0, 1.0]])
    found = combined(balancing, kept(odd), Moment(0, SEED, ["flat", "steep"], {}))
    assert not found.isfinite().all()


def test_a_solver_that_fails_is_told_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Any, matrix: Tensor) -> Tensor:
        raise RuntimeError("no solution\nat all")

    monkeypatch.setattr(torchjd.UPGrad, "forward", broken)
    balancing, rows = made("upgrad"), torch.tensor([[1.0, 0.0], [-1.0, 2.0]])
    for step in (4, 5):
        found = combined(balancing, kept(rows), Moment(step, SEED, ["flat", "steep"], {}))
        assert torch.equal(found, rows.sum(dim=0))
    told = " ".join(capsys.readouterr().err.split())
    assert told.count("found no gradient (no solution)") == 1
    assert "step 5: balancing=upgrad" in told
    other = made("upgrad")
    other.load_state(balancing.state())
    assert other.logs()["train/unbalanced_steps"] == 2.0


def test_gradnorm_as_in_the_paper() -> None:
    """Algorithm 1, with the norms' own graph, all points being shared parameters."""
    alpha, rate = 1.5, 0.05
    point, path, weights = start(), [], torch.ones(2, requires_grad=True)
    optimizer = torch.optim.Adam([weights], lr=rate)
    first = torch.stack(list(losses_of(point).values())).detach()
    for _ in range(STEPS):
        losses = torch.stack(list(losses_of(point).values()))
        norms = torch.stack(
            [
                torch.autograd.grad(w * loss, point, create_graph=True)[0].norm()
                for w, loss in zip(weights, losses, strict=True)
            ]
        )
        shares = (losses / first).detach()
        wanted = (norms.mean() * (shares / shares.mean()) ** alpha).detach()
        (gradient,) = torch.autograd.grad(
            (weights.detach() * losses).sum(), point, retain_graph=True
        )
        optimizer.zero_grad()
        (weights.grad,) = torch.autograd.grad((norms - wanted).abs().sum(), weights)
        optimizer.step()
        with torch.no_grad():
            weights.mul_(2 / weights.sum())
        point = (point - RATE * gradient).detach().requires_grad_()
        path.append(point.detach())

    balancing = made("gradnorm", alpha=alpha, lr=rate)

    def learned(count: int) -> Tensor:
        found, now = [], start()
        for step in range(count):
            losses = {n: loss.detach() for n, loss in losses_of(now).items()}
            moment = Moment(step, SEED, list(losses), {})
            balancing.begin(moment)
            factors = torch.tensor([balancing.shown()[name] for name in losses])
            gradient = combined(balancing, kept(factors[:, None] * rows_of(now)), moment)
            balancing.learn(losses, torch.tensor(True))
            now = (now - RATE * gradient).detach().requires_grad_()
            found.append(now.detach())
        return torch.stack(found)

    torch.testing.assert_close(learned(STEPS), torch.stack(path))
    state, more = balancing.state(), made("gradnorm", alpha=alpha, lr=rate)
    more.load_state(state)
    assert str(more.state()) == str(state)
