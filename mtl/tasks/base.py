"""The contract of a task type.

A task type says how a row becomes token ids and targets, which head reads them, how logits become
compact outputs, and which metrics score them. It is one file: a :class:`Task` subclass with
``@TASK_TYPES.register(name)``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor
from torchmetrics import MetricCollection

from mtl.config.schema import LabelConfig
from mtl.config.section import Field, Flag, Number, Section, Values, Whole
from mtl.data.label_rules import LabelRules
from mtl.data.readers.split import Check
from mtl.data.rows import Role, told, where
from mtl.data.words import join_words
from mtl.errors import ConfigError, DataError, Problem, did_you_mean, few, one_of
from mtl.heads.base import Head
from mtl.labels import NONE
from mtl.metrics.entities import entity_types
from mtl.registry import Registry
from mtl.tasks._passages import Join
from mtl.tasks.results import Prediction, Result
from mtl.trunk.recall import Recalled
from mtl.trunk.streaming import Pieces
from mtl.trunk.text import TextEncoder, Tokens
from mtl.trunk.trunk import Trunk
from mtl.types import Encoded, Examples, Row

TaskType: TypeAlias = "type[Task]"
SectionClass: TypeAlias = type[Section]
LearnedClass: TypeAlias = "type[Learned]"
ResultClass: TypeAlias = type[Result]


class TaskTypes(Registry[TaskType]):
    """Task types by the name that `type:` in a task's YAML has for them."""

    def get(self, name: str, where: str | None = None) -> TaskType:
        """Return the type called `name`, which knows its name from then on.

        Raises:
            ConfigError: If there is no such type, or it lacks what every type must have.
        """
        task_type = super().get(name, where)
        task_type.type = name
        place = where or self.key
        if hasattr(task_type, "lower_is_better"):
            expected = "to be a type whose `traits` say which metrics are better low"
            found = f"'{name}' has `lower_is_better` beside them"
            raise ConfigError(
                Problem(place, expected, found, "write `traits = Traits(lower_is_better=...)`")
            )
        missing = sorted(task_type.__abstractmethods__)
        if not hasattr(task_type, "metric_names"):
            missing.append("metric_names")
        if missing:
            expected = "to be a type with all that a type must have"
            raise ConfigError(Problem(place, expected, f"'{name}' lacks {', '.join(missing)}"))
        return task_type


TASK_TYPES = TaskTypes("type", group="mtl.tasks")


class HeadOptions(Section):
    """What every head can be told under `head:`."""

    name: str | None = None
    """Tasks that give the same name share one head; the task's own name when unset."""
    dropout: Number = Field(0.1, ge=0, lt=1)
    """Share of the states' elements set to zero in training."""

    layer: Whole | None = Field(None, ge=1)
    """Which layer of the trunk is read, counted from 1; the last one when unset."""
    layer_mix: Flag = False
    """Read a mean of all layers, with weights that are learned."""

    own: ClassVar[tuple[str, ...]] = ("dropout", "layer", "layer_mix")
    """The options that are the head's own: tasks that share one agree on them."""


L = TypeVar("L", bound="Learned")


class Learned(Section):
    """What a task took from its training rows; kept in checkpoints as JSON. Here it is nothing."""

    later: ClassVar[Values] = {}
    """What fields that models of earlier versions lack are in those."""

    def shared(self: L, others: Sequence[L]) -> Values:
        """Return the fields that one head fixes for tasks of this type, with their values.

        Raises:
            ValueError: If they cannot share one, with what they would have to have, in words.
        """
        del others
        return {}

    @property
    def without(self) -> Mapping[str, str]:
        """The type's metrics that do not apply to what was learned, and why, after "because"."""
        return {}

    @property
    def wants(self) -> tuple[str, ...]:
        """Roles that need not be there, but that rows must have because training's did."""
        return ()

    @property
    def raw(self) -> Values:
        """The fields that only a validation sets, as they are before one."""
        return {}

    def tuned(self: L, metrics: MetricCollection) -> L:
        """Return this with what a validation adds to it, such as a threshold.

        Args:
            metrics: The task's, of the validation; every rank must ask them the same.
        """
        del metrics
        return self

    @property
    def facts(self) -> Values:
        """What metrics of other packages are told where they ask: ``num_classes`` and the like."""
        return {}


@dataclass(frozen=True, slots=True)
class Traits:
    """How a type reads and is scored, where it is not as most do."""

    writes: bool = False
    """Its head scores the trunk's vocabulary, so that the trunk needs its output layer."""
    attentions: tuple[str, ...] = ("causal", "bidirectional")
    """How its documents may be read."""
    by_window: bool = False
    """In training, each window of a document is an example of its own."""
    repeats: bool = False
    """A document that a split holds twice is read twice, not once for both."""
    unread: bool = False
    """An example of which nothing is read, having no word with a token, has an answer too."""
    lower_is_better: frozenset[str] = frozenset()
    """Its metrics of which a lower value is the better one."""


class Writer(Protocol):
    """What writes texts for a task, beside what passes through the trunk answer."""

    @property
    def validation_examples(self) -> int | None:
        """For how many examples a validation during training writes texts; all when None."""

    @property
    def new_tokens(self) -> int:
        """The most tokens of a text."""

    def __call__(
        self,
        trunk: Trunk,
        head: Head,
        examples: Sequence[Encoded],
        *,
        bidirectional: bool,
        read: Sequence[Recalled] | None = None,
        pieces: Pieces | None = None,
    ) -> list[Any]:
        """Write texts for examples.

        Args:
            trunk: With its output layer.
            head: The task's.
            examples: Encoded with or without their targets, which are not looked at.
            bidirectional: Whether their documents see all of themselves.
            read: Their documents, where passes of this trunk have read and kept them.
            pieces: May be told of each example's text as it is written.

        Returns:
            One output an example, as :meth:`Task.decode` returns them.
        """


Guess = Callable[[Examples], list[Any]]
"""Answers examples without a model, with one output each."""


class Task(ABC):
    """One task: its options, what it learned from the training split, and its conversions.

    A type must have `metric_names`, `roles`, `encode`, `build_head`, `decode`, `metrics` and
    `baseline`; the rest is there for types that need it.

    Args:
        name: What the user calls it.
        options: An instance of the type's `Options`.
        head: An instance of the type's `HeadOptions`.
        metric: The primary metric; the type's first when None.
        weight: Of its loss in training and of its metric in the score.
        metrics: Further metrics, as ``tasks.<name>.metrics`` has them.

    Raises:
        ConfigError: If the type has no such metric.
    """

    type: ClassVar[str]
    """The name that it is registered under."""
    Options: ClassVar[SectionClass] = Section
    """The type's ``options:``."""
    HeadOptions: ClassVar[SectionClass] = HeadOptions
    """The type's ``head:``."""
    learns: LearnedClass = Learned
    """What it takes from training rows."""
    traits: ClassVar[Traits] = Traits()
    metric_names: tuple[str, ...]
    """What its metrics compute; the first is the primary one. An instance may have fewer."""

    def __init__(
        self,
        name: str,
        options: Any,
        head: Any,
        metric: str | None = None,
        weight: float = 1.0,
        metrics: Sequence[Any] = (),
    ) -> None:
        self.name = name
        self.options = options
        self.head_options = head
        self.head_name = str(head.name or name)
        """Tasks with the same one share a head."""
        self.weight = weight
        self.more_metrics = list(metrics)
        self.learned: Learned = self.learns()
        self.labels = LabelConfig()
        """What its data section says of labels."""
        self.counts: Counter[str] = Counter()
        """What was counted in the rows read and encoded so far; keys are made by
        :func:`mtl.data.rows.remark`."""
        known = [*self.metric_names, *added_names(self.more_metrics)]
        self.primary_metric = metric or self.metric_names[0]
        if self.primary_metric not in known:
            raise ConfigError(one_of(f"tasks.{name}.metric", self.primary_metric, known))

    @classmethod
    @abstractmethod
    def roles(cls, options: Any = None) -> list[Role]:
        """Return what the type reads from a row; with some options, where they matter."""

    @abstractmethod
    def encode(self, row: Row, tokens: Tokens, encoder: TextEncoder, attention: str) -> Encoded:
        """Turn a row into ids, places to read, and targets; rows without targets get none.

        Args:
            row: One row.
            tokens: Its document's tokens.
            encoder: For windows and special tokens.
            attention: How the document is read: ``causal`` or ``bidirectional``.

        Raises:
            DataError: If a target is not one that training had.
        """

    @abstractmethod
    def build_head(self, hidden_size: int) -> Head:
        """Return a fresh head for what was learned."""

    @abstractmethod
    def decode(self, logits: Tensor, examples: Examples) -> list[Any]:
        """Turn (G, C) logits into one compact output an example."""

    @abstractmethod
    def metrics(self) -> MetricCollection:
        """Return fresh metrics; each is given what it takes of :meth:`feed`, by name."""

    @abstractmethod
    def baseline(self, train: Examples) -> Guess:
        """Return an honest guess from the training examples, which ignores what a text says."""

    def learn(self, rows: Sequence[Row]) -> Learned:
        """Return labels and the like from the training rows.

        Raises:
            DataError: If the rows do not fit the type.
        """
        del rows
        return self.learned

    def fits(self, trunk: Trunk) -> None:
        """Meet the trunk before anything is encoded; refuse one that this task cannot use.

        Raises:
            ConfigError: With the trunk's architecture and the task's name.
        """
        del trunk

    def check(self, row: Row) -> Row:
        """Return a row that was just read, put right where that is possible.

        Raises:
            ValueError: With one sentence, if the row is no example of this task.
        """
        return row

    def feed(self, outputs: Sequence[Any], examples: Examples) -> Values:
        """Return what metrics are given for some examples.

        Here ``preds`` are the outputs, numbers, and ``target`` the type's only target.
        """
        (name,) = examples.encoded[0].targets
        target = np.concatenate([example.targets[name] for example in examples.encoded])
        return {"preds": torch.tensor(outputs), "target": torch.from_numpy(target)}

    def writer(self) -> Writer | None:
        """Return what writes the task's texts; None where the heads' logits are the answer."""
        return None

    def joins(self, row: Row) -> Join | None:
        """Return what puts the answer to a long text together, passage by passage.

        Here it is None: the text has to be read at once, and memory follows its length.
        """
        del row
        return None

    def present(self, output: Any, row: Row) -> Values:
        """Return one output as JSON values that a person reads."""
        del row
        return {"prediction": output}

    @property
    def gives(self) -> ResultClass:
        """The class of its typed results, whose fields are the keys of :meth:`present`."""
        return Prediction

    def expected(self, row: Row) -> Values:
        """Return what would be right for a row, by role; spans as :meth:`present` has them."""
        return {r.name: row[r.name] for r in self.roles(self.options) if r.target and r.name in row}


def added_names(specs: Sequence[Any]) -> list[str]:
    """Return the names of ``tasks.<name>.metrics``."""
    return [str(spec.get("name")) if isinstance(spec, Mapping) else str(spec) for spec in specs]


def own_metrics(task: Task) -> list[str]:
    """Return the metrics that a task, with its options and what it learned, has."""
    own = [name for name in task.metric_names if name not in task.learned.without]
    return [*own, *added_names(task.more_metrics)]


def take(task: Task, learned: Learned) -> None:
    """Give a task what was learned: by itself, with others, or in a run that it continues.

    Raises:
        ConfigError: If its primary metric does not apply to that.
    """
    task.learned = learned
    known = own_metrics(task)
    if task.primary_metric not in known:
        expected = f"to be one of {{{', '.join(known)}}}"
        reason = learned.without.get(task.primary_metric, "the training data has no other")
        where, got = f"tasks.{task.name}.metric", f"got '{task.primary_metric}'"
        raise ConfigError(Problem(where, f"{expected}, because {reason}", got))


def restore(task: Task, state: Mapping[str, Any]) -> None:
    """Give a task what a checkpoint or a model says that it learned.

    Raises:
        KeyError: If something is missing from it.
        ValueError: If something is not of its type.
    """
    whole = {**task.learns.later, **state}
    fields = {name: whole[name] for name in task.learns.model_fields}
    take(task, task.learns.model_validate({**whole, **fields}))


def row_check(task: Task) -> tuple[Check, LabelRules]:
    """Return what is done to each row that is read for a task, and its rules for labels."""
    roles = task.roles(task.options)
    rules = LabelRules(task.labels, roles, f"tasks.{task.name}.data")
    others = [role.name for role in roles if role.instead_of]

    def check(row: Row) -> Row | None:
        if any(name in row for name in others):
            return rules(task.check(row))  # Which turns them into the labels that rules are for.
        known = rules(row)
        return None if known is None else task.check(known)

    return check, rules


def remarks(task: Task) -> list[str]:
    """Return what the user should know of the rows read and encoded so far, a sentence each."""
    return told(task.counts, f"tasks.{task.name}")


def asks(task: Task) -> list[str]:
    """Return the roles that predictions need beside a text or its words."""
    must = task.learned.wants
    given = (role for role in task.roles(task.options) if not role.target)
    roles = (role for role in given if role.required or role.name in must)
    return [role.name for role in roles if role.name not in ("text", "tokens")]


def answer_labels(task: Task) -> list[str]:
    """Return the labels that a task's answers may have: types, where words were labeled B-PER."""
    labels = list(getattr(task.learned, "labels", None) or [])
    marks = getattr(task.learned, "scheme", NONE) != NONE
    return entity_types(labels) if marks else labels


def document(row: Row) -> str:
    """Return the text of a row's document: its text, or its words joined."""
    return str(row["text"]) if "text" in row else join_words(row["tokens"])


def unknown_label(row: Row, task: str, label: str, labels: Sequence[str]) -> DataError:
    """Return the error of a label that training did not have."""
    return DataError(
        f"{where(row)}: Expected a label that training has rows of (task '{task}': "
        f"{few(labels, label)}), but got '{label}'.{did_you_mean(label, labels)} Mend it, add rows "
        f"of it to training, or set `tasks.{task}.data.unseen_labels=count` to count it as wrong."
    )
