"""The torchmetrics objects: states, ranks, and values that are known."""

from itertools import cycle
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import root_mean_squared_error
from torch import Tensor

from mtl.metrics.base import CountMetric
from mtl.metrics.scores import (
    EntityScores,
    LabelScores,
    Likelihood,
    LikelihoodScores,
    MultiLabelScores,
    NumberScores,
    TextScores,
    TokenScores,
)
from mtl.metrics.texts import AnswerScoring, RougeScoring
from tests.properties import max_examples

TAGS = ["O", "B-X", "I-X", "B-Y", "I-Y"]
GUESS = [["B-X", "I-X", "O"], ["O", "I-Y"], ["B-X", "B-X"], []]
GOLD = [["B-X", "I-X", "O"], ["B-Y", "I-Y"], ["B-X", "I-X"], []]
ONE, TWO = torch.tensor([0, 1, 2, 2, 1]), torch.tensor([0, 1, 1, 2, 0])
MANY = torch.tensor([[1, 0, 1], [0, 0, 0], [1, 1, 0]])
REAL = torch.tensor([1.0, 2.5, 4.0, 0.5])


def tags(start: int, end: int) -> tuple[Tensor, Tensor, list[int]]:
    """Return predicted and true label numbers of some sentences, and their sizes."""
    both = [[TAGS.index(n) for s in side[start:end] for n in s] for side in (GUESS, GOLD)]
    return torch.tensor(both[0]), torch.tensor(both[1]), [len(s) for s in GOLD[start:end]]


def make(name: str) -> tuple[CountMetric[Any], list[tuple[Any, ...]]]:
    """A fresh metric and two batches for it."""
    abc = ["a", "b", "c"]
    cases: dict[str, tuple[CountMetric[Any], list[tuple[Any, ...]]]] = {
        "entity": (EntityScores(TAGS), [tags(0, 1), tags(1, 4)]),
        "token": (TokenScores(TAGS), [tags(0, 2)[:2], tags(2, 4)[:2]]),
        "single": (LabelScores(abc), [(ONE[:2], TWO[:2]), (ONE[2:], TWO[2:])]),
        "multi": (MultiLabelScores(abc), [(MANY, MANY), (MANY, 1 - MANY)]),
        "number": (NumberScores(), [(REAL, REAL + 1), (REAL, REAL**2)]),
        "likelihood": (
            LikelihoodScores(),
            [([Likelihood(3.0, 2, 1, 2.0, 9)],), ([Likelihood(1.0, 1, 0, 1.0, 4)],)],
        ),
    }
    texts = ["the cat sat", "a dog"], [["the cat sat down", "cats"], ["dogs ran"]]
    answers = ["the cat", "x"], [["cat"], ["y"]]
    cases["text"] = (TextScores(RougeScoring()), [texts, (["x"], [["x"]])])
    cases["answer"] = (TextScores(AnswerScoring()), [answers, (["x"], [["x"]])])
    return cases[name]


NAMES = ["entity", "token", "single", "multi", "number", "likelihood", "text", "answer"]


@pytest.mark.parametrize("name", NAMES)
def test_states_are_sums_of_counts(name: str) -> None:
    metric, batches = make(name)
    for batch in batches:
        metric.update(*batch)
    parts = [make(name)[0] for _ in batches]
    for part, batch in zip(parts, batches, strict=True):
        part.update(*batch)
    for state, reduce in metric._reductions.items():
        whole = getattr(metric, state)
        assert whole.dtype in (torch.int64, torch.float64)
        assert whole.shape == metric._defaults[state].shape
        assert reduce(torch.stack([torch.ones(1), torch.ones(1)])) == 2
        torch.testing.assert_close(sum(getattr(p, state) for p in parts), whole)


@pytest.mark.parametrize("name", NAMES)
def test_scores_over_two_ranks_equal_scores_over_one(name: str) -> None:
    one, batches = make(name)
    for batch in batches:
        one.update(*batch)
    ranks = [make(name)[0], make(name)[0]]
    ranks[0].update(*batches[0])
    ranks[1].update(*batches[1])
    other = cycle([getattr(ranks[1], state) for state in one._reductions])

    def gather(state: Tensor, group: object) -> list[Tensor]:
        return [state, next(other)]

    ranks[0].dist_sync_fn = gather
    ranks[0].distributed_available_fn = lambda: True
    assert ranks[0].table() == one.table()
    assert ranks[0].compute() == pytest.approx(one.compute())
    for state in one._reductions:  # the rank keeps its own counts
        assert not torch.equal(getattr(ranks[0], state), getattr(one, state))


@pytest.mark.parametrize("name", NAMES)
def test_reset_and_no_update_give_finite_scores_without_a_warning(name: str) -> None:
    metric, batches = make(name)
    empty = metric.compute()
    metric.update(*batches[0])
    metric.reset()
    assert metric.compute() == empty
    assert all(value in (0.0, 1.0) for value in empty.values())


def test_values() -> None:
    entity, batches = make("entity")
    for batch in batches:
        entity.update(*batch)
    # gold X(0,2) Y(0,2) X(0,2); predicted X(0,2) Y(1,2) X(0,1) X(1,2)
    assert entity.compute() == pytest.approx({"precision": 1 / 4, "recall": 1 / 3, "f1": 2 / 7})
    assert [row[0] for row in entity.table()] == ["overall", "X", "Y"]
    single, batches = make("single")
    for batch in batches:
        single.update(*batch)
    assert single.compute()["accuracy"] == pytest.approx(3 / 5)
    number, batches = make("number")
    number.update(*batches[0])
    assert number.compute() == pytest.approx({"rmse": 1.0, "pearson": 1.0})
    assert number.table()[-1] == ("examples", 4.0)
    answer, batches = make("answer")
    answer.update(*batches[0])
    assert answer.compute() == pytest.approx({"em": 1 / 2, "f1": 1 / 2})


def test_labels_may_be_numbers_or_scores() -> None:
    numbers, scores = LabelScores(["a", "b", "c"]), LabelScores(["a", "b", "c"])
    numbers.update(ONE, TWO)
    scores.update(torch.eye(3)[ONE] * 0.4 + 0.2, TWO)
    assert numbers.compute() == scores.compute()


def test_bfloat16_numbers_are_summed_in_float64() -> None:
    metric = NumberScores(shift=2.0)
    metric.update(REAL.bfloat16(), REAL)
    assert metric.sums.dtype == torch.float64
    assert metric.compute() == pytest.approx({"rmse": 0.0, "pearson": 1.0})


def numbers(*parts: tuple[Any, Any], shift: float = 0.0) -> dict[str, float]:
    metric = NumberScores(shift)
    for guess, gold in parts:
        metric.update(torch.as_tensor(guess), torch.as_tensor(gold))
    return metric.compute()


@max_examples(100)
@given(
    seed=st.integers(0, 2**31),
    n=st.integers(5, 50),
    offset=st.sampled_from([0.0, 3.0, -100.0]),
    cut=st.integers(0, 50),
)
def test_numbers_equal_numpy_and_sklearn_however_split(
    seed: int, n: int, offset: float, cut: int
) -> None:
    generator = np.random.default_rng(seed)
    gold = generator.normal(size=n) + offset
    guess = gold + generator.normal(size=n)
    found = numbers((guess[:cut], gold[:cut]), (guess[cut:], gold[cut:]))
    assert found["rmse"] == pytest.approx(root_mean_squared_error(gold, guess), rel=1e-12)
    assert found["pearson"] == pytest.approx(np.corrcoef(guess, gold)[0, 1], abs=1e-7)


def test_a_shift_keeps_far_away_numbers_exact() -> None:
    generator = np.random.default_rng(0)
    gold = generator.normal(size=1000) + 1e9
    guess = gold + generator.normal(size=1000)
    expected = np.corrcoef(guess - 1e9, gold - 1e9)[0, 1]
    near = numbers((guess, gold), shift=float(gold[:10].mean()))
    assert near["pearson"] == pytest.approx(expected, abs=1e-12)
    assert abs(numbers((guess, gold))["pearson"] - expected) > 1e-6


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6 + 0.1])
def test_a_constant_side_has_correlation_zero(value: float) -> None:
    gold = np.linspace(0, 1, 1001)
    constant = np.full(1001, value)
    assert numbers((constant, gold))["pearson"] == 0.0
    assert numbers((gold, constant))["pearson"] == 0.0


def test_too_few_numbers_are_zero_not_nan() -> None:
    assert numbers() == {"rmse": 0.0, "pearson": 0.0}
    assert numbers(([1.0], [3.0])) == {"rmse": 2.0, "pearson": 0.0}


def test_perfect_correlation_stays_in_range() -> None:
    gold = np.random.default_rng(1).normal(size=100)
    assert numbers((gold * 3 - 1, gold))["pearson"] == pytest.approx(1.0)
    assert -1.0 <= numbers((-gold * 7, gold))["pearson"] <= 1.0
