"""Losses weighed by the length of their gradients: closed forms, and what is remembered."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from mtl.config.schema import BalancingConfig
from mtl.training.balancing import Balancing, Moment, build_balancing
from mtl.training.balancing.equal_norms import EqualNorms, EqualNormsOptions

WEIGHTS = {"a": 1.0, "b": 1.0}


def made(weights: dict[str, float] = WEIGHTS, **options: float) -> Balancing:
    return build_balancing(weights, BalancingConfig(name="equal_norms", options=options))


def moment(step: int = 0, present: tuple[str, ...] = ("a", "b")) -> Moment:
    return Moment(step, 0, present, {})


def measure(balancing: Balancing, step: int, gradients: dict[str, torch.Tensor]) -> None:
    """One step of losses whose gradients these are, without weights."""
    now = moment(step, tuple(gradients))
    balancing.begin(now)
    factors = {n: balancing.weights[n] * float(balancing.factors[n]) for n in gradients}
    balancing.measure(torch.stack([factors[n] * g.norm() for n, g in gradients.items()]), now)


def test_weighted_gradients_of_a_convex_problem_are_equally_long() -> None:
    """|x - p|^2 and 3 |x - q|^2 at x: gradients 2 (x - p) and 6 (x - q)."""
    x = torch.tensor([1.0, 2.0])
    p, q = torch.tensor([0.0, 0.0]), torch.tensor([4.0, -2.0])
    gradients = {"a": 2 * (x - p), "b": 6 * (x - q)}
    balancing = made()
    measure(balancing, 0, gradients)
    balancing.begin(moment(1))
    found = balancing.shown()
    lengths = {name: found[name] * float(gradients[name].norm()) for name in found}
    assert lengths["a"] == pytest.approx(lengths["b"])
    assert sum(found.values()) == pytest.approx(2)
    ratio = float(gradients["b"].norm() / gradients["a"].norm())
    assert found["a"] / found["b"] == pytest.approx(ratio)


def test_a_tasks_own_weight_is_the_ratio_of_lengths() -> None:
    gradients = {"a": torch.tensor([3.0, 4.0]), "b": torch.tensor([0.5, 0.0])}
    balancing = made({"a": 1.0, "b": 3.0})
    for step in range(4):
        measure(balancing, step, gradients)
    balancing.begin(moment(9))
    found = balancing.shown()
    assert found["b"] * 0.5 == pytest.approx(3 * found["a"] * 5)


def test_the_mean_square_of_measured_norms_counts() -> None:
    balancing = made(decay=0.5)
    assert isinstance(balancing, EqualNorms)
    for step, length in enumerate((2.0, 4.0, 6.0)):
        measure(balancing, step, {"a": torch.tensor([length]), "b": torch.tensor([1.0])})
    assert balancing.squares["a"] == pytest.approx(0.25 * 4 + 0.25 * 16 + 0.5 * 36)
    assert balancing.squares["b"] == pytest.approx(1.0)


def test_factors_are_at_most_so_far_apart() -> None:
    balancing = made(limit=4)
    measure(balancing, 0, {"a": torch.tensor([1e-6]), "b": torch.tensor([1.0])})
    balancing.begin(moment(1))
    found = balancing.shown()
    assert found["a"] / found["b"] == pytest.approx(4)


@pytest.mark.parametrize("length", [0.0, None])
def test_a_task_that_was_not_measured_counts_as_it_is(length: float | None) -> None:
    balancing = made()
    gradients = {"a": torch.tensor([2.0])}
    if length is not None:
        gradients["b"] = torch.tensor([length])
    measure(balancing, 0, gradients)
    balancing.begin(moment(1))
    assert balancing.shown()["b"] == 1.0


def test_a_task_that_is_not_there_has_no_part() -> None:
    balancing = made()
    measure(balancing, 0, {"a": torch.tensor([2.0]), "b": torch.tensor([1.0])})
    balancing.begin(moment(1, ("b",)))
    assert balancing.shown() == {"b": 1.0}


def test_few_steps_are_measured() -> None:
    options = EqualNormsOptions(every=10)
    measured = [step for step in range(41) if EqualNorms.compares_at(step, options)]
    assert measured == [0, 1, 2, 4, 8, 10, 20, 30, 40]
    late = [step for step in range(1000, 2000) if EqualNorms.compares_at(step, options)]
    gaps = [later / step for step, later in pairwise(late)]
    assert gaps == pytest.approx([1.1] * len(gaps), abs=0.001)


def test_what_was_measured_is_kept() -> None:
    balancing, other = made(), made()
    measure(balancing, 0, {"a": torch.tensor([2.0]), "b": torch.tensor([1.0])})
    other.load_state(balancing.state())
    balancing.begin(moment(1))
    other.begin(moment(1))
    assert other.shown() == balancing.shown() != {"a": 1.0, "b": 1.0}
