"""A label for every word: named entities, parts of speech.

One row of the bundled corpus::

    {"tokens": ["Ines", "Talbot", "left", "Brackwater", "."],
     "labels": ["B-PER", "I-PER", "O", "B-LOC", "O"]}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtl.data.rows import Role, where
from mtl.data.schemes import NONE, SCHEMES, detect_scheme, spans_of, to_iob2
from mtl.data.words import find_words, join_words, split_words
from mtl.errors import ConfigError, DataError, did_you_mean, one_of
from mtl.heads.base import Head
from mtl.heads.classification import ClassificationHead
from mtl.heads.decoding import Transitions, transition_mask, viterbi_packed
from mtl.metrics.shells import EntityMetric, TokenTable
from mtl.tasks.base import TASK_TYPES, HeadOptions, Task, TaskMetrics, read_parts
from mtl.trunk.text import TextEncoder, Tokens
from mtl.types import Encoded, HeadBatch, IntArray, Row

ENTITY_METRICS = ("f1", "precision", "recall")
DECODINGS = ("plain", "constrained")
SUBWORDS = ("auto", "first", "last")
NEVER = -1e9
"""Logit of a label that a word cannot have."""


@dataclass
class TokenOptions:
    """Options of `token_classification`."""

    scheme: str | None = field(default=None, metadata={"choices": (NONE, *SCHEMES)})
    """``iob1 | iob2 | bioes | io | none`` of the data's labels; found from them when unset."""


@dataclass
class TokenHeadOptions(HeadOptions):
    """Options of the tagging head."""

    label_smoothing: float = field(default=0.0, metadata={"min": 0, "below": 1})
    class_weights: dict[str, float] | None = field(default=None, metadata={"min": 0})
    """Weight of each label in the loss; labels not named weigh 1."""
    decoding: str = field(default="constrained", metadata={"choices": DECODINGS})
    """``plain`` takes each word's best label; ``constrained`` the best sequence that is valid."""
    subword: str = field(default="auto", metadata={"choices": SUBWORDS})
    """Which sub-word speaks for its word: ``first | last``; ``auto`` is the last under causal
    attention, where only it has seen the whole word."""


class Tags(NamedTuple):
    """One output: a label number and its probability for every word, each of shape (W,)."""

    labels: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]


@TASK_TYPES.register("token_classification")
class TokenClassification(Task):
    """Labels words through one linear head on each word's first or last sub-word."""

    type = "token_classification"
    Options = TokenOptions
    HeadOptions = TokenHeadOptions
    own_options = ("dropout", "label_smoothing", "class_weights")
    metric_names = (*ENTITY_METRICS, "accuracy", "token_macro_f1", "token_weighted_f1")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.scheme = NONE
        self.labels: list[str] = []
        super().__init__(*args, **kwargs)
        self._transitions: Transitions | None = None
        if self.options.scheme not in (None, NONE, *SCHEMES):
            where_ = f"tasks.{self.name}.options.scheme"
            raise ConfigError(one_of(where_, self.options.scheme, (NONE, *SCHEMES)))
        for key, choices in (("decoding", DECODINGS), ("subword", SUBWORDS)):
            value = getattr(self.head_options, key)
            if value not in choices:
                raise ConfigError(one_of(f"tasks.{self.name}.head.{key}", value, choices))

    @property
    def own_metrics(self) -> tuple[str, ...]:
        """Without those of entities where the learned labels mark none."""
        if not self.labels or self.scheme != NONE:
            return self.metric_names
        return tuple(m for m in self.metric_names if m not in ENTITY_METRICS)

    @classmethod
    def roles(cls) -> list[Role]:
        """Words, their labels, and the text they were split from, if it is at hand."""
        return [
            Role("tokens", "tokens", help="the words"),
            Role("labels", "tags", help="a label for each word", target=True),
            Role("text", "text", required=False, help="the text that the words were split from"),
        ]

    def learn(self, rows: Sequence[Row]) -> None:
        """Find the labels' scheme and the label set, in IOB2 where they mark spans."""
        everything = [rows[i] for i in range(len(rows))]
        given = [row["labels"] for row in everything]
        self.scheme = self.options.scheme or detect_scheme(given, lambda i: where(everything[i]))
        if self.scheme == NONE:
            self.labels = sorted({label for labels in given for label in labels})
            return
        places = map(where, everything)
        kinds = {s.type for g, p in zip(given, places, strict=True) for s in spans_of(g, p)}
        if not kinds:
            raise DataError(
                f"tasks.{self.name}: Expected at least one labelled entity in the training data, "
                "but every word is labelled O."
            )
        self.labels = ["O", *(f"{p}-{k}" if k else p for k in sorted(kinds) for p in "BI")]

    def state(self) -> dict[str, Any]:
        """Return the scheme of the data and the head's labels."""
        return {"scheme": self.scheme, "labels": self.labels}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take back scheme and labels."""
        self.scheme = state["scheme"]
        self.labels = list(state["labels"])
        if self.primary_metric not in self.own_metrics:
            raise ConfigError(
                f"Expected `tasks.{self.name}.metric` to be one of "
                f"{{{', '.join(self.own_metrics)}}}, because the labels mark no spans, but got "
                f"'{self.primary_metric}'."
            )

    def shared_state(self, others: Sequence[Task]) -> dict[str, Any]:
        """Return the union of labels; all must mark spans, or none."""
        mine = [self, *(t for t in others if isinstance(t, TokenClassification))]
        if len(mine) != 1 + len(others) or len({t.scheme == NONE for t in mine}) > 1:
            raise ConfigError(cannot_share(self, others))
        labels = sorted({label for t in mine for label in t.labels} - {"O"}, key=_type_first)
        outside = ["O"] if any("O" in t.labels for t in mine) else []
        return {"labels": outside + labels}

    def document(self, row: Row) -> str:
        """Return the row's text, or its words joined by spaces."""
        return str(row["text"]) if "text" in row else " ".join(row["tokens"])

    def encode(self, row: Row, tokens: Tokens, encoder: TextEncoder, attention: str) -> Encoded:
        """Read each word at its first or last sub-word; words without a token are left out."""
        starts, ends = word_spans(row, self.name)
        pick = tokens.last_of if self._reads_last(attention) else tokens.first_of
        index = pick(starts, ends)
        words = np.flatnonzero(index >= 0).astype(np.int32)
        windows = encoder.windows(len(tokens))
        part, offset = read_parts(index[words], windows, encoder)
        targets: dict[str, npt.NDArray[Any]] = {"words": words}
        mass = 0.0
        if "labels" in row:
            targets["labels"] = self.gold(row)[words]
            mass = float(self._weights()[targets["labels"]].sum())
        documents = [encoder.document(tokens, w) for w in windows]
        return Encoded(documents, part, offset, targets, mass)

    def _reads_last(self, attention: str) -> bool:
        asked = self.head_options.subword
        return asked == "last" or (asked == "auto" and attention == "causal")

    def gold(self, row: Row) -> npt.NDArray[np.int64]:
        """Return the row's label numbers, (W,).

        Raises:
            DataError: If a label is not among those of training.
        """
        number = {label: i for i, label in enumerate(self.labels)}
        given = row["labels"]
        labels = given if self.scheme == NONE else to_iob2(given, self.scheme, where(row))
        for label in labels:
            if label not in number:
                known = ", ".join(self.labels)
                raise DataError(
                    f"{where(row)}: Expected labels of the training split of task '{self.name}' "
                    f"({known}), but got '{label}'.{did_you_mean(label, self.labels)} Add examples "
                    "of it to training, or mend the label."
                )
        return np.asarray([number[label] for label in labels], dtype=np.int64)

    def _weights(self) -> npt.NDArray[np.float32]:
        named = self.head_options.class_weights or {}
        for label in named:
            if label not in self.labels:
                raise ConfigError(
                    one_of(f"tasks.{self.name}.head.class_weights", label, self.labels)
                )
        return np.asarray([named.get(label, 1.0) for label in self.labels], dtype=np.float32)

    def build_head(self, hidden_size: int) -> Head:
        """Return a linear head with one output a label."""
        return ClassificationHead(
            hidden_size,
            len(self.labels),
            dropout=self.head_options.dropout,
            label_smoothing=self.head_options.label_smoothing,
            class_weights=self._weights().tolist() if self.head_options.class_weights else None,
        )

    def decode(self, logits: Tensor, batch: HeadBatch, rows: Sequence[Row]) -> list[Any]:
        """Return :class:`Tags` for every example; words without a token are O, or label 0."""
        counts = [len(word_spans(row, self.name)[0]) for row in rows]
        place = _places(batch, counts)
        full = logits.new_full((sum(counts), logits.shape[1]), NEVER, dtype=torch.float32)
        full[:, 0] = 0.0
        full[place] = logits.detach().float()
        best = self._best(full, counts)
        scores = torch.zeros(len(full), device=full.device)
        scores[place] = full.softmax(-1).gather(1, best[:, None])[place, 0]
        return [
            Tags(label.numpy(), score.numpy())
            for label, score in zip(
                best.cpu().split(counts), scores.cpu().split(counts), strict=True
            )
        ]

    def _best(self, logits: Tensor, sizes: list[int]) -> Tensor:
        if self.head_options.decoding == "plain" or self.scheme == NONE:
            return logits.argmax(-1)
        if self._transitions is None:
            self._transitions = transition_mask(self.labels, "iob2")
        return viterbi_packed(logits.log_softmax(-1), sizes, *self._transitions)

    def metrics(self) -> TaskMetrics:
        """Return entity scores as conlleval has them, and the token-level table."""
        return TokenMetrics(self)

    def baseline(self, rows: Sequence[Row]) -> Callable[[Row], Tags]:
        """Guess no entity; without a scheme, the commonest label of training."""
        common = 0
        if self.scheme == NONE:
            counts = np.zeros(len(self.labels))
            for row in rows:
                np.add.at(counts, self.gold(row), 1)
            common = int(counts.argmax())

        def guess(row: Row) -> Tags:
            count = len(row["tokens"])
            return Tags(np.full(count, common), np.ones(count, dtype=np.float32))

        return guess

    def present(self, output: Tags, row: Row) -> dict[str, Any]:
        """Return entities with character spans, or each word's label where none are marked."""
        text = self.document(row)
        starts, ends = word_spans(row, self.name)
        labels = [self.labels[i] for i in output.labels]
        if self.scheme == NONE:
            words = [text[s:e] for s, e in zip(starts, ends, strict=True)]
            return {"words": [{"text": w, "label": n} for w, n in zip(words, labels, strict=True)]}
        entities = []
        for label, first, last in spans_of(labels):
            start, end = int(starts[first]), int(ends[last - 1])
            score = float(output.scores[first:last].mean())
            entities.append(
                {
                    "text": text[start:end],
                    "label": label,
                    "start": start,
                    "end": end,
                    "score": round(score, 4),
                }
            )
        return {"entities": entities}


class TokenMetrics(TaskMetrics):
    """Entity counts and a token-level confusion table."""

    def __init__(self, task: TokenClassification) -> None:
        super().__init__()
        self.labels = list(task.labels)
        self.gold = task.gold
        self.tokens = TokenTable(self.labels)
        self.entities = EntityMetric(self.labels) if task.scheme != NONE else None

    def update(self, outputs: Sequence[Tags], rows: Sequence[Row]) -> None:
        """Count the words of examples."""
        predicted = [[self.labels[i] for i in o.labels] for o in outputs]
        gold = [[self.labels[i] for i in self.gold(row)] for row in rows]
        self.tokens.update(predicted, gold)
        if self.entities is not None:
            self.entities.update(predicted, gold)

    def compute(self) -> dict[str, float]:
        """Return entity precision, recall, F1, and the token-level averages."""
        scores = self.tokens.compute()
        scores["accuracy"] = scores.pop("token_micro_f1")
        if self.entities is not None:
            scores.update(self.entities.compute())
        return scores

    def reset(self) -> None:
        """Forget all examples."""
        self.tokens.reset()
        if self.entities is not None:
            self.entities.reset()

    def tables(self) -> dict[str, list[Any]]:
        """Return the per-label table and the per-entity table."""
        found: dict[str, list[Any]] = {"tokens": self.tokens.table()}
        if self.entities is not None:
            found["entities"] = self.entities.table()
        return found


def word_spans(row: Row, task: str) -> tuple[IntArray, IntArray]:
    """Return the starts and ends (W,) of a row's words in its document.

    Raises:
        DataError: If the row has text and words, and a word is not in the text.
    """
    if "tokens" not in row:
        return split_words(row["text"])
    if "text" not in row:
        _, starts, ends = join_words(row["tokens"])
        return starts, ends
    found = find_words(row["text"], row["tokens"])
    if found is None:
        raise DataError(
            f"{where(row)}: Expected the tokens of task '{task}' to stand in the text in their "
            "order, but one does not; mend the row, or leave the column `text` unmapped."
        )
    return found


def _places(batch: HeadBatch, counts: Sequence[int]) -> Tensor:
    """Return (N,) the place of each word that was read among all words of all examples."""
    words = batch.targets["words"]
    first = np.repeat(np.cumsum([0, *counts[:-1]]), batch.sizes)
    return words + torch.from_numpy(first).to(words.device)


def cannot_share(task: Task, others: Sequence[Task]) -> str:
    """Return the sentence for tasks that name one head but need different ones."""
    names = ", ".join(t.name for t in (task, *others))
    return (
        f"Expected the tasks that share head '{task.head_name}' ({names}) to be of one type with "
        "labels of one kind, but they are not; give them different `head.name`s."
    )


def _type_first(label: str) -> tuple[str, str]:
    return label[2:], label[:2]
