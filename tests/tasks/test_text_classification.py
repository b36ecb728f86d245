"""One label, several, or a number: targets, pooling, losses, outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mtl.errors import ConfigError, DataError
from mtl.metrics.calibration import Thresholds
from mtl.tasks import Task
from mtl.tasks.base import document
from mtl.tasks.text_classification import TextClassification
from mtl.types import Encoded, HeadBatch, Row
from tests.tasks.samples import (
    HIDDEN,
    TEXTS,
    Sample,
    chosen,
    encoder,
    every,
    in_order,
    labelled,
    one_pass,
    place,
    states,
)


def task_of(labels: list[Any], problem: str = "single", **changes: Any) -> TextClassification:
    options = {"problem": problem, **changes.pop("options", {})}
    sample = Sample("text_classification", labelled(labels), options=options, **changes)
    task = sample.task()
    assert isinstance(task, TextClassification)
    return task


def encode(task: TextClassification, row: Row, at: Any, kind: str = "causal") -> Encoded:
    (tokens,) = at.tokenize([document(row)])
    return task.encode(row, tokens, at, kind)


def loss_of(task: TextClassification, part: HeadBatch, logits: torch.Tensor) -> float:
    return float(task.build_head(HIDDEN).loss(logits, part.given).detach())


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["yes", "no", "no", "yes", "no"], ["no", "yes"]),
        (["positive", "negative", "neutral"] * 2, ["negative", "neutral", "positive"]),
        ([1, 0, 10, 2, 1], ["0", "1", "2", "10"]),
        ([True, False, True, True, False], ["false", "true"]),
    ],
)
def test_labels_are_sorted_numbers_by_value(labels: list[Any], expected: list[str]) -> None:
    task = task_of(labels[:5])
    assert task.learned.model_dump(include={"labels"}) == {"labels": expected}
    rows = place(labelled(labels[:5]))
    part, _ = one_pass(task, rows)
    gold = [expected.index(str(label).lower()) for label in labels[:5]]
    assert part.targets["labels"].tolist() == [gold[n] for n in part.examples]


@pytest.mark.parametrize("classes", [2, 3])
def test_one_label_is_the_likeliest(classes: int) -> None:
    labels = [f"l{n % classes}" for n in range(5)]
    task, rows = task_of(labels), place(labelled(labels))
    part, ids = one_pass(task, rows)
    logits = task.build_head(HIDDEN)(part.read(states(ids)))
    assert logits.shape == (5, classes)
    outputs = task.decode(logits, chosen(part, rows))
    np.testing.assert_allclose(np.stack(outputs), logits.softmax(-1).detach(), rtol=1e-5)
    shown = task.present(outputs[0], rows[0])
    assert shown["label"] == f"l{int(logits[0].argmax())}"
    assert sum(shown["probabilities"].values()) == pytest.approx(1.0, abs=1e-3)
    expected = F.cross_entropy(logits, part.targets["labels"])
    assert loss_of(task, part, logits) == pytest.approx(float(expected.detach()))


def test_any_number_of_labels() -> None:
    labels = [["a"], [], ["a", "b"], ["b", "b"], "c|a"]
    task, rows = task_of(labels, "multi"), place(labelled(labels))
    assert task.learned.model_dump(include={"labels"}) == {"labels": ["a", "b", "c"]}
    part, _ = one_pass(task, rows)
    gold = torch.tensor([[1, 0, 0], [0, 0, 0], [1, 1, 0], [0, 1, 0], [1, 0, 1]])[part.examples]
    assert torch.equal(part.targets["labels"], gold)
    logits = torch.randn(5, 3)
    expected = F.binary_cross_entropy_with_logits(logits, gold.float())
    assert loss_of(task, part, logits) == pytest.approx(float(expected))
    assert encode(task, rows[0], encoder()).mass == 3.0
    outputs = task.decode(torch.tensor([[2.0, -2.0, 0.1]] * 5), chosen(part, rows))
    shown = task.present(outputs[0], rows[0])
    assert shown["labels"] == ["a", "c"]
    assert shown["probabilities"]["b"] == pytest.approx(0.1192, abs=1e-4)


def test_a_number_is_learned_standardised() -> None:
    numbers = [1.0, 2.0, 3.0, 4.0, 10.0]
    task, rows = task_of(numbers, "regression"), place(labelled(numbers))
    mean, spread = np.mean(numbers), np.std(numbers)
    part, _ = one_pass(task, rows)
    gold = torch.tensor([(numbers[n] - mean) / spread for n in part.examples])
    torch.testing.assert_close(part.targets["values"], gold.float())
    logits = torch.randn(5, 1)
    assert loss_of(task, part, logits) == pytest.approx(float(F.mse_loss(logits[:, 0], gold)))
    outputs = task.decode(gold[:, None], chosen(part, rows))
    assert [float(o[0]) for o in outputs] == pytest.approx([numbers[n] for n in part.examples])
    assert task.present(outputs[0], rows[0])["value"] == pytest.approx(numbers[part.examples[0]])


def test_equal_numbers_have_a_spread_of_one() -> None:
    task = task_of([3.0] * 5, "regression")
    assert task.learned.model_dump(exclude={"pair", "query", "least"}) == {
        "mean": 3.0,
        "spread": 1.0,
    }


def test_class_weights_and_smoothing_reach_the_head() -> None:
    head = {"class_weights": {"b": 4.0}, "label_smoothing": 0.1, "dropout": 0.3}
    labels = ["a", "b", "c", "a", "b"]
    task, rows = task_of(labels, head=head), place(labelled(labels))
    part, _ = one_pass(task, rows)
    logits = torch.randn(5, 3)
    expected = F.cross_entropy(
        logits, part.targets["labels"], torch.tensor([1.0, 4.0, 1.0]), label_smoothing=0.1
    )
    assert loss_of(task, part, logits) == pytest.approx(float(expected), rel=1e-5)
    assert sum(encode(task, row, encoder()).mass for row in rows) == 11.0
    assert "p=0.3" in repr(task.build_head(HIDDEN))


LONG = " ".join(TEXTS)


@pytest.mark.parametrize("length", [12, 512], ids=["windows", "one window"])
@pytest.mark.parametrize("kind", ["causal", "bidirectional"])
@pytest.mark.parametrize("pooling", ["auto", "first", "last", "mean"])
def test_pooled_states_by_hand(length: int, kind: str, pooling: str) -> None:
    """Every window's first, last or mean state, averaged over the windows."""
    task = task_of(["a", "b", "a", "b", "a"], head={"pooling": pooling})
    rows = place([{"text": LONG, "label": "a"}, {"text": "Okonkwo & Sons", "label": "b"}])
    at = encoder(length, 4)
    part, ids = one_pass(task, rows, at, kind)
    hidden = states(ids)
    read = part.read(hidden)
    how = {"auto": "last" if kind == "causal" else "mean"}.get(pooling, pooling)
    pool = {"first": lambda h: h[0], "last": lambda h: h[-1], "mean": lambda h: h.mean(0)}[how]
    for output, row in zip(read, in_order(part, rows), strict=True):
        documents = encode(task, row, at, kind).documents
        assert (len(documents) > 1) == (length == 12 and row["text"] == LONG)
        pooled = torch.stack([pool(hidden[where(ids, document)]) for document in documents])
        torch.testing.assert_close(output, pooled.mean(0))


def where(ids: torch.Tensor, document: Any) -> slice:
    """Return where a document stands in a pass; it stands there once."""
    wanted = torch.from_numpy(document).long()
    windows = ids.unfold(0, len(wanted), 1)
    (start,) = (windows == wanted).all(1).nonzero()[:, 0].tolist()
    return slice(start, start + len(wanted))


@pytest.mark.parametrize(
    ("labels", "problem", "message"),
    [
        (["a"] * 5, "single", "at least two different labels.*all are 'a'"),
        ([[], [], [], [], []], "multi", "at least one label"),
        ([1, 2, 3, "x", 5], "regression", r"data\.jsonl:4: .*number.*'x'"),
        (["a", "b", " ", "a", "b"], "single", r"data\.jsonl:3: .*the cell is empty"),
    ],
)
def test_data_that_cannot_be_learned(labels: list[Any], problem: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        task_of(labels, problem)


@pytest.mark.parametrize(("problem", "label"), [("single", "posative"), ("multi", ["posative"])])
def test_a_label_that_training_never_had(problem: str, label: Any) -> None:
    known = [["positive"], ["negative"]] if problem == "multi" else ["positive", "negative"]
    task = task_of([*known, *known, known[0]], problem)
    rows = place([{"text": "Rain.", "label": known[0]}, {"text": "Tea.", "label": label}], "d.tsv")
    with pytest.raises(DataError) as error:
        one_pass(task, rows)
    assert str(error.value).startswith("d.tsv:2: ")
    assert "'posative'. Did you mean 'positive'?" in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"options": {"problem": "singel"}}, r"options\.problem.*'singel'.*single"),
        ({"head": {"pooling": "max"}}, r"head\.pooling.*'max'"),
        ({"metric": "rmse"}, r"metric.*accuracy.*'rmse'"),
        ({"head": {"class_weights": {"z": 1.0}}}, r"class_weights.*'z'"),
    ],
)
def test_options_that_do_not_fit(changes: dict[str, Any], message: str) -> None:
    sample = Sample("text_classification", labelled(["a", "b", "a", "b", "a"]), **changes)
    with pytest.raises(ConfigError, match=message):
        sample.task().build_head(HIDDEN)


@pytest.mark.parametrize(
    ("problem", "key", "value"),
    [
        ("multi", "label_smoothing", 0.1),
        ("regression", "label_smoothing", 0.1),
        ("regression", "class_weights", {"a": 2.0}),
        ("regression", "class_weighting", "balanced"),
        ("regression", "loss", "focal"),
    ],
)
def test_options_that_would_be_left_out_in_silence(problem: str, key: str, value: Any) -> None:
    head = {key: value}
    with pytest.raises(ConfigError, match=rf"`tasks\.sample\.head\.{key}` to be unset.*single"):
        task_of([1.0] * 5, problem, head=head)


def test_the_commonest_guess_of_several_labels_is_never_none() -> None:
    labels = [["a"], ["b"], ["a", "c"], [], ["d"]]
    task = task_of(labels, "multi")
    (guess, *_) = guesses(task, labels)
    assert task.present(guess, {})["labels"] == ["a"]
    often = [["a", "b"], ["a", "b"], ["a"], ["b"], []]
    (guess, *_) = guesses(task_of(often, "multi"), often)
    assert guess.tolist() == [1.0, 1.0]


def guesses(task: Task, labels: Any) -> list[Any]:
    examples = every(task, place(labelled(labels)))
    return task.baseline(examples)(examples)


def tuned(task: TextClassification, logits: torch.Tensor, target: torch.Tensor) -> None:
    """Let a task take what a validation of some raw logits says."""
    metrics = task.metrics()
    for metric in metrics.values():
        metric.update(task.problem.activate(logits), target)
    task.learned = task.learned.tuned(metrics)


def test_a_temperature_changes_probabilities_and_no_label() -> None:
    task = task_of(["a", "b", "c", "a", "b"])
    draw = torch.Generator().manual_seed(3)
    logits = torch.randn(2000, 3, generator=draw)
    target = torch.multinomial(logits.softmax(-1), 1, generator=draw)[:, 0]
    tuned(task, logits * 4, target)
    after = task.problem.activate(logits * 4)
    assert task.problem.learned.temperature == pytest.approx(4.0, rel=0.15)
    assert torch.equal(after.argmax(-1), logits.argmax(-1))
    torch.testing.assert_close(after, (logits * 4 / task.problem.learned.temperature).softmax(-1))
    task.learned = task.learned.model_copy(update=task.learned.raw)
    torch.testing.assert_close(task.problem.activate(logits), logits.softmax(-1))


def test_thresholds_are_those_of_raw_probabilities() -> None:
    """A label is given after tuning exactly where its raw probability is over the raw threshold."""
    task = task_of([["a"], ["b"], [], [], []], "multi", options={"thresholds": "tuned"})
    draw = torch.Generator().manual_seed(4)
    logits = torch.randn(1000, 2, generator=draw, dtype=torch.float64) * 2 - 1
    target = (torch.rand(1000, 2, generator=draw) < logits.sigmoid()).long()
    metrics = task.metrics()
    for metric in metrics.values():
        metric.update(task.problem.activate(logits * 3), target)
    task.learned = task.learned.tuned(metrics)
    thresholds = metrics["thresholds"]
    assert isinstance(thresholds, Thresholds)
    (raw_a, raw_b) = thresholds.best()
    outputs = task.problem.activate(logits * 3).numpy()
    given = [task.present(output, {})["labels"] for output in outputs]
    expected = [
        [n for n, p, t in zip("ab", row, (raw_a, raw_b), strict=True) if p > t]
        for row in (logits * 3).sigmoid().tolist()
    ]
    assert given == expected
    assert task.problem.learned.temperature > 2


def test_a_doubtful_text_gets_no_label() -> None:
    task = task_of(["a", "b", "c", "a", "b"], options={"abstain_below": 0.6})
    assert task.present(np.array([0.7, 0.2, 0.1]), {})["label"] == "a"
    assert task.present(np.array([0.5, 0.3, 0.2]), {})["label"] is None
    assert task.metric_names[-2:] == ("coverage", "answered_accuracy")


@pytest.mark.parametrize(
    ("problem", "key", "value"),
    [("multi", "abstain_below", 0.5), ("single", "thresholds", "tuned")],
)
def test_options_of_other_problems_are_refused(problem: str, key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"options\.{key}.*problem="):
        task_of(["a", "b", "a", "b", "a"], problem, options={key: value})
