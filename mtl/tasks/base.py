"""The contract of a task type.

A task type says how a row becomes token ids and targets, which head reads them, how logits become
compact outputs, and how outputs are scored and shown. It is one file: a :class:`Task` subclass
with ``@TASK_TYPES.register(name)``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

import torch
from torch import Tensor, nn

from mtl.data.rows import Role
from mtl.errors import ConfigError, one_of
from mtl.heads.base import Head
from mtl.registry import Registry
from mtl.trunk.recall import Recalled
from mtl.trunk.text import TextEncoder, Tokens
from mtl.trunk.trunk import Trunk
from mtl.types import Encoded, HeadBatch, Row

TaskType: TypeAlias = "type[Task]"

TASK_TYPES: Registry[TaskType] = Registry("type")
"""What `type:` in a task's YAML may name."""


@dataclass
class HeadOptions:
    """What every head can be told under `head:`."""

    name: str | None = None
    """Tasks that give the same name share one head; the task's own name when unset."""
    dropout: float = field(default=0.1, metadata={"min": 0, "below": 1})
    """Share of the states' elements set to zero in training."""


@dataclass(frozen=True, slots=True)
class Writing:
    """How much a task writes, beside what its passes through the trunk answer."""

    validation_examples: int | None
    """For how many examples a validation during training writes texts; all when None."""
    new_tokens: int
    """The most tokens of a text."""


class TaskMetrics(nn.Module, ABC):
    """Running scores of one task over one split; its state is compact and summed across ranks."""

    @abstractmethod
    def update(self, outputs: Sequence[Any], rows: Sequence[Row]) -> None:
        """Count examples, each once.

        Args:
            outputs: What :meth:`Task.decode` returned for them.
            rows: The rows they came from, with their targets.
        """

    @abstractmethod
    def compute(self) -> dict[str, float]:
        """Return the scores over all ranks, each on 0 to 1 where the metric has such a scale."""

    @abstractmethod
    def reset(self) -> None:
        """Forget all examples."""

    def tables(self) -> dict[str, list[Any]]:
        """Return named tables, each a list of rows of one type of :mod:`mtl.metrics.rows`."""
        return {}


class Task(ABC):
    """One task: its options, what it learned from the training split, and its conversions.

    Args:
        name: What the user calls it.
        options: An instance of the type's `Options`.
        head: An instance of the type's `HeadOptions`.
        metric: The primary metric; the type's default when None.
        weight: Of its loss in training and of its metric in the score.

    Raises:
        ConfigError: If the type has no such metric.
    """

    type: ClassVar[str]
    Options: ClassVar[Any]
    """Dataclass of the type's ``options:``."""
    HeadOptions: ClassVar[Any] = HeadOptions
    """Dataclass of the type's ``head:``."""
    own_options: ClassVar[tuple[str, ...]] = ("dropout",)
    """The options under ``head:`` that are the head's own: tasks that share one agree on them."""
    metric_names: ClassVar[tuple[str, ...]]
    lower_is_better: ClassVar[frozenset[str]] = frozenset()
    writes: ClassVar[bool] = False
    """Whether its head scores the trunk's vocabulary, so that the trunk needs its output layer."""
    attentions: ClassVar[tuple[str, ...]] = ("causal", "bidirectional")
    """How its documents may be read."""
    repeats: ClassVar[bool] = False
    """Whether a document that a split holds twice is read twice, not once for both."""

    def __init__(
        self, name: str, options: Any, head: Any, metric: str | None = None, weight: float = 1.0
    ) -> None:
        self.name = name
        self.options = options
        self.head_options = head
        self.weight = weight
        self.counts: Counter[str] = Counter()
        """What was counted while examples were encoded, for :meth:`remarks`."""
        self.primary_metric = metric or self.default_metric()
        if self.primary_metric not in self.own_metrics:
            raise ConfigError(one_of(f"tasks.{name}.metric", self.primary_metric, self.own_metrics))

    @property
    def head_name(self) -> str:
        """The head's name; tasks with the same one share it."""
        return str(self.head_options.name or self.name)

    @property
    def own_metrics(self) -> tuple[str, ...]:
        """The metrics that this task, with its options, has."""
        return self.metric_names

    @property
    def higher_is_better(self) -> bool:
        """The direction of the primary metric."""
        return self.primary_metric not in self.lower_is_better

    def default_metric(self) -> str:
        """Return the primary metric used when the YAML names none."""
        return self.own_metrics[0]

    @classmethod
    @abstractmethod
    def roles(cls) -> list[Role]:
        """Return what the type reads from a row."""

    def own_roles(self) -> list[Role]:
        """Return what this task, with its options, reads from a row."""
        return self.roles()

    def asks(self) -> list[str]:
        """Return the roles that predictions need beside a text or its words."""
        roles = (role for role in self.own_roles() if role.required and not role.target)
        return [role.name for role in roles if role.name not in ("text", "tokens")]

    @abstractmethod
    def learn(self, rows: Sequence[Row]) -> None:
        """Take labels and the like from the training rows, once; they are kept in the checkpoint.

        Raises:
            DataError: If the rows do not fit the type.
        """

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return what :meth:`learn` found, as plain JSON values."""

    @abstractmethod
    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state` returned."""

    @abstractmethod
    def shared_state(self, others: Sequence[Task]) -> dict[str, Any]:
        """Return the part of the state that one head fixes for this task and for `others`.

        Raises:
            ConfigError: If the tasks cannot share a head.
        """

    def fits(self, trunk: Trunk) -> None:
        """Refuse a trunk that this task cannot use.

        Raises:
            ConfigError: With the trunk's architecture and the task's name.
        """
        del trunk

    def meet(self, encoder: TextEncoder) -> None:
        """Meet the trunk's text encoder: once, after training data was read, before it is encoded.

        For tasks whose baseline counts tokens.
        """
        del encoder

    def check(self, row: Row) -> Row:
        """Return a row that was just read, put right where that is possible.

        Raises:
            ValueError: With one sentence, if the row is no example of this task.
        """
        return row

    def remarks(self) -> list[str]:
        """Return what the user should know of the rows read and encoded so far, a sentence each."""
        return []

    def tune(self, metrics: TaskMetrics) -> None:
        """Take from a validation's scores what predictions need, such as a threshold.

        It becomes part of :meth:`state`, and so of the checkpoint that follows.
        """
        del metrics

    @property
    def writing(self) -> Writing | None:
        """How much the task writes; None where the heads' logits are the answer."""
        return None

    def write(
        self,
        trunk: Trunk,
        head: Head,
        examples: Sequence[Encoded],
        *,
        bidirectional: bool,
        read: Sequence[Recalled] | None = None,
    ) -> list[Any]:
        """Write texts for examples, where the task has :attr:`writing`.

        Args:
            trunk: With its output layer.
            head: This task's.
            examples: Encoded with or without their targets, which are not looked at.
            bidirectional: Whether their documents see all of themselves.
            read: Their documents, where passes of this trunk have read and kept them.

        Returns:
            One output an example, of the type that :meth:`decode` returns.
        """
        raise NotImplementedError(f"{self.type} writes no text")

    def document(self, row: Row) -> str:
        """Return the text of a row's document."""
        return str(row["text"])

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

    def examples(
        self, row: Row, tokens: Tokens, encoder: TextEncoder, attention: str
    ) -> list[Encoded]:
        """Return a row's examples: one, or several if parts of it are learned one by one.

        Together they have the targets and the mass of what :meth:`encode` returns.
        """
        return [self.encode(row, tokens, encoder, attention)]

    @abstractmethod
    def build_head(self, hidden_size: int) -> Head:
        """Return a fresh head for the learned labels."""

    @abstractmethod
    def decode(self, logits: Tensor, batch: HeadBatch, rows: Sequence[Row]) -> list[Any]:
        """Turn (G, C) logits into one compact output an example."""

    @abstractmethod
    def metrics(self) -> TaskMetrics:
        """Return fresh running scores."""

    @abstractmethod
    def baseline(self, rows: Sequence[Row]) -> Any:
        """Return an honest constant guess from the training rows: ``row -> output``."""

    @abstractmethod
    def present(self, output: Any, row: Row) -> dict[str, Any]:
        """Return one output as JSON values that a person reads."""


def read_parts(
    index: Any, windows: Sequence[tuple[int, int]], encoder: TextEncoder
) -> tuple[Any, Any]:
    """Return (part, offset) of tokens `index` (N,), each read where it is farthest from an edge."""
    import numpy as np

    part = encoder.owner(index, windows)
    starts = np.asarray([s for s, _ in windows], dtype=np.int32)
    return part, index - starts[part] + len(encoder.prefix)


def split_outputs(values: Tensor, batch: HeadBatch) -> list[Tensor]:
    """Cut (G, ...) values into one tensor an example."""
    return list(torch.split(values, batch.sizes))
