"""What a text can be given: one label, any number of labels, or a number."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtl.data.rows import where
from mtl.data.value_types import VALUE_TYPES
from mtl.errors import ConfigError, DataError, did_you_mean, one_of
from mtl.heads.base import Head
from mtl.heads.classification import ClassificationHead, MultiLabelHead
from mtl.heads.regression import RegressionHead
from mtl.metrics.shells import ClassificationMetric, MultiLabelMetric, RegressionMetric
from mtl.registry import Registry
from mtl.tasks.base import TaskMetrics
from mtl.types import Row

PROBLEMS: Registry[type[Problem]] = Registry("options.problem")
Targets = dict[str, npt.NDArray[Any]]


class Problem(ABC):
    """The part of text classification that depends on what is predicted.

    Args:
        name: The task's name, for messages.
        head: The head's options.
    """

    metric_names: ClassVar[tuple[str, ...]]
    value_type: ClassVar[str]
    """The type of value, as data readers know it, that the label's cell is converted to."""
    unused: ClassVar[tuple[str, ...]] = ("label_smoothing", "class_weights")
    """Options of the head that mean nothing here."""

    def __init__(self, name: str, head: Any) -> None:
        self.name = name
        self.head = head
        for key in self.unused:
            if getattr(head, key):
                raise ConfigError(
                    f"Expected `tasks.{name}.head.{key}` to be unset, because it is for texts with "
                    f"one label of several (options.problem=single), but got {getattr(head, key)}."
                )

    def value(self, row: Row) -> Any:
        """Return the row's converted label.

        Raises:
            DataError: If the cell is of the wrong type, or empty.
        """
        try:
            found = VALUE_TYPES.get(self.value_type).convert(row["label"])
        except ValueError as error:
            raise DataError(f"{where(row)}: {error} for task '{self.name}'.") from error
        if found is None:
            raise DataError(
                f"{where(row)}: Expected a label for task '{self.name}', but the cell is empty."
            )
        return found

    @abstractmethod
    def learn(self, rows: Sequence[Row]) -> None:
        """Learn the state from training rows."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return the state as JSON values."""

    @abstractmethod
    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take back a state."""

    @abstractmethod
    def shared_state(self, others: Sequence[Any]) -> dict[str, Any]:
        """Return the state of a head shared with problems of the same class."""

    @abstractmethod
    def target(self, row: Row) -> tuple[Targets, float]:
        """Return the head's targets for one row, and their mass."""

    @abstractmethod
    def build_head(self, hidden_size: int) -> Head:
        """Return a fresh head."""

    @abstractmethod
    def activate(self, logits: Tensor) -> Tensor:
        """Turn (G, C) logits into probabilities, or numbers in their own unit."""

    @abstractmethod
    def metrics(self) -> TaskMetrics:
        """Return fresh scores."""

    @abstractmethod
    def commonest(self, rows: Sequence[Row]) -> npt.NDArray[Any]:
        """Return the constant output that guesses best."""

    @abstractmethod
    def present(self, output: npt.NDArray[Any]) -> dict[str, Any]:
        """Return an output as JSON values."""


class _Labelled(Problem):
    """What problems with a label set have in common."""

    def __init__(self, name: str, head: Any) -> None:
        super().__init__(name, head)
        self.labels: list[str] = []

    def state(self) -> dict[str, Any]:
        return {"labels": self.labels}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.labels = list(state["labels"])

    def shared_state(self, others: Sequence[_Labelled]) -> dict[str, Any]:
        return {"labels": sorted({n for p in (self, *others) for n in p.labels}, key=_natural)}

    def number(self, label: str, row: Row) -> int:
        """Return a label's number.

        Raises:
            DataError: If training had no such label.
        """
        if label not in self.labels:
            known = ", ".join(self.labels)
            raise DataError(
                f"{where(row)}: Expected a label of the training split of task '{self.name}' "
                f"({known}), but got '{label}'.{did_you_mean(label, self.labels)} Add examples of "
                "it to training, or mend the label."
            )
        return self.labels.index(label)

    def _named(self, output: npt.NDArray[Any]) -> dict[str, float]:
        return {n: round(float(p), 4) for n, p in zip(self.labels, output, strict=True)}


@PROBLEMS.register("single")
class Single(_Labelled):
    """One label of several, two or more."""

    metric_names = ("accuracy", "macro_f1", "mcc")
    value_type = "label"
    unused = ()

    def learn(self, rows: Sequence[Row]) -> None:
        self.labels = sorted({self.value(row) for row in rows}, key=_natural)
        if len(self.labels) < 2:
            raise DataError(
                f"tasks.{self.name}: Expected at least two different labels in the training data, "
                f"but all are '{self.labels[0]}'."
            )

    def target(self, row: Row) -> tuple[Targets, float]:
        number = self.number(self.value(row), row)
        return {"labels": np.asarray([number])}, float(self._weights()[number])

    def _weights(self) -> list[float]:
        named = self.head.class_weights or {}
        for label in named:
            if label not in self.labels:
                raise ConfigError(
                    one_of(f"tasks.{self.name}.head.class_weights", label, self.labels)
                )
        return [float(named.get(label, 1.0)) for label in self.labels]

    def build_head(self, hidden_size: int) -> Head:
        return ClassificationHead(
            hidden_size,
            len(self.labels),
            dropout=self.head.dropout,
            label_smoothing=self.head.label_smoothing,
            class_weights=self._weights() if self.head.class_weights else None,
        )

    def activate(self, logits: Tensor) -> Tensor:
        return logits.softmax(-1)

    def metrics(self) -> TaskMetrics:
        return LabelScores(self)

    def commonest(self, rows: Sequence[Row]) -> npt.NDArray[Any]:
        counts = Counter(self.value(row) for row in rows)
        best = max(self.labels, key=lambda label: counts[label])
        return np.asarray([float(label == best) for label in self.labels])

    def present(self, output: npt.NDArray[Any]) -> dict[str, Any]:
        return {"label": self.labels[int(output.argmax())], "probabilities": self._named(output)}


@PROBLEMS.register("multi")
class Multi(_Labelled):
    """Any number of labels, none included; a label holds when its probability is over a half."""

    metric_names = ("micro_f1", "macro_f1", "subset_accuracy")
    value_type = "labels"

    def learn(self, rows: Sequence[Row]) -> None:
        self.labels = sorted({n for row in rows for n in self.value(row)}, key=_natural)
        if not self.labels:
            raise DataError(
                f"tasks.{self.name}: Expected at least one label in the training data, but no row "
                "has any."
            )

    def target(self, row: Row) -> tuple[Targets, float]:
        present = np.zeros((1, len(self.labels)), dtype=np.int64)
        for label in self.value(row):
            present[0, self.number(label, row)] = 1
        return {"labels": present}, float(len(self.labels))

    def build_head(self, hidden_size: int) -> Head:
        return MultiLabelHead(hidden_size, len(self.labels), dropout=self.head.dropout)

    def activate(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()

    def metrics(self) -> TaskMetrics:
        return MultiLabelScores(self)

    def commonest(self, rows: Sequence[Row]) -> npt.NDArray[Any]:
        counts = Counter(label for row in rows for label in self.value(row))
        half = len(rows) / 2
        often = [counts[label] > half for label in self.labels]
        if not any(often):  # Never guessing any label scores zero; the commonest one scores more.
            often = [counts[label] == max(counts.values()) for label in self.labels]
        return np.asarray(often, dtype=np.float64)

    def present(self, output: npt.NDArray[Any]) -> dict[str, Any]:
        chosen = [n for n, p in zip(self.labels, output, strict=True) if p > 0.5]
        return {"labels": chosen, "probabilities": self._named(output)}


@PROBLEMS.register("regression")
class Regression(Problem):
    """A number; the head learns it standardised by the training data's mean and spread."""

    metric_names = ("pearson", "rmse")
    value_type = "number"

    def __init__(self, name: str, head: Any) -> None:
        super().__init__(name, head)
        self.mean, self.spread = 0.0, 1.0

    def learn(self, rows: Sequence[Row]) -> None:
        values = np.asarray([self.value(row) for row in rows])
        self.mean, self.spread = float(values.mean()), float(values.std()) or 1.0

    def state(self) -> dict[str, Any]:
        return {"mean": self.mean, "spread": self.spread}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.mean, self.spread = float(state["mean"]), float(state["spread"])

    def shared_state(self, others: Sequence[Regression]) -> dict[str, Any]:
        everyone = (self, *others)
        return {
            "mean": float(np.mean([p.mean for p in everyone])),
            "spread": float(np.mean([p.spread for p in everyone])),
        }

    def target(self, row: Row) -> tuple[Targets, float]:
        standard = (self.value(row) - self.mean) / self.spread
        return {"values": np.asarray([standard], dtype=np.float32)}, 1.0

    def build_head(self, hidden_size: int) -> Head:
        return RegressionHead(hidden_size, dropout=self.head.dropout)

    def activate(self, logits: Tensor) -> Tensor:
        return logits * self.spread + self.mean

    def metrics(self) -> TaskMetrics:
        return NumberScores(self)

    def commonest(self, rows: Sequence[Row]) -> npt.NDArray[Any]:
        return np.asarray([self.mean])

    def present(self, output: npt.NDArray[Any]) -> dict[str, Any]:
        return {"value": round(float(output[0]), 6)}


class _Scores(TaskMetrics):
    """Scores that one shell holds."""

    def __init__(self, problem: Problem, shell: Any) -> None:
        super().__init__()
        self.problem = problem
        self.shell = shell

    def compute(self) -> dict[str, float]:
        return dict(self.shell.compute())

    def reset(self) -> None:
        self.shell.reset()

    def tables(self) -> dict[str, list[Any]]:
        return {"labels": self.shell.table()}


class LabelScores(_Scores):
    """Accuracy, macro F1 and Matthews correlation."""

    def __init__(self, problem: Single) -> None:
        super().__init__(problem, ClassificationMetric(problem.labels))
        self.gold = lambda row: problem.number(problem.value(row), row)

    def update(self, outputs: Sequence[Any], rows: Sequence[Row]) -> None:
        guesses = [int(o.argmax()) for o in outputs]
        self.shell.update(torch.tensor(guesses), torch.tensor([self.gold(row) for row in rows]))


class MultiLabelScores(_Scores):
    """Micro and macro F1, and the share of rows with every label right."""

    def __init__(self, problem: Multi) -> None:
        super().__init__(problem, MultiLabelMetric(problem.labels))

    def update(self, outputs: Sequence[Any], rows: Sequence[Row]) -> None:
        gold = np.concatenate([self.problem.target(row)[0]["labels"] for row in rows])
        self.shell.update(torch.from_numpy(np.stack(outputs) > 0.5), torch.from_numpy(gold > 0))


class NumberScores(_Scores):
    """Pearson's correlation and the root mean squared error."""

    def __init__(self, problem: Regression) -> None:
        super().__init__(problem, RegressionMetric(shift=problem.mean))

    def update(self, outputs: Sequence[Any], rows: Sequence[Row]) -> None:
        guesses = torch.tensor([float(o[0]) for o in outputs])
        self.shell.update(guesses, torch.tensor([self.problem.value(row) for row in rows]))

    def tables(self) -> dict[str, list[Any]]:
        return {"values": self.shell.table()}


def _natural(label: str) -> tuple[int, float, str]:
    """Sort numbers by value, before words."""
    try:
        return 0, float(label), label
    except ValueError:
        return 1, 0.0, label
