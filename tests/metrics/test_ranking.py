"""Rankings against scikit-learn, torchmetrics and their definitions."""

from __future__ import annotations

import random
from itertools import cycle
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, ndcg_score
from torch import Tensor
from torchmetrics.retrieval import RetrievalMAP, RetrievalMRR, RetrievalNormalizedDCG

from mtl.metrics.ranking import RankingScores

Row = tuple[int, float, float]
"""Query, predicted relevance, grade."""


def drawn(seed: int, grades: tuple[float, ...] = (0, 0, 0, 1, 2, 3)) -> list[Row]:
    """Return rows of queries of 1 to 30 rows, shuffled; no two scores are equal."""
    rng = random.Random(seed)
    scores = iter(rng.sample(range(10_000), 1_000))
    sizes = [1, 2, 30, *(rng.randint(2, 14) for _ in range(8))]
    rows = [
        (query, next(scores) / 10_000 - 0.5, float(rng.choice(grades)))
        for query, size in enumerate(sizes)
        for _ in range(size)
    ]
    rng.shuffle(rows)
    return rows


def update(metric: RankingScores, rows: list[Row], draws: list[int] | None = None) -> None:
    query, score, grade = zip(*rows, strict=True)
    metric.update(
        torch.tensor(score),
        torch.tensor(grade),
        torch.tensor([2**62 - q for q in query]),  # As large as hashes are.
        torch.tensor(draws or range(len(rows))),
    )


def filled(rows: list[Row], *, relevant: float | None = None, by: int = 7) -> RankingScores:
    metric = RankingScores(relevant)
    for at in range(0, len(rows), by):
        update(metric, rows[at : at + by], list(range(at, at + len(rows[at : at + by]))))
    return metric


def queries(rows: list[Row], relevant: float = 1e-9) -> list[tuple[list[float], list[float]]]:
    """Return scores and grades of each query that has a relevant row."""
    found: dict[int, tuple[list[float], list[float]]] = {}
    for query, score, grade in rows:
        found.setdefault(query, ([], []))[0].append(score)
        found[query][1].append(grade)
    return [(s, g) for s, g in found.values() if max(g) >= relevant]


@pytest.mark.parametrize("seed", range(4))
def test_against_scikit_learn(seed: int) -> None:
    rows = drawn(seed)
    found = filled(rows).compute()
    ndcg = [ndcg_score([g], [s], k=10) for s, g in queries(rows) if len(s) > 1]
    ndcg += [1.0 for s, g in queries(rows) if len(s) == 1]  # Which scikit-learn refuses.
    assert found["ndcg_10"] == pytest.approx(np.mean(ndcg), abs=1e-6)
    precision = [average_precision_score(np.asarray(g) > 0, s) for s, g in queries(rows)]
    assert found["map"] == pytest.approx(np.mean(precision), abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_against_torchmetrics(seed: int) -> None:
    rows = drawn(seed)
    query, score, grade = (torch.tensor(column) for column in zip(*rows, strict=True))
    score += 1  # Of scores up to 0, its MAP takes no row for relevant.
    named: dict[str, Any] = {
        "ndcg_10": (RetrievalNormalizedDCG(top_k=10, empty_target_action="skip"), grade),
        "map": (RetrievalMAP(empty_target_action="skip"), grade > 0),
        "mrr": (RetrievalMRR(empty_target_action="skip"), grade > 0),
    }
    for metric, target in named.values():
        metric.update(score, target.long(), indexes=query.long())
    wanted = {name: float(metric.compute()) for name, (metric, _) in named.items()}
    assert filled(rows).compute() == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("least", [2.0, 2.5])
def test_by_their_definitions_from_a_grade_on(least: float) -> None:
    rows = drawn(9, grades=(1.0, 1.5, 2.0, 3.0))
    precision, reciprocal = [], []
    for scores, grades in queries(rows, least):
        ranked = [g >= least for _, g in sorted(zip(scores, grades, strict=True), reverse=True)]
        at = [place for place, hit in enumerate(ranked, start=1) if hit]
        precision.append(np.mean([number / place for number, place in enumerate(at, start=1)]))
        reciprocal.append(1 / at[0])
    found = filled(rows, relevant=least).compute()
    assert found["map"] == pytest.approx(np.mean(precision), abs=1e-6)
    assert found["mrr"] == pytest.approx(np.mean(reciprocal), abs=1e-6)


def test_order_and_batches_do_not_matter() -> None:
    rows = drawn(3)
    wanted = filled(rows).compute()
    again = list(enumerate(rows))
    random.Random(0).shuffle(again)
    metric = RankingScores()
    for number, row in again:
        update(metric, [row], [number])
    assert metric.compute() == wanted


def test_rows_of_a_query_on_two_ranks() -> None:
    rows = drawn(5)
    one, ranks = filled(rows), [filled(rows[::3]), filled(rows[1::3] + rows[2::3], by=11)]
    other = cycle([ranks[1].keys, ranks[1].values])

    def gather(state: Any, group: Any = None) -> list[Any]:
        return [state, torch.cat(next(other))]

    ranks[0].dist_sync_fn = gather
    ranks[0].distributed_available_fn = lambda: True
    assert ranks[0].compute() == pytest.approx(one.compute())
    assert [row.name for row in ranks[0].table()][3:] == [
        "queries",
        "queries without relevant rows",
    ]
    assert [row.value for row in ranks[0].table()] == [row.value for row in one.table()]


def test_equal_scores_prefer_no_place_in_the_file() -> None:
    """A guess that is the same for all rows gets what chance gets, whatever stands first."""
    rows = [(q, 0.5, float(n == 0)) for q in range(2_000) for n in range(4)]
    draws = torch.randint(0, 2**62, (len(rows),), generator=torch.Generator().manual_seed(0))
    metric = RankingScores()
    update(metric, rows, draws.tolist())
    found = metric.compute()
    chance = np.mean([1 / place for place in (1, 2, 3, 4)])
    assert found["mrr"] == pytest.approx(chance, abs=0.02)
    assert found["map"] == pytest.approx(chance, abs=0.02)
    assert found["ndcg_10"] == pytest.approx(np.mean(1 / np.log2([2, 3, 4, 5])), abs=1e-5)


def test_queries_without_a_relevant_row_are_left_out_and_counted() -> None:
    metric = filled([(1, 0.1, 0.0), (1, 0.3, 0.0), (2, 0.1, 0.0), (2, 0.2, 1.0)])
    assert metric.compute() == {"ndcg_10": 1.0, "map": 1.0, "mrr": 1.0}
    assert [row.value for row in metric.table()][3:] == [2, 1]
    assert set(filled([(1, 0.1, 0.0)]).compute().values()) == {0.0}


def test_nothing_counted_scores_nothing() -> None:
    metric = RankingScores()
    assert set(metric.compute().values()) == {0.0}
    assert metric.table() == []


def test_states_are_forgotten() -> None:
    metric = filled(drawn(1))
    metric.reset()
    parts: list[Tensor] = [*metric.keys, *metric.values]
    assert not sum(map(len, parts))
