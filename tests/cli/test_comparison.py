"""Means over jobs that differ in fold or seed, and joint training against single."""

import math

import pytest

from mtl.cli.comparison import joint_lines, mean_lines, weight_lines
from mtl.cli.outcomes import Outcome


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


def trained(number: int, tasks: str, seed: int, **metrics: float) -> Outcome:
    primary = dict.fromkeys(tasks.split(","), "f1")
    return Outcome(
        number,
        f"job-{number}",
        [f"task=[{tasks}]", f"seed={seed}", "trunk.lr=1e-3"],
        status="done",
        metrics={name.replace("_", "/"): value for name, value in metrics.items()},
        primary=primary,
    )


def test_joint_against_single_paired_by_seed() -> None:
    joint, ner = [0.72, 0.75, 0.71], [0.70, 0.71, 0.70]
    outcomes = [
        *(trained(s, "ner,qa", s, test_ner_f1=v, test_qa_f1=0.5) for s, v in enumerate(joint)),
        *(trained(3 + s, "ner", s, test_ner_f1=v) for s, v in enumerate(ner)),
        trained(6, "qa", 2, test_qa_f1=0.6),
    ]
    # By hand: differences 0.02, 0.04, 0.01; deviation 0.0152753, t(2) = 4.302653.
    half = 4.303 * 0.0152753 / math.sqrt(3)
    assert joint_lines(outcomes) == [
        f"test/ner/f1 with qa against alone: +0.0233 ± {half:.4f} (95%), 3 pairs",
        "test/qa/f1 with ner against alone: -0.1000, 1 pair",
    ]


def test_only_jobs_that_are_alike_but_for_their_tasks_are_compared() -> None:
    joint = trained(0, "ner,qa", 1, test_ner_f1=0.5, test_qa_f1=0.5)
    other = trained(1, "ner", 2, test_ner_f1=0.4)
    assert joint_lines([joint, other]) == []
    failed = trained(2, "ner", 1, test_ner_f1=0.4)
    failed.status = "error"
    assert joint_lines([joint, failed]) == []


def test_validation_is_compared_where_a_job_has_no_test() -> None:
    joint = trained(0, "ner,qa", 1, test_ner_f1=0.5, val_ner_f1=0.7)
    alone = trained(1, "ner", 1, val_ner_f1=0.6)
    assert joint_lines([joint, alone]) == ["val/ner/f1 with qa against alone: +0.1000, 1 pair"]


def weighed(*weights: float, monitor: str = "val/score") -> list[Outcome]:
    primary = {"ner": "f1", "sentiment": "accuracy"}
    return [
        Outcome(number, "", [f"tasks.ner.weight={w}"], "done", monitor=monitor, primary=primary)
        for number, w in enumerate(weights)
    ]


def test_a_score_does_not_rank_the_weights_that_it_has() -> None:
    (line,) = weight_lines(weighed(1, 5))
    assert line.endswith("search.objectives=[val/ner/f1,val/sentiment/accuracy]")
    assert weight_lines(weighed(5, 5)) == []
    assert weight_lines(weighed(1, 5, monitor="val/ner/f1")) == []
