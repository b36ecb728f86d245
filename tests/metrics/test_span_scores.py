"""Scores of span extraction against the corpus functions, which equal the official script."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from mtl.metrics.spans import ALWAYS, SpanScores
from mtl.metrics.squad_corpus import squad_v1, squad_v2

WORDS = ["the cat", "a cat", "red hats", "1999", "in 1999", "Ines Talbot"]


class Guess(NamedTuple):
    """The best span's text, and how much "no answer" is preferred."""

    text: str
    no_answer: float


class Spans(SpanScores):
    """A metric whose threshold a test sets, and which takes guesses."""

    def __init__(self, impossible: bool) -> None:
        super().__init__(impossible, lambda: self.at)
        self.at = ALWAYS

    def add(self, guesses: list[Guess], golds: list[list[str]]) -> None:
        self.update([g.text for g in guesses], golds, [g.no_answer for g in guesses])


def drawn(seed: int, impossible: bool, count: int = 40) -> tuple[list[Guess], list[list[str]]]:
    """Return guesses and right answers; some preferences for no answer are equal."""
    rng = random.Random(seed)
    golds = [
        [] if impossible and rng.random() < 0.4 else rng.sample(WORDS, rng.randint(1, 2))
        for _ in range(count)
    ]
    guesses = [
        Guess(rng.choice([*WORDS, ""] if impossible else WORDS), round(rng.gauss(0, 2), 1))
        for _ in golds
    ]
    return guesses, golds


def named(values: list[Any]) -> dict[str, Any]:
    return {f"q{number}": value for number, value in enumerate(values)}


def filled(guesses: list[Guess], golds: list[list[str]], impossible: bool) -> Spans:
    metric = Spans(impossible)
    for at in range(0, len(golds), 7):
        metric.add(guesses[at : at + 7], golds[at : at + 7])
    return metric


@pytest.mark.parametrize("threshold", [-9.0, 0.0, 0.7, ALWAYS])
@pytest.mark.parametrize("seed", range(4))
def test_version_2(seed: int, threshold: float) -> None:
    guesses, golds = drawn(seed, impossible=True)
    metric = filled(guesses, golds, impossible=True)
    metric.at = threshold
    texts, preferences = (named([guess[i] for guess in guesses]) for i in range(2))
    wanted = squad_v2(named(golds), texts, preferences, threshold)
    table = {row.name: row.value for row in metric.table()}
    assert table.pop("threshold") == threshold
    assert table == pytest.approx(wanted)
    found = metric.compute()
    assert found["f1"] == pytest.approx(wanted["f1"] / 100)
    assert found["has_answer_em"] == pytest.approx(wanted["HasAns_exact"] / 100)
    assert found["no_answer_f1"] == pytest.approx(wanted["NoAns_f1"] / 100)
    assert found["best_em"] == pytest.approx(wanted["best_exact"] / 100)


@pytest.mark.parametrize("seed", range(4))
def test_version_1(seed: int) -> None:
    guesses, golds = drawn(seed, impossible=False)
    metric = filled(guesses, golds, impossible=False)
    wanted = squad_v1(named(golds), named([guess.text for guess in guesses]))
    assert {row.name: row.value for row in metric.table()} == pytest.approx(wanted)
    assert metric.compute() == pytest.approx(
        {"f1": wanted["f1"] / 100, "em": wanted["exact"] / 100}
    )


@pytest.mark.parametrize("seed", range(8))
def test_the_best_threshold_is_that_of_a_search(seed: int) -> None:
    """Over every threshold that changes anything; the search takes the metric's own word for F1."""
    guesses, golds = drawn(seed, impossible=True)
    metric = filled(guesses, golds, impossible=True)
    tried = sorted({guess.no_answer for guess in guesses})
    scores = []
    for metric.at in [tried[0] - 1, *tried]:
        scores.append(metric.compute()["f1"])
    metric.at = metric.best_threshold()
    assert metric.compute()["f1"] == pytest.approx(max(scores))


def test_where_no_answer_is_right_everywhere_the_threshold_is_below_all() -> None:
    metric = Spans(True)
    metric.add([Guess("cat", -3.0), Guess("hat", -5.0)], [[], []])
    metric.at = metric.best_threshold()
    assert metric.at < -5.0
    assert metric.compute()["f1"] == 1.0


def test_impossible_questions_of_a_test_split_alone_are_answered_wrongly() -> None:
    metric = Spans(False)
    metric.add([Guess("cat", 0.0), Guess("cat", 0.0)], [["cat"], []])
    assert metric.compute() == {"f1": 0.5, "em": 0.5}


def test_nothing_counted_scores_nothing() -> None:
    metric = Spans(True)
    assert set(metric.compute().values()) == {0.0}
    assert metric.table() == []
    assert metric.best_threshold() == 0.0
    metric.add([Guess("cat", 0.0)], [["cat"]])
    metric.reset()
    assert set(metric.compute().values()) == {0.0}


@pytest.mark.parametrize("split", [0, 13, 40])
@pytest.mark.parametrize("impossible", [False, True])
def test_two_ranks_equal_one(impossible: bool, split: int) -> None:
    """With unequal parts, and where one rank has nothing; each keeps its own state."""
    guesses, golds = drawn(5, impossible)
    one = filled(guesses, golds, impossible)
    mine = filled(guesses[:split], golds[:split], impossible)
    other = filled(guesses[split:], golds[split:], impossible)

    def gather(state: Tensor, group: object) -> list[Tensor]:
        theirs = torch.cat(other.questions)
        assert (state.dtype, state.shape[1:]) == (theirs.dtype, theirs.shape[1:])
        return [state, theirs]

    before = torch.cat(mine.questions)
    mine.dist_sync_fn = gather
    mine.distributed_available_fn = lambda: True
    assert mine.best_threshold() == one.best_threshold()
    for metric in (mine, one):
        metric.at = 0.5
    assert mine.table() == one.table()
    assert mine.compute() == pytest.approx(one.compute())
    assert torch.equal(torch.cat(mine.questions), before)
