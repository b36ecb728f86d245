"""A label for every word: named entities, parts of speech.

One row of the bundled corpus::

    {"tokens": ["Ines", "Talbot", "left", "Brackwater", "."],
     "labels": ["B-PER", "I-PER", "O", "B-LOC", "O"]}
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchmetrics import MetricCollection

from mtl.config.section import Field, Lower, Section, Values
from mtl.data.label_rules import IGNORED, entity_types
from mtl.data.rows import Role
from mtl.data.spans import apart, lay, placed, tagged
from mtl.data.value_types import to_label
from mtl.data.word_learning import learn_words
from mtl.data.word_rule import WordRule
from mtl.errors import ConfigError, DataError, Place, Problem, few
from mtl.heads.base import Head
from mtl.heads.classification import ClassificationHead
from mtl.heads.crf import BEGINS, ENDS, FOLLOWS, CRFHead
from mtl.heads.decoding import viterbi_packed
from mtl.labels import NONE, OUTSIDE, detect_scheme, spans_of, to_iob2, transitions
from mtl.metrics.scores import EntityScores, TokenScores
from mtl.tasks._passages import Join
from mtl.tasks._tag_passages import TagJoin
from mtl.tasks._weights import Counts, WeightOptions, count, label_weights, loss_of, refuse_weights
from mtl.tasks._words import SPANS, TEXT, TOKENS, given_words, words_of
from mtl.tasks.base import (
    TASK_TYPES,
    Guess,
    Learned,
    ResultClass,
    Task,
    Traits,
    document,
    remarks,
    unknown_label,
)
from mtl.tasks.results import EXACT, Entities, Result
from mtl.trunk.text import TextEncoder, Tokens
from mtl.types import Encoded, Examples, IntArray, Row

ENTITY_METRICS = ("f1", "precision", "recall")
NEVER = -1e9
"""Logit of a label that a word cannot have."""


class TokenOptions(Section):
    """Options of `token_classification`."""

    scheme: Annotated[Literal["none", "iob1", "iob2", "bioes", "io"] | None, Lower] = None
    """``iob1 | iob2 | bioes | io | none`` of the data's labels; found from them when unset."""


class TokenHeadOptions(WeightOptions):
    """Options of the tagging head."""

    decoding: Annotated[Literal["plain", "constrained", "crf"], Lower] = "constrained"
    """``plain`` takes each word's best label; ``constrained`` the best sequence that is valid;
    ``crf`` learns whole sequences, and takes the most probable one that is valid."""
    subword: Annotated[Literal["auto", "first", "last"], Lower] = "auto"
    """Which sub-word speaks for its word: ``first | last``; ``auto`` is the last under causal
    attention, where only it has seen the whole word."""

    own: ClassVar[tuple[str, ...]] = (*WeightOptions.own, "decoding")


class Tagset(Learned):
    """The scheme of the data's labels, and the head's labels, in IOB2 where they mark spans."""

    later: ClassVar[Values] = {"words": {"scripts": False}, "counts": {}}

    scheme: str = NONE
    labels: list[str] = Field(default_factory=list)
    counts: Counts = Field(default_factory=Counts)
    words: WordRule = Field(default_factory=WordRule)
    """How raw texts become words."""

    def shared(self, others: Sequence[Tagset]) -> Values:
        """Return the union of labels; all must mark spans, or none."""
        everyone = [self, *others]
        if len({tags.scheme == NONE for tags in everyone}) > 1:
            raise ValueError("labels of one kind")
        labels = sorted({label for t in everyone for label in t.labels} - {"O"}, key=_type_first)
        outside = ["O"] if any("O" in t.labels for t in everyone) else []
        return {"labels": outside + labels}

    @property
    def without(self) -> dict[str, str]:
        """Those of entities, where labels mark none."""
        marks = not self.labels or self.scheme != NONE
        names = () if marks else ENTITY_METRICS
        return dict.fromkeys(names, "the labels mark no spans")

    @property
    def facts(self) -> Values:
        """How many labels there are."""
        return {"task": "multiclass", "num_classes": len(self.labels)}


@dataclass(frozen=True)
class Word:
    """A word of a text with its label."""

    __pydantic_config__ = EXACT

    text: str
    label: str


@dataclass(frozen=True, kw_only=True)
class Words(Result):
    """The label of each word of a text, where labels mark no spans."""

    words: tuple[Word, ...]


class Tags(NamedTuple):
    """One output: a label number and its probability for every word, each of shape (W,)."""

    labels: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]


@TASK_TYPES.register("token_classification")
class TokenClassification(Task):
    """Labels words through one linear head on each word's first or last sub-word.

    An example's extra arrays: ``words`` (N,), which words are read, the others having no token;
    and ``gold`` (W,), the label of every word, -1 where it is not known.
    """

    Options = TokenOptions
    HeadOptions = TokenHeadOptions
    learns = Tagset
    traits = Traits(unread=True)
    metric_names = (
        "f1",
        "precision",
        "recall",
        "accuracy",
        "token_macro_f1",
        "token_weighted_f1",
    )
    options: TokenOptions
    head_options: TokenHeadOptions
    learned: Tagset

    @classmethod
    def roles(cls, options: Any = None) -> list[Role]:
        """Words, their labels, and the text they were split from, if it is at hand."""
        return [
            TOKENS,
            Role("labels", "tags", help="a label for each word", target=True),
            TEXT,
            Role("sentence", "label", required=False, help="what sentence a row of one word is of"),
            SPANS,
        ]

    def check(self, row: Row) -> Row:
        """Return a row with words and their labels in place of spans.

        Raises:
            ValueError: If spans are of another text.
        """
        if "spans" not in row:
            return row
        rest = {name: value for name, value in row.items() if name not in ("spans", "labels")}
        spans = apart(placed(row["text"], row["spans"], self.counts), self.counts)
        starts, ends = given_words(rest, self.learned.words)
        laid = lay(spans, starts, ends, self.counts)
        words = [row["text"][s:e] for s, e in zip(laid.starts, laid.ends, strict=True)]
        return {**rest, "tokens": words, "labels": tagged(laid)}

    def learn(self, rows: Sequence[Row]) -> Tagset:
        """Find the labels' scheme and the label set, in IOB2 where they mark spans."""
        everything = [rows[i] for i in range(len(rows))]
        declared = [str(to_label(label)) for label in self.labels.labels or []]
        given = [[n for n in row["labels"] if n != IGNORED] for row in everything]
        places = [Place(row["_file"], row["_line"]) for row in everything]
        kinds = entity_types(declared)
        if not kinds or self.options.scheme == NONE or detect_scheme(given, places) == NONE:
            given += [[label] for label in declared]
            places += [Place(f"tasks.{self.name}.data.labels")] * len(declared)
            kinds = []
        scheme = self.options.scheme or detect_scheme(given, places)
        words = learn_words((row["tokens"], row.get("text")) for row in everything)
        if scheme == NONE:
            names = sorted({n for labels in given for n in labels} - {IGNORED})
            self._refuse_numbers(names)
            return self._counted(Tagset(scheme=NONE, labels=names, words=words), everything)
        types = {s.type for g, p in zip(given, places, strict=True) for s in spans_of(g, p)}
        types |= set(kinds)
        if not types:
            raise DataError(
                Problem(
                    f"tasks.{self.name}",
                    "to have at least one labelled entity in the training data",
                    "every word is labelled O",
                    " ".join(remarks(self)),
                )
            )
        labels = ["O", *(f"{p}-{t}" if t else p for t in sorted(types) for p in "BI")]
        return self._counted(Tagset(scheme=scheme, labels=labels, words=words), everything)

    def _counted(self, tags: Tagset, rows: Sequence[Row]) -> Tagset:
        numbers = (number for row in rows for number in self._numbers(row, tags) if number >= 0)
        counts = count(self, lambda: (tags.labels[number] for number in numbers))
        return tags.model_copy(update={"counts": counts})

    def encode(self, row: Row, tokens: Tokens, encoder: TextEncoder, attention: str) -> Encoded:
        """Read each word at its first or last sub-word; words without a token are left out."""
        starts, ends = words_of(row, self.learned.words, self.name)
        asked = self.head_options.subword
        last = asked == "last" or (asked == "auto" and attention == "causal")
        index = (tokens.last_of if last else tokens.first_of)(starts, ends)
        gold = self.gold(row) if "labels" in row else np.full(len(starts), -1)
        wanted = gold >= 0 if "labels" in row else np.ones(len(starts), dtype=bool)
        words = np.flatnonzero((index >= 0) & wanted).astype(np.int32)
        windows = encoder.windows(len(tokens))
        part, offset = encoder.places(index[words], windows)
        targets = {"labels": gold[words]} if "labels" in row else {}
        mass = 0.0
        if targets:
            weights = np.asarray(label_weights(self, self.learned.labels), np.float32)
            mass = float(weights[gold[words]].sum())
        return Encoded(
            [encoder.document(tokens, w) for w in windows],
            part,
            offset,
            targets,
            mass,
            inputs={"link": _links(words, len(starts))} if self._chained else {},
            extra={"words": words, "gold": gold},
        )

    @property
    def _chained(self) -> bool:
        """Whether the labels of a text are learned together."""
        return self.head_options.decoding == "crf"

    def gold(self, row: Row) -> npt.NDArray[np.int64]:
        """Return the row's label numbers, (W,); -1 for words whose label is ignored.

        Raises:
            DataError: If a label is not among those of training.
        """
        return self._numbers(row, self.learned)

    def _numbers(self, row: Row, tags: Tagset) -> npt.NDArray[np.int64]:
        number = {label: i for i, label in enumerate(tags.labels)}
        labels, scheme = row["labels"], tags.scheme
        ignored = [label == IGNORED for label in labels]
        if scheme != NONE:
            labels = [OUTSIDE if skip else n for n, skip in zip(labels, ignored, strict=True)]
            labels = to_iob2(labels, scheme, Place(row["_file"], row["_line"]))
        for label in labels:
            if label not in number and label != IGNORED:
                raise unknown_label(row, self.name, label, tags.labels)
        numbers = np.asarray([number.get(label, -1) for label in labels], dtype=np.int64)
        numbers[ignored] = -1
        return numbers

    def _refuse_numbers(self, names: Sequence[str]) -> None:
        """Refuse numbers as labels where entities are to be scored: they want names first.

        Raises:
            ConfigError: With the key that names them.
        """
        if self.primary_metric in ENTITY_METRICS and all(name.isdecimal() for name in names):
            raise ConfigError(
                Problem(
                    f"tasks.{self.name}.data.labels",
                    "to name the labels in the order of their numbers, such as [O, B-PER, I-PER]",
                    f"the labels are {few(names)}",
                    f"Or set `tasks.{self.name}.metric=accuracy` to tag with the numbers.",
                )
            )

    def build_head(self, hidden_size: int) -> Head:
        """Return a linear head with one output a label."""
        if self._chained:
            refuse_weights(self.name, self.head_options, "the loss of `head.decoding=crf`")
            labels = self.learned.labels
            allowed = None if self.learned.scheme == NONE else transitions(tuple(labels))
            return CRFHead(hidden_size, len(labels), allowed, self.head_options.dropout)
        return ClassificationHead(
            hidden_size,
            len(self.learned.labels),
            dropout=self.head_options.dropout,
            label_smoothing=self.head_options.label_smoothing,
            **loss_of(self, self.learned.labels),
        )

    def decode(self, logits: Tensor, examples: Examples) -> list[Any]:
        """Return :class:`Tags` for every example; words without a token are O, or label 0."""
        counts = [len(e.extra["gold"]) for e in examples.encoded]
        full, place = self.spread(logits, examples.encoded)
        if self.head_options.decoding == "plain" or self.learned.scheme == NONE:
            best = full.argmax(-1)
        else:
            allowed = transitions(tuple(self.learned.labels))
            best = viterbi_packed(full.log_softmax(-1), counts, *allowed)
        scores = torch.zeros(len(full), device=full.device)
        chosen = full.gather(1, best[:, None])[:, 0] - full.logsumexp(-1)
        scores[place] = chosen[place].exp()
        return [
            Tags(label.numpy(), score.numpy())
            for label, score in zip(
                best.cpu().split(counts), scores.cpu().split(counts), strict=True
            )
        ]

    def spread(self, logits: Tensor, encoded: Sequence[Encoded]) -> tuple[Tensor, Tensor]:
        """Return logits (W, C) of all words, those without a token O, and which were read."""
        if not len(logits):
            logits = logits.new_zeros(0, len(self.learned.labels))
        counts = [len(e.extra["gold"]) for e in encoded]
        firsts = np.cumsum([0, *counts[:-1]])
        words = [f + e.extra["words"] for f, e in zip(firsts, encoded, strict=True)]
        place = torch.from_numpy(np.concatenate(words)).to(logits.device)
        full = logits.new_full((sum(counts), logits.shape[1]), NEVER, dtype=torch.float32)
        full[:, 0] = 0.0
        full[place] = logits.detach().float()
        return full, place

    def joins(self, row: Row) -> Join | None:
        """Return what gathers entities; labels of a CRF, and of each word, need the whole text."""
        return None if self._chained or self.learned.scheme == NONE else TagJoin(self, row)

    def metrics(self) -> MetricCollection:
        """Return entity scores as conlleval has them, and the token-level table."""
        found = {"tokens": TokenScores(self.learned.labels)}
        if self.learned.scheme != NONE:
            found["entities"] = EntityScores(self.learned.labels)
        return MetricCollection(found, compute_groups=False)

    def feed(self, outputs: Sequence[Tags], examples: Examples) -> Values:
        """Return ``preds``, ``target``, ``sizes`` and ``scores``.

        They are (words,) label numbers, the same, how many words each sentence has, and (words,)
        the probability of each label that was chosen.
        """
        gold = [example.extra["gold"] for example in examples.encoded]
        target = np.concatenate(gold)
        scored = target >= 0
        return {
            "preds": torch.from_numpy(np.concatenate([o.labels for o in outputs])[scored]),
            "target": torch.from_numpy(target[scored]),
            "sizes": [int((part >= 0).sum()) for part in gold],
            "scores": torch.from_numpy(np.concatenate([o.scores for o in outputs])[scored]),
        }

    def baseline(self, train: Examples) -> Guess:
        """Guess no entity; without a scheme, the commonest label of training."""
        common = 0
        if self.learned.scheme == NONE:
            counts = np.zeros(len(self.learned.labels))
            for example in train.encoded:
                gold = example.extra["gold"]
                np.add.at(counts, gold[gold >= 0], 1)
            common = int(counts.argmax())

        def guess(examples: Examples) -> list[Tags]:
            sizes = [len(example.extra["gold"]) for example in examples.encoded]
            return [Tags(np.full(n, common), np.ones(n, dtype=np.float32)) for n in sizes]

        return guess

    def present(self, output: Tags, row: Row) -> Values:
        """Return entities with character spans, or each word's label where none are marked."""
        text, found = document(row), words_of(row, self.learned.words, self.name)
        if self.learned.scheme != NONE:
            return {"entities": self.entities(output.labels, output.scores, text, found)}
        labels = [self.learned.labels[i] for i in output.labels]
        words = [text[s:e] for s, e in zip(*(side.tolist() for side in found), strict=True)]
        return {"words": [{"text": w, "label": n} for w, n in zip(words, labels, strict=True)]}

    def entities(
        self,
        numbers: npt.NDArray[np.int64],
        scores: npt.NDArray[np.float32],
        text: str,
        words: tuple[IntArray, IntArray],
    ) -> list[Values]:
        """Return what words are labeled as, by the numbers of their labels and their scores (W,).

        Args:
            numbers: Of labels.
            scores: Of these labels.
            text: The text.
            words: Starts and ends (W,) of the words in it.
        """
        starts, ends = words
        return [
            {
                "text": text[starts[first] : ends[last - 1]],
                "label": label,
                "start": int(starts[first]),
                "end": int(ends[last - 1]),
                "score": round(float(scores[first:last].mean()), 4),
            }
            for label, first, last in spans_of([self.learned.labels[i] for i in numbers])
        ]

    @property
    def gives(self) -> ResultClass:
        """Labeled parts of a text, or each word's label."""
        return Words if self.learned.scheme == NONE else Entities

    def expected(self, row: Row) -> Values:
        """Return the right entities, or each word's label where none are marked."""
        gold = self.gold(row)
        right = Tags(np.where(gold < 0, 0, gold), np.ones(len(gold), dtype=np.float32))
        return self.present(right, row)


def _links(words: npt.NDArray[np.int32], count: int) -> npt.NDArray[np.int64]:
    """Return how each word that is read stands to the others of its text, (N,).

    Args:
        words: (N,) the numbers of those that are read.
        count: How many words the text has.
    """
    follows = np.diff(words, prepend=-2) == 1
    return follows * FOLLOWS + (words == 0) * BEGINS + (words == count - 1) * ENDS


def _type_first(label: str) -> tuple[str, str]:
    return label[2:], label[:2]
