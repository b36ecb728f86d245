"""What a text can be given: one label, any number of labels, or a number."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchmetrics import MetricCollection

from mtl.config.section import Values
from mtl.data.rows import at_row
from mtl.data.value_types import VALUE_TYPES
from mtl.errors import ConfigError, DataError, Problem, as_mismatch
from mtl.heads.base import Head
from mtl.heads.classification import ClassificationHead, MultiLabelHead
from mtl.heads.regression import RegressionHead
from mtl.metrics.calibration import HALF, AnsweredScores, Calibration, Thresholds
from mtl.metrics.ranking import NAMES as RANKED
from mtl.metrics.scores import LabelScores, MultiLabelScores, NumberScores
from mtl.registry import Registry
from mtl.tasks._ranking import grades_of
from mtl.tasks._text_learned import ManyLabels, Numbers, OneLabel, TextLearned, natural
from mtl.tasks._weights import count, label_weights, loss_of
from mtl.tasks.base import Task, unknown_label
from mtl.tasks.results import Label, Labels, Result, Value
from mtl.types import Encoded, Row

PROBLEMS: Registry[type[TextProblem]] = Registry("options.problem")
ONE = "one label of several (options.problem=single)"
ANY = "any number of labels (options.problem=multi)"
NUMBER = "a number (options.problem=regression)"
LABELS = f"{ONE} or {ANY}"
ONLY = {
    "head.label_smoothing": ONE,
    "head.loss": LABELS,
    "head.class_weights": LABELS,
    "head.class_weighting": LABELS,
    "options.abstain_below": ONE,
    "options.thresholds": ANY,
}
"""Keys that mean nothing for other texts than those with this."""
FEWEST = 10
"""Rows of validation that a label must have for a threshold of its own."""
ENOUGH = 50
"""Rows that a validation must have for a temperature."""
Array = npt.NDArray[Any]


class TextProblem(ABC):
    """The part of text classification that depends on what is predicted.

    Args:
        task: Whose part it is; it has what was learned.
        name: The task's name, for messages.
        head: The head's options.
    """

    learns: ClassVar[type[TextLearned]]
    gives: ClassVar[type[Result]]
    metric_names: tuple[str, ...]
    role: ClassVar[str]
    """The kind of role, as data readers know it, that the label's cell is converted to."""
    what: ClassVar[str]
    """What such texts have, as `ONLY` says it."""

    def __init__(self, task: Task, name: str, head: Any, options: Any) -> None:
        self.task = task
        self.name = name
        self.head = head
        self.options = options
        sections = {"head": head, "options": options}
        for key, what in ONLY.items():
            section, option = key.split(".")
            given = getattr(sections[section], option)
            default = type(sections[section]).model_fields[option].default
            if self.what not in what and given != default:
                expected = f"to be unset, because it is for texts with {what}"
                raise ConfigError(Problem(f"tasks.{name}.{key}", expected, f"got {given}"))

    @property
    def learned(self) -> Any:
        """What the task learned."""
        return self.task.learned

    @property
    def declared(self) -> list[str]:
        """The labels that the data section declares."""
        return [str(VALUE_TYPES.get("label").convert(n)) for n in self.task.labels.labels or []]

    def value(self, row: Row) -> Any:
        """Return the row's converted label.

        Raises:
            DataError: If the cell is of the wrong kind, or empty.
        """
        try:
            found = VALUE_TYPES.get(self.role).convert(row["label"])
        except ValueError as error:
            wrong = as_mismatch(error, "a label").inside(f"for task '{self.name}'")
            raise at_row(row, DataError(Problem("", wrong.expected, wrong.found))) from error
        if found is None:
            expected = f"a label for task '{self.name}'"
            raise at_row(row, DataError(Problem("", expected, "the cell is empty")))
        return found

    def number(self, label: str, row: Row) -> int:
        """Return a label's number.

        Raises:
            DataError: If training had no such label.
        """
        if label not in self.learned.labels:
            raise unknown_label(row, self.name, label, self.learned.labels)
        return int(self.learned.labels.index(label))

    @abstractmethod
    def learn(self, rows: Sequence[Row]) -> TextLearned:
        """Return labels or the like from training rows."""

    @abstractmethod
    def target(self, row: Row) -> tuple[dict[str, Array], float]:
        """Return targets and mass of one row."""

    def gold(self, row: Row) -> dict[str, Array]:
        """Return what scores need beside the targets."""
        del row
        return {}

    @abstractmethod
    def build_head(self, hidden_size: int) -> Head:
        """Return a fresh head."""

    @abstractmethod
    def activate(self, logits: Tensor) -> Tensor:
        """Turn (G, C) logits into probabilities, or numbers in their own unit."""

    @abstractmethod
    def metrics(self) -> MetricCollection:
        """Return fresh scores."""

    def grades(self, learned: Any) -> dict[str, float] | None:
        """Return how relevant to its query each label says that a row is; None of numbers.

        Raises:
            ConfigError: If that cannot be said of labels.
        """
        del learned
        return None

    def grade(self, row: Row, learned: Any) -> float:
        """Return how relevant a row is to its query."""
        grades, value = self.grades(learned), self.value(row)
        return float(value) if grades is None else grades[value]

    def relevance(self, outputs: Sequence[Array]) -> list[float]:
        """Return what rows are ranked by: the expected grade."""
        grades = self.grades(self.learned)
        if grades is None:
            return [float(output[0]) for output in outputs]
        weights = np.asarray(list(grades.values()), dtype=np.float64)
        return [float(output @ weights) for output in outputs]

    def feed(self, outputs: Sequence[Array], encoded: Sequence[Encoded]) -> dict[str, Tensor]:
        """Return what metrics are given: probabilities (n, C), and labels as the targets are."""
        target = np.concatenate([example.targets["labels"] for example in encoded])
        return {"preds": torch.from_numpy(np.stack(outputs)), "target": torch.from_numpy(target)}

    @abstractmethod
    def commonest(self, encoded: Sequence[Encoded]) -> Array:
        """Return the constant output that guesses best."""

    @abstractmethod
    def present(self, output: Array) -> Values:
        """Return an output as JSON values."""

    def named(self, output: Array) -> dict[str, float]:
        """Return probabilities by label."""
        return {n: round(float(p), 4) for n, p in zip(self.learned.labels, output, strict=True)}


class Labeled(TextProblem):
    """Labels that have probabilities."""

    def calibration(self) -> Calibration:
        """Return the score of probabilities, which finds a temperature where one is wanted."""
        return Calibration(ENOUGH if self.options.calibrate else math.inf)

    def tempered(self, logits: Tensor) -> Tensor:
        """Return logits over the temperature."""
        return logits / self.learned.temperature


@PROBLEMS.register("single")
class Single(Labeled):
    """One label of several, two or more."""

    learns = OneLabel
    gives = Label
    metric_names: tuple[str, ...] = ("accuracy", "macro_f1", "mcc", "ece", *RANKED)
    role = "label"
    what = ONE

    def __init__(self, task: Task, name: str, head: Any, options: Any) -> None:
        super().__init__(task, name, head, options)
        if options.abstain_below is not None:
            self.metric_names = (*self.metric_names, "coverage", "answered_accuracy")

    def learn(self, rows: Sequence[Row]) -> OneLabel:
        values = [self.value(row) for row in rows]
        labels = sorted({*self.declared, *values}, key=natural)
        if len(labels) < 2:
            raise DataError(
                f"tasks.{self.name}: Expected at least two different labels in the training data, "
                f"but all are '{labels[0]}'."
            )
        return OneLabel(labels=labels, counts=count(self.task, lambda: values))

    def target(self, row: Row) -> tuple[dict[str, Array], float]:
        number = self.number(self.value(row), row)
        weights = label_weights(self.task, self.learned.labels)
        return {"labels": np.asarray([number])}, weights[number]

    def grades(self, learned: Any) -> dict[str, float]:
        return grades_of(learned.labels, self.task.options.relevant, self.name)

    def build_head(self, hidden_size: int) -> Head:
        return ClassificationHead(
            hidden_size,
            len(self.learned.labels),
            dropout=self.head.dropout,
            label_smoothing=self.head.label_smoothing,
            **loss_of(self.task, self.learned.labels),
        )

    def activate(self, logits: Tensor) -> Tensor:
        return self.tempered(logits).softmax(-1)

    def metrics(self) -> MetricCollection:
        found = {"labels": LabelScores(self.learned.labels), "calibration": self.calibration()}
        if self.options.abstain_below is not None:
            found["answered"] = AnsweredScores(self.options.abstain_below)
        return MetricCollection(found, compute_groups=False)

    def commonest(self, encoded: Sequence[Encoded]) -> Array:
        labels = np.concatenate([example.targets["labels"] for example in encoded])
        counts = np.bincount(labels, minlength=len(self.learned.labels))
        return (np.arange(len(counts)) == counts.argmax()).astype(np.float32)

    def present(self, output: Array) -> Values:
        label: str | None = self.learned.labels[int(output.argmax())]
        if output.max() < (self.options.abstain_below or 0.0):
            label = None
        return {"label": label, "probabilities": self.named(output)}


@PROBLEMS.register("multi")
class Multi(Labeled):
    """Any number of labels, none included; one holds when its probability is over its threshold."""

    learns = ManyLabels
    gives = Labels
    metric_names = ("micro_f1", "macro_f1", "subset_accuracy", "ece")
    role = "labels"
    what = ANY

    @property
    def thresholds(self) -> Array:
        """The probability above which each label is given, (labels,)."""
        return np.asarray(self.learned.thresholds or [HALF] * len(self.learned.labels))

    def learn(self, rows: Sequence[Row]) -> ManyLabels:
        values = [n for row in rows for n in set(self.value(row))]
        labels = sorted({*self.declared, *values}, key=natural)
        if not labels:
            raise DataError(
                f"tasks.{self.name}: Expected at least one label in the training data, but no row "
                "has any."
            )
        return ManyLabels(labels=labels, counts=count(self.task, lambda: values, len(rows)))

    def target(self, row: Row) -> tuple[dict[str, Array], float]:
        present = np.zeros((1, len(self.learned.labels)), dtype=np.int64)
        for label in self.value(row):
            present[0, self.number(label, row)] = 1
        return {"labels": present}, float(len(self.learned.labels))

    def grades(self, learned: Any) -> dict[str, float]:
        expected = "to be unset where a text may have several labels (options.problem=multi)"
        raise ConfigError(Problem(f"tasks.{self.name}.columns.query", expected, "it is set"))

    def build_head(self, hidden_size: int) -> Head:
        return MultiLabelHead(
            hidden_size,
            len(self.learned.labels),
            dropout=self.head.dropout,
            **loss_of(self.task, self.learned.labels, several=True),
        )

    def activate(self, logits: Tensor) -> Tensor:
        return self.tempered(logits).sigmoid()

    def metrics(self) -> MetricCollection:
        labels = self.learned.labels
        found = {
            "labels": MultiLabelScores(labels, lambda: self.thresholds),
            "calibration": self.calibration(),
        }
        if self.options.thresholds == "tuned":
            found["thresholds"] = Thresholds(labels, FEWEST)
        return MetricCollection(found, compute_groups=False)

    def commonest(self, encoded: Sequence[Encoded]) -> Array:
        counts = np.concatenate([example.targets["labels"] for example in encoded]).sum(axis=0)
        often = counts > len(encoded) / 2
        if not often.any():  # Never guessing any label scores zero; the commonest one scores more.
            often = counts == counts.max()
        return often.astype(np.float32)

    def present(self, output: Array) -> Values:
        given = output > self.thresholds
        chosen = [n for n, is_given in zip(self.learned.labels, given, strict=True) if is_given]
        return {"labels": chosen, "probabilities": self.named(output)}


@PROBLEMS.register("regression")
class Regression(TextProblem):
    """A number; the head learns it standardised by the training data's mean and spread.

    An example's extra array ``value`` (1,) is the number in its own unit.
    """

    learns = Numbers
    gives = Value
    metric_names = ("pearson", "rmse", *RANKED)
    role = "number"
    what = NUMBER

    def learn(self, rows: Sequence[Row]) -> Numbers:
        values = np.asarray([self.value(row) for row in rows])
        return Numbers(mean=float(values.mean()), spread=float(values.std()) or 1.0)

    def target(self, row: Row) -> tuple[dict[str, Array], float]:
        standard = (self.value(row) - self.learned.mean) / self.learned.spread
        return {"values": np.asarray([standard], dtype=np.float32)}, 1.0

    def gold(self, row: Row) -> dict[str, Array]:
        return {"value": np.asarray([self.value(row)], dtype=np.float32)}

    def build_head(self, hidden_size: int) -> Head:
        return RegressionHead(hidden_size, dropout=self.head.dropout)

    def activate(self, logits: Tensor) -> Tensor:
        return logits * self.learned.spread + self.learned.mean

    def metrics(self) -> MetricCollection:
        return MetricCollection({"numbers": NumberScores(self.learned.mean)}, compute_groups=False)

    def feed(self, outputs: Sequence[Array], encoded: Sequence[Encoded]) -> dict[str, Tensor]:
        """Return predicted and true numbers, (n,)."""
        target = np.concatenate([example.extra["value"] for example in encoded])
        preds = np.asarray([float(output[0]) for output in outputs], dtype=np.float32)
        return {"preds": torch.from_numpy(preds), "target": torch.from_numpy(target)}

    def commonest(self, encoded: Sequence[Encoded]) -> Array:
        del encoded
        return np.asarray([self.learned.mean])

    def present(self, output: Array) -> Values:
        return {"value": round(float(output[0]), 6)}
