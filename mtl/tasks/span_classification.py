"""Spans of words with labels, which may lie inside each other and overlap.

One row; `end` is the first word after the span::

    {"tokens": ["University", "of", "Skerrow"],
     "spans": [{"start": 0, "end": 3, "label": "ORG"}, {"start": 2, "end": 3, "label": "LOC"}]}
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchmetrics import MetricCollection

from mtl.config.section import Field, Section, Values, Whole
from mtl.data.label_rules import IGNORED, entity_types
from mtl.data.rows import Role, remark
from mtl.data.spans import lay, placed
from mtl.data.value_types import to_label
from mtl.data.word_learning import learn_words
from mtl.data.word_rule import WordRule
from mtl.errors import DataError, Problem
from mtl.heads.base import Head
from mtl.heads.span_pairs import SpanPairHead
from mtl.labels import OUTSIDE, spans_of
from mtl.metrics.nested import NestedScores
from mtl.tasks._passages import Join
from mtl.tasks._weights import FocalOptions, gamma_of
from mtl.tasks._word_passages import SpanJoin
from mtl.tasks._words import SPANS, TEXT, TOKENS, given_words, words_of
from mtl.tasks.base import (
    TASK_TYPES,
    Guess,
    Learned,
    ResultClass,
    Task,
    Traits,
    document,
    unknown_label,
)
from mtl.tasks.results import Entities
from mtl.trunk.text import TextEncoder, Tokens
from mtl.types import Encoded, Examples, Row

Spans = npt.NDArray[np.int64]
"""Shape (K, 3): first word, last word, label number."""
LEVELS = ("labels", "inner")
"""Roles of labels in BIO, each of spans that do not overlap."""


class SpanOptions(Section):
    """Options of `span_classification`."""

    max_width: Whole = Field(10, ge=1, le=62)
    """The most words of a span; longer ones are never found."""


class SpanHeadOptions(FocalOptions):
    """Options of the head of spans."""

    rank: Whole = Field(64, ge=1)
    """Size of what a span's first and last word are compared by."""

    own: ClassVar[tuple[str, ...]] = (*FocalOptions.own, "rank")


class SpanLabels(Learned):
    """The labels of spans, and how raw texts become words."""

    labels: list[str] = Field(default_factory=list)
    words: WordRule = Field(default_factory=WordRule)

    def shared(self, others: Sequence[SpanLabels]) -> Values:
        """Return the union of labels."""
        return {"labels": sorted({n for learned in (self, *others) for n in learned.labels})}

    @property
    def facts(self) -> Values:
        """How many labels there are."""
        return {"task": "multilabel", "num_labels": len(self.labels)}


class Found(NamedTuple):
    """One output: spans with their probabilities, of shape (K,)."""

    spans: Spans
    scores: npt.NDArray[np.float32]


@TASK_TYPES.register("span_classification")
class SpanClassification(Task):
    """Labels spans of words, nested and overlapping ones too, by their first and last word.

    An example's extra arrays: ``words`` (N,), which words are read, the others having no token;
    ``spans`` (K, 3), all that are right, also those that are too long to be found.
    """

    Options = SpanOptions
    HeadOptions = SpanHeadOptions
    learns = SpanLabels
    traits = Traits(unread=True)
    metric_names = ("f1", "precision", "recall")
    options: SpanOptions
    head_options: SpanHeadOptions
    learned: SpanLabels

    @classmethod
    def roles(cls, options: Any = None) -> list[Role]:
        """Words with one or two levels of labels, or a text with its spans."""
        return [
            TOKENS,
            Role(
                "labels",
                "tags",
                help="a label in BIO for each word, in one column or one for each level",
                target=True,
                further=("inner",),
            ),
            Role(
                "inner",
                "tags",
                required=False,
                help="labels of a second level, of spans inside those of the first",
                target=True,
            ),
            TEXT,
            Role(**{**vars(SPANS), "instead_of": ("tokens", *LEVELS)}),
        ]

    def check(self, row: Row) -> Row:
        """Return a row with words, and spans of them in place of characters or of labels.

        Raises:
            ValueError: If spans are of another text.
        """
        rest = {name: value for name, value in row.items() if name not in ("spans", *LEVELS)}
        if "spans" in row:
            starts, ends = given_words(rest, self.learned.words)
            laid = lay(placed(row["text"], row["spans"], self.counts), starts, ends, self.counts)
            words = [row["text"][s:e] for s, e in zip(laid.starts, laid.ends, strict=True)]
            return {**rest, "tokens": words, "spans": _as_values(laid.spans)}
        levels = (row[name] for name in LEVELS if name in row)
        known = ([OUTSIDE if label == IGNORED else label for label in level] for level in levels)
        found = {span for level in known for span in spans_of(level)}
        return {**rest, "spans": _as_values(sorted(found, key=lambda s: (s.start, s.end, s.type)))}

    def learn(self, rows: Sequence[Row]) -> SpanLabels:
        """Find the labels, and how texts become words."""
        everything = [rows[i] for i in range(len(rows))]
        declared = entity_types([str(to_label(label)) for label in self.labels.labels or []])
        found_labels = {span["label"] for row in everything for span in row["spans"]}
        labels = sorted(found_labels | set(declared))
        if not labels:
            found = "none of its rows has one"
            raise DataError(Problem(f"tasks.{self.name}.data.train", "to have spans", found))
        words = learn_words((row["tokens"], row.get("text")) for row in everything)
        return SpanLabels(labels=labels, words=words)

    def encode(self, row: Row, tokens: Tokens, encoder: TextEncoder, attention: str) -> Encoded:
        """Read each word at its first sub-word, on a causal trunk at its last one."""
        starts, ends = words_of(row, self.learned.words, self.name)
        index = (tokens.last_of if attention == "causal" else tokens.first_of)(starts, ends)
        words = np.flatnonzero(index >= 0).astype(np.int32)
        windows = encoder.windows(len(tokens))
        part, offset = encoder.places(index[words], windows)
        spans = self._spans(row) if "spans" in row else np.zeros((0, 3), dtype=np.int64)
        targets = {"spans": self._bits(spans, words, len(starts))} if "spans" in row else {}
        return Encoded(
            [encoder.document(tokens, w) for w in windows],
            part,
            offset,
            targets,
            float(len(words)) if targets else 0.0,
            inputs={"sizes": np.asarray([len(words)], dtype=np.int64)},
            extra={"words": words, "spans": spans},
        )

    def _spans(self, row: Row) -> Spans:
        """Return the row's spans with label numbers.

        Raises:
            DataError: If a label is not among those of training.
        """
        number = {label: i for i, label in enumerate(self.learned.labels)}
        for span in row["spans"]:
            if span["label"] not in number:
                raise unknown_label(row, self.name, span["label"], self.learned.labels)
        found = [(s["start"], s["end"] - 1, number[s["label"]]) for s in row["spans"]]
        return np.asarray(found, dtype=np.int64).reshape(-1, 3)

    def _bits(self, spans: Spans, words: npt.NDArray[np.int32], count: int) -> npt.NDArray[Any]:
        """Return the widths of the spans from each word that is read, as bits, (N, labels)."""
        place = np.full(count, -1, dtype=np.int64)
        place[words] = np.arange(len(words))
        bits = np.zeros((len(words), len(self.learned.labels)), dtype=np.int64)
        for first, last, label in spans.tolist():
            width = place[last] - place[first]
            if place[first] < 0 or place[last] < 0 or width >= self.options.max_width:
                limit = f"longer than {self.options.max_width} words (`options.max_width`)"
                self.counts[remark("span is", "spans are", f"{limit}, and not learned.")] += 1
                continue
            bits[place[first], label] |= np.int64(1) << width
        return bits

    def build_head(self, hidden_size: int) -> Head:
        """Return a head with an output for each width and label."""
        return SpanPairHead(
            hidden_size,
            len(self.learned.labels),
            self.options.max_width,
            self.head_options.rank,
            self.head_options.dropout,
            gamma_of(self.name, self.head_options),
        )

    def decode(self, logits: Tensor, examples: Examples) -> list[Any]:
        """Return :class:`Found` for every example: spans that are likelier than not."""
        sizes = [len(example.extra["words"]) for example in examples.encoded]
        labels = max(len(self.learned.labels), 1)
        scores = logits.detach().float().sigmoid().cpu()
        place, cell = torch.nonzero(scores > 0.5, as_tuple=True)
        likely = scores[place, cell].numpy()
        first, width, label = place.numpy(), (cell // labels).numpy(), (cell % labels).numpy()
        edges = np.cumsum([0, *sizes])
        cuts = np.searchsorted(first, edges)
        found = []
        for number, (start, end) in enumerate(pairwise(cuts.tolist())):
            words = examples.encoded[number].extra["words"].astype(np.int64)
            at = first[start:end] - edges[number]
            ends = at + width[start:end]
            spans = np.stack([words[at], words[ends], label[start:end]], axis=1)
            found.append(Found(spans, likely[start:end]))
        return found

    def joins(self, row: Row) -> Join:
        """Return what gathers spans, each of which may end in the passage after its own."""
        return SpanJoin(self, row, self.learned.words, self.options.max_width - 1)

    def metrics(self) -> MetricCollection:
        """Return precision, recall and F1 of spans that are right in label, first and last word."""
        return MetricCollection({"spans": NestedScores(self.learned.labels)}, compute_groups=False)

    def feed(self, outputs: Sequence[Found], examples: Examples) -> Values:
        """Return ``preds`` and ``target``: a list of (K, 3) spans for each example."""
        return {
            "preds": [output.spans for output in outputs],
            "target": [example.extra["spans"] for example in examples.encoded],
        }

    def baseline(self, train: Examples) -> Guess:
        """Guess no span."""
        del train
        nothing = Found(np.zeros((0, 3), dtype=np.int64), np.zeros(0, dtype=np.float32))
        return lambda examples: [nothing] * len(examples)

    def present(self, output: Found, row: Row) -> Values:
        """Return spans with their characters, in the order of their starts, longer ones first."""
        text = document(row)
        starts, ends = words_of(row, self.learned.words, self.name)
        places = zip(output.spans.tolist(), output.scores.tolist(), strict=True)
        found = [
            {
                "text": text[starts[first] : ends[last]],
                "label": self.learned.labels[label],
                "start": int(starts[first]),
                "end": int(ends[last]),
                "score": round(score, 4),
            }
            for (first, last, label), score in places
        ]
        return {"entities": sorted(found, key=lambda s: (s["start"], -s["end"], s["label"]))}

    @property
    def gives(self) -> ResultClass:
        """Labeled parts of a text."""
        return Entities

    def expected(self, row: Row) -> Values:
        """Return the right spans."""
        spans = self._spans(row)
        return self.present(Found(spans, np.ones(len(spans), dtype=np.float32)), row)


def _as_values(spans: Sequence[Any]) -> list[Values]:
    return [{"start": s.start, "end": s.end, "label": s.type} for s in spans]
