"""Rows that belong to queries: grades, what is asked for, and scores over a split."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from mtl.errors import ConfigError, DataError
from mtl.tasks.base import asks, own_metrics
from tests.tasks.samples import TEXTS, Sample, every, place, score_of


def ranked(labels: list[Any], queries: str = "aabbb", **options: Any) -> Sample:
    rows = [
        {"text": text, "label": label, "query": query}
        for text, label, query in zip(TEXTS, labels, queries, strict=True)
    ]
    return Sample("text_classification", rows, options=options)


@pytest.mark.parametrize(
    ("labels", "options", "grades", "least"),
    [
        ([0, 1, 0, 1, 1], {}, [0, 1, 0, 1, 1], None),
        ([0, 2, 3, 1, 0], {}, [0, 2, 3, 1, 0], None),
        ([0, 2, 3, 1, 0], {"relevant": "2"}, [0, 2, 3, 1, 0], 2.0),
        (["no", "yes", "no", "yes", "no"], {}, [0, 1, 0, 1, 0], None),
        (["bad", "good", "so-so", "good", "bad"], {"relevant": "good"}, [0, 1, 0, 1, 0], 1.0),
        ([1, 2.5, 4, 3, 1], {"problem": "regression", "relevant": "3"}, [1, 2.5, 4, 3, 1], 3.0),
        ([0, 2.5, 4, 3, 1], {"problem": "regression"}, [0, 2.5, 4, 3, 1], None),
    ],
)
def test_grades(labels: list[Any], options: Any, grades: list[float], least: float | None) -> None:
    sample = ranked(labels, **options)
    task = sample.task()
    assert task.learned.least == least  # type: ignore[attr-defined]
    found = every(task, sample.placed())
    assert [float(one.extra["grade"][0]) for one in found.encoded] == grades
    numbers = [int(one.extra["query"][0]) for one in found.encoded]
    assert [numbers.index(n) for n in numbers] == [0, 0, 2, 2, 2]


@pytest.mark.parametrize(
    ("labels", "options", "fault"),
    [
        (["bad", "good", "bad", "good", "bad"], {}, r"`tasks\.sample\.options\.relevant` .*bad, g"),
        (["bad", "good", "bad", "good", "bad"], {"relevant": "god"}, "Did you mean 'good'"),
        ([1, 2, 1, 3, 2], {}, r"options\.relevant` .*the least is 1"),
        ([-1, 2, 1, 3, 2], {}, r"columns\.label` to have grades of 0 or more.*got -1"),
        ([0, 1, 2, 3, 4], {"problem": "regression", "relevant": "much"}, "to be a number, but got"),
        (
            [["a"], [], ["b"], ["a"], []],
            {"problem": "multi"},
            r"columns\.query` to be unset .*problem=multi",
        ),
    ],
)
def test_what_says_nothing_of_relevance_is_asked_for(
    labels: list[Any], options: Any, fault: str
) -> None:
    with pytest.raises(ConfigError, match=fault):
        ranked(labels, **options).task()


def test_a_row_of_no_query_is_told() -> None:
    sample = ranked([0, 1, 0, 1, 0])
    rows = sample.placed()
    fault = r"data\.jsonl:4: Expected the query that the row belongs to \(`tasks\.sample\.columns"
    del rows[3]["query"]
    with pytest.raises(DataError, match=fault):
        sample.task(learned=False).learn(rows)
    with pytest.raises(DataError, match=fault):
        every(sample.task(), rows)


def test_without_queries_nothing_is_ranked() -> None:
    bare = Sample(
        "text_classification",
        [{k: v for k, v in row.items() if k != "query"} for row in ranked([0, 1, 0, 1, 0]).rows],
    )
    assert not {"ndcg_10", "map", "mrr"} & {*own_metrics(bare.task())}
    wanted = Sample("text_classification", bare.rows, metric="mrr")
    with pytest.raises(ConfigError, match=r"tasks\.sample\.metric.*belong to no queries"):
        wanted.task()


def test_predictions_ask_for_no_query() -> None:
    assert asks(ranked([0, 1, 0, 1, 0]).task()) == []


def test_rows_are_ranked_by_the_expected_grade() -> None:
    """Which for two labels is the probability of the relevant one."""
    sample = ranked([0, 2, 2, 0, 1])
    task, rows = sample.task(), place(sample.rows)
    outputs = [np.random.default_rng(n).dirichlet([1, 1, 1]).astype("f4") for n in range(5)]
    found = score_of(task, (outputs, every(task, rows)))
    scores = [float(output @ [0, 1, 2]) for output in outputs]
    wanted = [
        ndcg_score([[row["label"] for row in rows[part]]], [scores[part]], k=10)
        for part in (slice(0, 2), slice(2, 5))
    ]
    assert found["ndcg_10"] == pytest.approx(np.mean(wanted), abs=1e-6)
