from itertools import cycle

import pytest
import torch
from torch import Tensor

from mtl.errors import DataError
from mtl.metrics.rouge import rouge
from mtl.metrics.shells import (
    AnswerMetric,
    ClassificationMetric,
    EntityMetric,
    MultiLabelMetric,
    RegressionMetric,
    RougeMetric,
    TokenTable,
)
from mtl.metrics.shells.base import CountMetric

TAGS = ["O", "B-X", "I-X", "B-Y", "I-Y"]
GUESS = [["B-X", "I-X", "O"], ["O", "I-Y"], ["B-X", "B-X"], []]
GOLD = [["B-X", "I-X", "O"], ["B-Y", "I-Y"], ["B-X", "I-X"], []]
ONE, TWO = torch.tensor([0, 1, 2, 2, 1]), torch.tensor([0, 1, 1, 2, 0])
MANY = torch.tensor([[1, 0, 1], [0, 0, 0], [1, 1, 0]]).bool()
REAL = torch.tensor([1.0, 2.5, 4.0, 0.5])


def make(name: str) -> tuple[CountMetric, list[tuple]]:
    """A fresh metric and two batches for it."""
    cases: dict[str, tuple[CountMetric, list[tuple]]] = {
        "entity": (EntityMetric(TAGS), [(GUESS[:1], GOLD[:1]), (GUESS[1:], GOLD[1:])]),
        "token": (TokenTable(TAGS), [(GUESS[:2], GOLD[:2]), (GUESS[2:], GOLD[2:])]),
        "single": (ClassificationMetric(["a", "b", "c"]), [(ONE[:2], TWO[:2]), (ONE[2:], TWO[2:])]),
        "multi": (MultiLabelMetric(["a", "b", "c"]), [(MANY, MANY), (MANY, ~MANY)]),
        "number": (RegressionMetric(), [(REAL, REAL + 1), (REAL, REAL**2)]),
    }
    texts = ["the cat sat", "a dog"], [["the cat sat down", "cats"], ["dogs ran"]]
    answers = ["the cat", ""], [["cat"], []]
    cases["text"] = (RougeMetric(), [texts, (["x"], [["x"]])])
    cases["answer"] = (AnswerMetric(impossible=True), [answers, (["x"], [["x"]])])
    return cases[name]


NAMES = ["entity", "token", "single", "multi", "number", "text", "answer"]


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
    assert all(value == 0.0 for value in empty.values())


def test_values() -> None:
    entity, batches = make("entity")
    for batch in batches:
        entity.update(*batch)
    # gold X(0,2) Y(0,2) X(0,2); predicted X(0,2) Y(1,2) X(0,1) X(1,2)
    scores = entity.compute()
    assert scores == pytest.approx(
        {"precision": 1 / 4, "recall": 1 / 3, "f1": 2 / 7, "accuracy": 5 / 7}
    )
    assert [row[0] for row in entity.table()] == ["overall", "X", "Y"]
    single, batches = make("single")
    for batch in batches:
        single.update(*batch)
    assert single.compute()["accuracy"] == pytest.approx(3 / 5)
    number, batches = make("number")
    number.update(*batches[0])
    assert number.compute() == pytest.approx({"rmse": 1.0, "pearson": 1.0})
    assert number.table()[-1] == ("examples", 4.0)


@pytest.mark.parametrize("bad", [torch.tensor([3]), torch.tensor([-1])])
def test_ids_outside_the_label_set_are_errors(bad: Tensor) -> None:
    metric = make("single")[0]
    with pytest.raises(DataError, match=r"Expected predicted label ids to be in 0\.\.2"):
        metric.update(bad, torch.tensor([0]))
    with pytest.raises(DataError, match="Expected gold label ids"):
        metric.update(torch.tensor([0]), bad)


def test_bfloat16_numbers_are_summed_in_float64() -> None:
    metric = RegressionMetric(shift=2.0)
    metric.update(REAL.bfloat16(), REAL)
    assert metric.sums.dtype == torch.float64
    assert metric.compute() == pytest.approx({"rmse": 0.0, "pearson": 1.0})


def test_texts_are_scored_as_the_pure_functions_do() -> None:
    metric, batches = make("text")
    metric.update(*batches[0])
    best = [rouge(text, right)["rouge1"].f1 for text, right in zip(*batches[0], strict=True)]
    assert metric.compute()["rouge1"] == pytest.approx(sum(best) / 2)
    assert metric.table()[-1] == ("texts", 2)
    for impossible, em in ((True, 2 / 3), (False, 1 / 2)):
        answers = AnswerMetric(impossible)
        answers.update(["the cat", "x"], [["cat"], ["y"]])
        if impossible:
            answers.update([""], [[]])
        assert answers.compute() == pytest.approx({"em": em, "f1": em})
