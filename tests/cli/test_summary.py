"""The mean over jobs that differ in their fold or seed."""

import math

import pytest

from mtl.cli.outcomes import Outcome
from mtl.cli.summary import mean_lines


def jobs(*given: tuple[str, float | None]) -> list[Outcome]:
    return [Outcome(n, f"job-{n}", text.split(), score=s) for n, (text, s) in enumerate(given)]


def test_the_mean_of_folds() -> None:
    scores = [0.5, 0.6, 0.55, 0.65, 0.6]
    found = mean_lines(
        jobs(*((f"task=a tasks.a.data.fold={n + 1}/5", score) for n, score in enumerate(scores)))
    )
    # By hand: mean 0.58, standard deviation 0.0570088, t(4) = 2.776445.
    half = 2.776 * 0.0570088 / math.sqrt(5)
    assert found == [f"mean of 5 jobs 0.5800 ± {half:.4f} (95%)"]


def test_a_mean_for_each_setting() -> None:
    found = mean_lines(
        jobs(
            *((f"task=a trunk.lr=1e-3 seed={n}", 0.5 + n / 10) for n in range(3)),
            *((f"task=a trunk.lr=1e-4 seed={n}", None if n == 2 else 0.5) for n in range(3)),
        )
    )
    assert [line.partition(" ±")[0] for line in found] == [
        "trunk.lr=1e-3: mean of 3 jobs 0.6000",
        "trunk.lr=1e-4: mean of 2 jobs 0.5000",
    ]


@pytest.mark.parametrize(
    "given",
    [
        [("task=a trunk.lr=1", 0.5), ("task=a trunk.lr=2", 0.6)],
        [("task=a seed=1", 0.5)],
        [("task=a seed=1", 0.5), ("task=a seed=2", None)],
    ],
)
def test_no_mean_where_nothing_is_repeated(given: list[tuple[str, float | None]]) -> None:
    assert mean_lines(jobs(*given)) == []
