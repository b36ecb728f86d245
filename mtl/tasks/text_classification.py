"""A label, several labels, or a number for a text: sentiment, topic, intent, rating.

One row of the bundled corpus::

    {"text": "We waited an hour and the soup was cold.", "label": "negative"}

With a second text, a pair: entailment, paraphrase, similarity. With queries, a ranking.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from torch import Tensor
from torchmetrics import MetricCollection

from mtl.config.section import Blank, Field, Flag, Lower, Number, Section, Values
from mtl.data.rows import Role
from mtl.heads.base import Head, LinearHead
from mtl.metrics.ranking import NAMES as RANKED
from mtl.metrics.ranking import RankingScores
from mtl.tasks._pairs import (
    SECOND,
    averaged,
    check_layout,
    encode_beside,
    given,
    has,
    layout_of,
    pooled_by,
)
from mtl.tasks._passages import Averaged, Join
from mtl.tasks._ranking import QUERY, least_relevant, ranked, to_rank
from mtl.tasks._text_problems import PROBLEMS, TextLearned
from mtl.tasks._weights import WeightOptions
from mtl.tasks.base import TASK_TYPES, Guess, Learned, ResultClass, Task, Traits
from mtl.trunk.text import TextEncoder, Tokens
from mtl.trunk.trunk import Trunk
from mtl.types import Encoded, Examples, Row


class TextOptions(Section):
    """Options of `text_classification`."""

    problem: Annotated[Literal["single", "multi", "regression"], Lower] = "single"
    """``single`` (one label of several), ``multi`` (any number of labels) or ``regression``."""
    layout: Annotated[Literal["auto", "joint", "branch"], Lower] = "auto"
    """Of a second text: ``joint``: after the first, as the tokenizer joins pairs; ``branch``: the
    first is encoded once for all its second texts; ``auto`` is branch on decoders, else joint."""
    calibrate: bool = True
    """Whether probabilities follow a temperature that validation chooses; no label changes."""
    thresholds: Annotated[Literal["half", "tuned"], Lower] = "half"
    """Above which probability a label of `multi` is given: ``half``, or ``tuned``: each label has
    its own, with the best F1 in validation, if it occurs there ten times."""
    abstain_below: Number | None = Field(None, ge=0, le=1)
    """No label is given where the likeliest one is less probable. For `single` only."""

    relevant: Blank | None = None
    """Where rows belong to queries: the label of relevant ones, or the number from which on they
    are; unset, any number above 0, or ``yes``, ``true`` or ``relevant``."""


class TextHeadOptions(WeightOptions):
    """Options of the classification head; those of the loss are for labels only."""

    pooling: Annotated[Literal["auto", "first", "last", "mean"], Lower] = "auto"
    """Which states are averaged: ``first``, ``last`` or all (``mean``) of the document's; ``auto``
    is the last under causal attention and all otherwise. Windows of a long text are averaged.
    Of a second text in a branch, states of the branch are read, the last one by ``auto``."""
    bias: Flag = True
    """Whether the layer adds ``b_out``; the classes of transformers for decoders do not."""

    own: ClassVar[tuple[str, ...]] = (*WeightOptions.own, "bias")


@TASK_TYPES.register("text_classification")
class TextClassification(Task):
    """Labels a text through one linear head on its pooled states."""

    Options = TextOptions
    HeadOptions = TextHeadOptions
    metric_names: tuple[str, ...] = (
        "accuracy",
        "micro_f1",
        "macro_f1",
        "mcc",
        "subset_accuracy",
        "ece",
        "coverage",
        "answered_accuracy",
        "pearson",
        "rmse",
        *RANKED,
    )
    traits = Traits(lower_is_better=frozenset({"ece", "rmse"}))
    options: TextOptions
    learned: TextLearned
    head_options: TextHeadOptions

    def __init__(self, name: str, options: TextOptions, head: TextHeadOptions, *args: Any) -> None:
        self.problem = PROBLEMS.get(options.problem)(self, name, head, options)
        self.metric_names = self.problem.metric_names
        self.learns = self.problem.learns
        super().__init__(name, options, head, *args)

    @classmethod
    def roles(cls, options: Any = None) -> list[Role]:
        """A text, perhaps a second one and a query, and their label, labels or number."""
        label = Role("label", "record", help="its label, list of labels, or number", target=True)
        if options is not None:
            label = replace(label, type=PROBLEMS.get(options.problem).role)
        return [Role("text", "text", help="the text"), SECOND, QUERY, label]

    def fits(self, trunk: Trunk) -> None:
        """Refuse a layout that the trunk cannot have, and a state that would say nothing."""
        pooling, pair = self.head_options.pooling, self.learned.pair
        check_layout(trunk, self.name, self.options.layout, pooling, beside=pair)

    def learn(self, rows: Sequence[Row]) -> Learned:
        """Return the label set, or the mean and spread of the numbers, and how texts are read."""
        found: dict[str, Any] = {"pair": has(rows, SECOND, self.name)}
        learned = self.problem.learn(rows)
        if has(rows, QUERY, self.name):
            relevant, labels = self.options.relevant, self.problem.grades(learned)
            grades = [self.problem.grade(row, learned) for row in rows]
            found |= {"query": True, "least": least_relevant(grades, relevant, self.name, labels)}
        return learned.model_copy(update=found)

    def encode(self, row: Row, tokens: Tokens, encoder: TextEncoder, attention: str) -> Encoded:
        """Read the pooled states of every window; all of them are averaged into one output."""
        layout = layout_of(self.options.layout, encoder.architecture)
        branch = self.learned.pair and layout == "branch"
        pooled = pooled_by(self.head_options.pooling, attention, branch=branch)
        if self.learned.pair:
            others = [given(row, SECOND, self.name)]
            encoded = encode_beside(row, tokens, others, encoder, layout, pooled, "a second text")
        else:
            windows = encoder.windows(len(tokens))
            documents = [encoder.document(tokens, w) for w in windows]
            encoded = averaged(documents, [], [pooled(len(d)) for d in documents])
        if "label" in row:
            encoded.targets, encoded.mass = self.problem.target(row)
            encoded.extra = self.problem.gold(row)
            if self.learned.query:
                grade = self.problem.grade(row, self.learned)
                encoded.extra |= ranked(row, grade, self.name)
        return encoded

    def build_head(self, hidden_size: int) -> Head:
        """Return the problem's linear head."""
        head = self.problem.build_head(hidden_size)
        if not self.head_options.bias:
            assert isinstance(head, LinearHead)
            head.without_bias()
        return head

    def decode(self, logits: Tensor, examples: Examples) -> list[Any]:
        """Return one array an example: probabilities (C,), or the number (1,)."""
        del examples
        return list(self.problem.activate(logits.detach().float()).cpu().numpy())

    def joins(self, row: Row) -> Join:
        """Return what averages over windows."""
        return Averaged(self, row)

    def metrics(self) -> MetricCollection:
        """Return the problem's scores, and those of rankings where rows belong to queries."""
        metrics = self.problem.metrics()
        if self.learned.query:
            metrics.add_metrics({"ranking": RankingScores(self.learned.least)})
        return metrics

    def feed(self, outputs: Sequence[Any], examples: Examples) -> Values:
        """Return ``preds`` and ``target``.

        They are probabilities (n, labels) and label numbers (n,); the same and 0 or 1 for each of
        several labels, (n, labels); or numbers (n,). Where rows belong to queries also (n,) each
        ``relevance``, ``grades``, ``queries`` and ``draws``.
        """
        found: Values = self.problem.feed(outputs, examples.encoded)
        if self.learned.query:
            found |= to_rank(self.problem.relevance(outputs), examples.encoded)
        return found

    def baseline(self, train: Examples) -> Guess:
        """Guess the commonest label (or labels), or the mean number, whatever the text."""
        constant = self.problem.commonest(train.encoded)
        return lambda examples: [constant] * len(examples)

    def present(self, output: Any, row: Row) -> Values:
        """Return the label with all probabilities, the labels, or the number."""
        return self.problem.present(output)

    @property
    def gives(self) -> ResultClass:
        """The problem's: a label, labels, or a number."""
        return self.problem.gives
