"""A label, several labels, or a number for a text: sentiment, topic, intent, rating.

One row of the bundled corpus::

    {"text": "We waited an hour and the soup was cold.", "label": "negative"}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from torch import Tensor

from mtl.data.rows import Role
from mtl.errors import ConfigError, one_of
from mtl.heads.base import Head
from mtl.tasks._problems import PROBLEMS, Problem
from mtl.tasks.base import TASK_TYPES, HeadOptions, Task, TaskMetrics, split_outputs
from mtl.trunk.text import TextEncoder, Tokens
from mtl.types import Encoded, HeadBatch, Row

POOLINGS = ("auto", "first", "last", "mean")


@dataclass
class TextOptions:
    """Options of `text_classification`."""

    problem: str = field(default="single", metadata={"choices": tuple(PROBLEMS)})
    """``single`` (one label of several), ``multi`` (any number of labels) or ``regression``."""


@dataclass
class TextHeadOptions(HeadOptions):
    """Options of the classification head."""

    label_smoothing: float = field(default=0.0, metadata={"min": 0, "below": 1})
    """Share of the target that is spread evenly over all labels. For `single` only."""
    class_weights: dict[str, float] | None = field(default=None, metadata={"min": 0})
    """Weight of each label in the loss; labels not named weigh 1. For `single` only."""
    pooling: str = field(default="auto", metadata={"choices": POOLINGS})
    """Which states are averaged: ``first``, ``last`` or all (``mean``) of the document's; ``auto``
    is the last under causal attention and all otherwise. Windows of a long text are averaged."""


@TASK_TYPES.register("text_classification")
class TextClassification(Task):
    """Labels a text through one linear head on its pooled states."""

    type = "text_classification"
    Options = TextOptions
    HeadOptions = TextHeadOptions
    own_options = ("dropout", "label_smoothing", "class_weights")
    metric_names = (
        "accuracy",
        "macro_f1",
        "mcc",
        "micro_f1",
        "subset_accuracy",
        "pearson",
        "rmse",
    )
    lower_is_better = frozenset({"rmse"})

    def __init__(
        self, name: str, options: Any, head: Any, metric: str | None = None, weight: float = 1.0
    ) -> None:
        problem = PROBLEMS.get(options.problem, f"tasks.{name}.options.problem")
        self.problem: Problem = problem(name, head)
        super().__init__(name, options, head, metric, weight)
        if head.pooling not in POOLINGS:
            raise ConfigError(one_of(f"tasks.{name}.head.pooling", head.pooling, POOLINGS))

    @classmethod
    def roles(cls) -> list[Role]:
        """A text, and its label, labels or number."""
        return [
            Role("text", "text", help="the text"),
            Role("label", "record", help="its label, list of labels, or number", target=True),
        ]

    def own_roles(self) -> list[Role]:
        """Return the roles, with the label's type as the problem has it."""
        text, label = self.roles()
        return [text, replace(label, type=self.problem.value_type)]

    @property
    def own_metrics(self) -> tuple[str, ...]:
        """The problem's metrics."""
        return self.problem.metric_names

    def learn(self, rows: Sequence[Row]) -> None:
        """Take the label set, or the mean and spread of the numbers."""
        self.problem.learn(rows)

    def state(self) -> dict[str, Any]:
        """Return labels, or mean and spread."""
        return self.problem.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state` returned."""
        self.problem.load_state(state)

    def shared_state(self, others: Sequence[Task]) -> dict[str, Any]:
        """Return the state of a head for tasks of the same problem."""
        problems = [t.problem for t in others if isinstance(t, TextClassification)]
        same = [p for p in problems if type(p) is type(self.problem)]
        if len(same) != len(others):
            names = ", ".join(t.name for t in (self, *others))
            raise ConfigError(
                f"Expected the tasks that share head '{self.head_name}' ({names}) to be "
                "text_classification with one `options.problem`, but they are not; give them "
                "different `head.name`s."
            )
        return self.problem.shared_state(same)

    def encode(self, row: Row, tokens: Tokens, encoder: TextEncoder, attention: str) -> Encoded:
        """Read the pooled states of every window; all of them are averaged into one output."""
        windows = encoder.windows(len(tokens))
        documents = [encoder.document(tokens, w) for w in windows]
        asked = self.head_options.pooling
        pooling = asked if asked != "auto" else ("last" if attention == "causal" else "mean")
        reads = [POOLED[pooling](len(d)) for d in documents]
        part = np.repeat(np.arange(len(documents), dtype=np.int32), [len(r) for r in reads])
        targets, mass = self.problem.target(row) if "label" in row else ({}, 0.0)
        offset = np.concatenate(reads).astype(np.int32)
        group = np.zeros(len(part), dtype=np.int32)
        return Encoded(documents, part, offset, targets, mass, group=group)

    def build_head(self, hidden_size: int) -> Head:
        """Return the problem's linear head."""
        return self.problem.build_head(hidden_size)

    def decode(self, logits: Tensor, batch: HeadBatch, rows: Sequence[Row]) -> list[Any]:
        """Return one array an example: probabilities (C,), or the number (1,)."""
        values = self.problem.activate(logits.detach().float()).cpu()
        return [v[0].numpy() for v in split_outputs(values, batch)]

    def metrics(self) -> TaskMetrics:
        """Return the problem's scores."""
        return self.problem.metrics()

    def baseline(self, rows: Sequence[Row]) -> Callable[[Row], Any]:
        """Guess the commonest label (or labels), or the mean number, whatever the text."""
        constant = self.problem.commonest(rows)
        return lambda row: constant

    def present(self, output: Any, row: Row) -> dict[str, Any]:
        """Return the label with all probabilities, the labels, or the number."""
        return self.problem.present(output)


POOLED: dict[str, Callable[[int], np.ndarray]] = {
    "first": lambda size: np.zeros(1, dtype=np.int32),
    "last": lambda size: np.full(1, size - 1, dtype=np.int32),
    "mean": lambda size: np.arange(size, dtype=np.int32),
}
