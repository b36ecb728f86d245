import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import root_mean_squared_error

from mtl.metrics.regression import pearson, regression_scores, regression_sums, rmse
from tests.properties import max_examples


@max_examples(100)
@given(
    seed=st.integers(0, 2**31),
    n=st.integers(5, 50),
    offset=st.sampled_from([0.0, 3.0, -100.0]),
    cut=st.integers(0, 50),
)
def test_scores_equal_numpy_and_sklearn_however_split(
    seed: int, n: int, offset: float, cut: int
) -> None:
    generator = np.random.default_rng(seed)
    gold = generator.normal(size=n) + offset
    guess = gold + generator.normal(size=n)
    sums = regression_sums(guess[:cut], gold[:cut]) + regression_sums(guess[cut:], gold[cut:])
    assert rmse(sums) == pytest.approx(root_mean_squared_error(gold, guess), rel=1e-12)
    assert pearson(sums) == pytest.approx(np.corrcoef(guess, gold)[0, 1], abs=1e-7)


def test_a_shift_keeps_far_away_numbers_exact() -> None:
    generator = np.random.default_rng(0)
    gold = generator.normal(size=1000) + 1e9
    guess = gold + generator.normal(size=1000)
    expected = np.corrcoef(guess - 1e9, gold - 1e9)[0, 1]
    near = regression_sums(guess, gold, shift=gold[:10].mean())
    assert pearson(near) == pytest.approx(expected, abs=1e-12)
    assert abs(pearson(regression_sums(guess, gold)) - expected) > 1e-6


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6 + 0.1])
def test_a_constant_side_has_correlation_zero(value: float) -> None:
    gold = np.linspace(0, 1, 1001)
    constant = np.full(1001, value)
    assert pearson(regression_sums(constant, gold)) == 0.0
    assert pearson(regression_sums(gold, constant)) == 0.0


def test_too_few_examples_are_zero_not_nan() -> None:
    assert regression_scores(regression_sums([], [])) == {"rmse": 0.0, "pearson": 0.0}
    assert regression_scores(regression_sums([1.0], [3.0])) == {"rmse": 2.0, "pearson": 0.0}


def test_perfect_correlation_stays_in_range() -> None:
    gold = np.random.default_rng(1).normal(size=100)
    assert pearson(regression_sums(gold * 3 - 1, gold)) == pytest.approx(1.0)
    assert -1.0 <= pearson(regression_sums(-gold * 7, gold)) <= 1.0
