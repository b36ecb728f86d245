"""Answers that stand in a document: extractive question answering, SQuAD 1.1 and 2.0.

One row, of a paragraph with one question::

    {"text": "Ines Talbot left Brackwater before the rain.", "question": "Who left?",
     "answers": [{"text": "Ines Talbot", "start": 0}]}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from torch import Tensor
from torchmetrics import MetricCollection

from mtl.config.section import Field, Lower, Section, Text, Values, Whole
from mtl.data.rows import Role, at_row, remark
from mtl.data.value_types import UNKNOWN, show
from mtl.errors import DataError, Mismatch
from mtl.heads.base import Head
from mtl.metrics.segments import AUTO as AUTO_LANGUAGE
from mtl.metrics.segments import by_character
from mtl.metrics.spans import ANSWERED, NAMES, SpanScores
from mtl.metrics.tokenizers import check_installed, check_language
from mtl.tasks._passages import Join
from mtl.tasks._span_answers import (
    Answer,
    Window,
    choose,
    gold_places,
    nearest,
    token_span,
    with_starts,
)
from mtl.tasks._span_layouts import LAYOUTS
from mtl.tasks._span_passages import BestSpans
from mtl.tasks._span_rules import best_rule
from mtl.tasks.base import TASK_TYPES, Guess, Learned, ResultClass, Task
from mtl.tasks.results import EXACT, Result
from mtl.trunk.text import TextEncoder, Tokens
from mtl.trunk.trunk import Trunk
from mtl.types import Encoded, Examples, Row

AUTO = "auto"
TABLE = "SQuAD, %"
"""The metric's name, and its table's title."""
BY_ARCHITECTURE = {"encoder": "joint", "encoder-decoder": "joint", "decoder": "branch"}
"""What ``auto`` is on each architecture."""
MOVED = remark(
    "answer was",
    "answers were",
    "not at the given offset; the nearest place with the same text is taken.",
)


SOUGHT = remark(
    "answer has",
    "answers have",
    "an unknown start (-1); the first place with the same text is taken.",
    harmless=True,
)
CHARACTERS = remark(
    "question has answers",
    "questions have answers",
    "in a script without spaces: f1 and em compare their characters (options.language).",
    harmless=True,
)
UNSEEN = remark(
    "answer of the data is",
    "answers of the data are",
    "in no window whole, and taught as no answer; raise trunk.stride or trunk.max_length.",
)


class SpanOptions(Section):
    """Options of `span_extraction`."""

    layout: Annotated[Literal["auto", "joint", "branch"], Lower] = "auto"
    """``joint``: question and document in one text; ``branch``: the document is encoded once for
    all its questions and other tasks; ``auto`` is joint on encoders and encoder-decoders, branch on
    decoders."""
    max_answer_tokens: Whole = Field(30, ge=1)
    """Longer spans are never given."""
    language: Annotated[Text, Lower] = AUTO_LANGUAGE
    """Of the answers, as a code: ``zh``, ``ja``, ``th`` and others without spaces between words are
    compared by character, any other by word; ``auto`` looks at each right answer. Or a
    tokenizer's name, such as ``ja-mecab``."""
    n_best: Whole = Field(5, ge=1)
    """How many of the best spans a prediction shows."""


class SpanLearned(Learned):
    """What training showed of questions, and what the trunk asks for."""

    impossible: bool | None = None
    """Whether questions may have no answer (version 2.0); None before training."""
    threshold: float = 0.0
    """How much better "no answer" must score than the best span to be given."""
    layout: Literal["joint", "branch"] = "branch"
    positions: int | None = None
    """How many the trunk has; None where nothing limits them."""

    def tuned(self, metrics: MetricCollection) -> SpanLearned:
        """Take the threshold of "no answer" with the best F1, where there are such questions."""
        if not self.impossible:
            return self
        answers = metrics[TABLE]
        assert isinstance(answers, SpanScores)
        return self.model_copy(update={"threshold": answers.best_threshold()})

    def shared(self, others: Sequence[SpanLearned]) -> Values:
        """Return the layout, which must be one."""
        if any(other.layout != self.layout for other in others):
            raise ValueError("one `options.layout`")
        return {"layout": self.layout}

    @property
    def without(self) -> dict[str, str]:
        """The numbers of version 2.0 where every question has an answer."""
        names = [n for n in NAMES if n not in ANSWERED] if self.impossible is False else []
        return dict.fromkeys(names, "every question of its training data has an answer")


@dataclass(frozen=True)
class AnswerSpan:
    """A part of a text that may be the answer; "no answer" is empty, and stands nowhere."""

    __pydantic_config__ = EXACT

    answer: str
    start: int | None
    end: int | None
    score: float
    """Its probability among the best few."""


@dataclass(frozen=True, kw_only=True)
class SpanAnswer(Result):
    """The answer to a question: a part of the text, or empty where the text has none."""

    answer: str
    start: int | None
    end: int | None
    """One past its last character; None where there is no answer, as the start is."""
    score: float
    """Its probability among the best few."""
    n_best: tuple[AnswerSpan, ...]
    """The best few, the best first."""


@TASK_TYPES.register("span_extraction")
class SpanExtraction(Task):
    """Answers a question with a span of its document, or with nothing.

    An example's extra array ``chars`` (G, 2) has the characters of each place.
    """

    Options = SpanOptions
    learns = SpanLearned
    metric_names = tuple(NAMES)
    options: SpanOptions
    learned: SpanLearned

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        check_language(self.options.language, f"tasks.{self.name}.options.language")
        self._lay_out("decoder", None)

    def _lay_out(self, architecture: str, positions: int | None) -> None:
        asked = self.options.layout
        layout = BY_ARCHITECTURE[architecture] if asked == AUTO else asked
        self.learned = self.learned.model_copy(update={"layout": layout, "positions": positions})

    @classmethod
    def roles(cls, options: Any = None) -> list[Role]:
        """A document, a question, and its answers."""
        return [
            Role("text", "text", help="the document"),
            Role("question", "text", help="the question"),
            Role("answers", "answers", help="the answers, none if impossible", target=True),
            Role("start", "record", required=False, help="where the answer starts", target=True),
        ]

    def check(self, row: Row) -> Row:
        """Return a row whose answers stand at their places.

        An answer that is not at its offset is taken where the text stands nearest to it.

        Raises:
            ValueError: If it stands nowhere in the document, or offsets are not right.
        """
        if "answers" not in row:
            return row
        answers = with_starts(row["answers"], row.get("start"))
        right = [answer["text"] for answer in answers]
        self.counts[CHARACTERS] += by_character(right, self.options.language)
        return {**row, "answers": [self._placed(row, answer) for answer in answers]}

    def _placed(self, row: Row, answer: Mapping[str, Any]) -> Values:
        text, document, start = answer["text"], row["text"], answer["start"]
        known = start is not None and start != UNKNOWN
        if known and document.startswith(text, start):
            return {"text": text, "start": start}
        for wanted in (text, text.strip()):
            found = nearest(document, wanted, start if known else 0)
            if found is not None:
                self.counts[MOVED] += known
                self.counts[SOUGHT] += start == UNKNOWN
                return {"text": wanted, "start": found}
        raise Mismatch(
            f"the answer {show(text)} to question {show(row['question'])} to stand in its document",
            "it does not",
        )

    def learn(self, rows: Sequence[Row]) -> SpanLearned:
        """See whether there are questions without an answer (version 2.0)."""
        empty = sum(not rows[i]["answers"] for i in range(len(rows)))
        if empty == len(rows):
            raise DataError(
                f"tasks.{self.name}: Expected at least one question with an answer in the training "
                "data, but none has one."
            )
        return self.learned.model_copy(update={"impossible": empty > 0})

    def fits(self, trunk: Trunk) -> None:
        """Take the layout that suits the trunk, or refuse one that it cannot have."""
        self._lay_out(trunk.architecture, trunk.positions)
        LAYOUTS.get(self.learned.layout).fits(trunk, self.name)

    def encode(self, row: Row, tokens: Tokens, encoder: TextEncoder, attention: str) -> Encoded:
        """Read every document token, and the null place, of every window."""
        (question,) = encoder.tokenize([row["question"]])
        try:
            encoded, windows = LAYOUTS.get(self.learned.layout).encode(
                question, tokens, encoder, attention, self.learned.positions
            )
        except DataError as error:
            raise at_row(row, error) from None
        spans = np.stack([tokens.starts, tokens.ends], axis=1).astype(np.int32)
        null = np.zeros((1, 2), dtype=np.int32)
        chars = np.concatenate([part for s, e in windows for part in (null, spans[s:e])])
        encoded.extra = {"chars": chars}
        encoded.inputs = {"sizes": np.asarray([1 + e - s for s, e in windows], dtype=np.int32)}
        if "answers" in row:
            answer = token_span(row["answers"], tokens)
            encoded.targets = gold_places(answer, windows)
            self._count(answer, seen=bool(encoded.targets["start"].any()))
            encoded.mass = float(len(windows))
        return encoded

    def _count(self, answer: tuple[int, int] | None, *, seen: bool) -> None:
        """Count an answer that can never be given, however well the task is learned."""
        if answer is None:
            return
        most = self.options.max_answer_tokens
        size = answer[1] - answer[0] + 1
        limit = f"max_answer_tokens={most}"
        longer = remark(
            "answer of the data is",
            "answers of the data are",
            f"longer than options.{limit} and can never be given; raise "
            f"tasks.{self.name}.options.max_answer_tokens.",
        )
        self.counts[longer] += size > most
        self.counts[UNSEEN] += not seen

    def build_head(self, hidden_size: int) -> Head:
        """Return the layout's head."""
        return LAYOUTS.get(self.learned.layout).build_head(hidden_size, self.head_options.dropout)

    @property
    def threshold(self) -> float | None:
        """How much better "no answer" must score than the best span; None where it never is."""
        return self.learned.threshold if self.learned.impossible else None

    def joins(self, row: Row) -> Join:
        """Return what keeps the best spans of all windows so far."""
        return BestSpans(self, row)

    def decode(self, logits: Tensor, examples: Examples) -> list[Any]:
        """Return an :class:`Answer` for every example, the best over all of its windows."""
        values = torch.split(logits.detach().double().cpu(), examples.sizes)
        return [
            choose(
                row["text"],
                _windows(value.numpy(), example),
                longest=self.options.max_answer_tokens,
                count=self.options.n_best,
                threshold=self.threshold,
            )
            for row, value, example in zip(examples.rows, values, examples.encoded, strict=True)
        ]

    def metrics(self) -> MetricCollection:
        """Return exact match and F1, and the official numbers of version 2.0."""
        check_installed(self.options.language, f"tasks.{self.name}.options.language")
        scores = SpanScores(
            bool(self.learned.impossible),
            lambda: self.learned.threshold,
            self.options.language,
        )
        return MetricCollection({TABLE: scores}, compute_groups=False)

    def feed(self, outputs: Sequence[Answer], examples: Examples) -> Values:
        """Return ``preds``, ``target`` and ``no_answer``.

        They are the text of each best span, a list of right texts each, and how much better "no
        answer" scores than the best span.
        """
        firsts = [output.best[0] if output.best else None for output in outputs]
        return {
            "preds": [
                row["text"][first.start : first.end] if first else ""
                for first, row in zip(firsts, examples.rows, strict=True)
            ],
            "target": [[answer["text"] for answer in row["answers"]] for row in examples.rows],
            "no_answer": [output.no_answer for output in outputs],
        }

    def baseline(self, train: Examples) -> Guess:
        """Guess by the one of a few rules that is best on the training rows."""
        guess = best_rule(train.rows, impossible=bool(self.learned.impossible))
        return lambda examples: [guess(row) for row in examples.rows]

    def present(self, output: Any, row: Row) -> Values:
        """Return the answer, where it stands, its probability, and the best few.

        Probabilities are a softmax over the best spans and, for version 2.0, "no answer".
        """
        may_be_empty = bool(self.learned.impossible)
        scores = [span.score for span in output.best] + [output.null] * may_be_empty
        shares = _softmax(scores)
        best = [
            {
                "answer": row["text"][span.start : span.end],
                "start": span.start,
                "end": span.end,
                "score": share,
            }
            for span, share in zip(output.best, shares, strict=False)
        ]
        nothing = {"answer": "", "start": None, "end": None}
        if self.learned.impossible:
            best.append({**nothing, "score": shares[-1]})
        chosen = best[0] if output.span is not None else {**nothing, "score": shares[-1]}
        return {**chosen, "n_best": sorted(best, key=lambda one: -one["score"])}

    @property
    def gives(self) -> ResultClass:
        """A part of a text."""
        return SpanAnswer


def _windows(values: Any, example: Encoded) -> list[Window]:
    """Cut one example's (G, 2) logits into its windows."""
    cuts = np.cumsum(example.inputs["sizes"])[:-1]
    parts = zip(np.split(values, cuts), np.split(example.extra["chars"], cuts), strict=True)
    return [Window(*part) for part in parts]


def _softmax(scores: Sequence[float]) -> list[float]:
    if not scores:
        return [1.0]
    weights = np.exp(np.asarray(scores) - max(scores))
    return [round(share, 4) for share in (weights / weights.sum()).tolist()]
