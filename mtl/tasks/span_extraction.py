"""Answers that stand in a document: extractive question answering, SQuAD 1.1 and 2.0.

One row, of a paragraph with one question::

    {"text": "Ines Talbot left Brackwater before the rain.", "question": "Who left?",
     "answers": [{"text": "Ines Talbot", "start": 0}]}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from mtl.data.rows import Role, where
from mtl.data.value_types import show
from mtl.errors import ConfigError, DataError, one_of
from mtl.heads.base import Head
from mtl.metrics.shells.answers import ANSWERED, NAMES
from mtl.tasks._spans_decode import Answer, Window, choose
from mtl.tasks._spans_gold import gold_places, nearest, with_starts
from mtl.tasks._spans_layouts import LAYOUTS
from mtl.tasks._spans_rules import best_rule
from mtl.tasks._spans_scores import SpanScores
from mtl.tasks.base import TASK_TYPES, Task, TaskMetrics, split_outputs
from mtl.trunk.text import TextEncoder, Tokens
from mtl.trunk.trunk import Trunk
from mtl.types import Encoded, HeadBatch, Row

AUTO = "auto"
BY_ARCHITECTURE = {"encoder": "joint", "encoder-decoder": "joint", "decoder": "branch"}
"""What ``auto`` is on each architecture."""


@dataclass
class SpanOptions:
    """Options of `span_extraction`."""

    layout: str = field(default=AUTO, metadata={"choices": (AUTO, *LAYOUTS)})
    """``joint``: question and document in one text; ``branch``: the document is encoded once for
    all its questions and other tasks; ``auto`` is joint on encoders and encoder-decoders, branch on
    decoders."""
    max_answer_tokens: int = field(default=30, metadata={"min": 1})
    """Longer spans are never given."""
    n_best: int = field(default=5, metadata={"min": 1})
    """How many of the best spans a prediction shows."""


@TASK_TYPES.register("span_extraction")
class SpanExtraction(Task):
    """Answers a question with a span of its document, or with nothing."""

    type = "span_extraction"
    Options = SpanOptions
    metric_names = tuple(NAMES)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.impossible: bool | None = None
        self.threshold = 0.0
        self.positions: int | None = None
        self._moved = 0
        super().__init__(*args, **kwargs)
        asked = self.options.layout
        if asked not in (AUTO, *LAYOUTS):
            raise ConfigError(one_of(f"tasks.{self.name}.options.layout", asked, (AUTO, *LAYOUTS)))
        self.layout = BY_ARCHITECTURE["decoder"] if asked == AUTO else asked

    @property
    def own_metrics(self) -> tuple[str, ...]:
        """Those of version 1.1 once training is known to have an answer to every question."""
        return ANSWERED if self.impossible is False else self.metric_names

    @classmethod
    def roles(cls) -> list[Role]:
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
        return {**row, "answers": [self._placed(row, answer) for answer in answers]}

    def _placed(self, row: Row, answer: Mapping[str, Any]) -> dict[str, Any]:
        text, document, start = answer["text"], row["text"], answer["start"]
        if start is not None and document.startswith(text, start):
            return {"text": text, "start": start}
        for wanted in (text, text.strip()):
            found = nearest(document, wanted, start or 0)
            if found is not None:
                self._moved += start is not None
                return {"text": wanted, "start": found}
        raise ValueError(
            f"Expected the answer {show(text)} to question {show(row['question'])} to stand in "
            "its document, but it does not"
        )

    def remarks(self) -> list[str]:
        """Say how many answers did not stand at their offset."""
        if not self._moved:
            return []
        answers = "1 answer was" if self._moved == 1 else f"{self._moved:,} answers were"
        return [
            f"tasks.{self.name}: {answers} not at the given offset; the nearest place with the "
            "same text is taken."
        ]

    def learn(self, rows: Sequence[Row]) -> None:
        """See whether there are questions without an answer (version 2.0)."""
        empty = sum(not rows[i]["answers"] for i in range(len(rows)))
        if empty == len(rows):
            raise DataError(
                f"tasks.{self.name}: Expected at least one question with an answer in the training "
                "data, but none has one."
            )
        self.impossible = empty > 0

    def state(self) -> dict[str, Any]:
        """Return whether questions may be impossible, the threshold, layout and positions."""
        return {
            "impossible": bool(self.impossible),
            "threshold": self.threshold,
            "layout": self.layout,
            "positions": self.positions,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state` returned."""
        layout = state["layout"]
        if layout not in LAYOUTS:
            raise ValueError(one_of("layout", layout, LAYOUTS))
        self.impossible = bool(state["impossible"])
        self.threshold = float(state["threshold"])
        self.layout = layout
        self.positions = None if state["positions"] is None else int(state["positions"])
        if self.primary_metric not in self.own_metrics:
            raise ConfigError(
                f"Expected `tasks.{self.name}.metric` to be one of {{{', '.join(ANSWERED)}}}, "
                "because every question of its training data has an answer, but got "
                f"'{self.primary_metric}'."
            )

    def shared_state(self, others: Sequence[Task]) -> dict[str, Any]:
        """Return the layout, which tasks that share a head have in common."""
        if all(isinstance(t, SpanExtraction) and t.layout == self.layout for t in others):
            return {"layout": self.layout}
        names = ", ".join(t.name for t in (self, *others))
        raise ConfigError(
            f"Expected the tasks that share head '{self.head_name}' ({names}) to be "
            "span_extraction with one `options.layout`, but they are not; give them different "
            "`head.name`s."
        )

    def fits(self, trunk: Trunk) -> None:
        """Take the layout that suits the trunk, or refuse one that it cannot have."""
        asked = self.options.layout
        self.layout = BY_ARCHITECTURE[trunk.architecture] if asked == AUTO else asked
        LAYOUTS.get(self.layout).fits(trunk, self.name)
        self.positions = trunk.positions

    def tune(self, metrics: TaskMetrics) -> None:
        """Take the threshold of "no answer" with the best F1, where there are such questions."""
        if self.impossible:
            assert isinstance(metrics, SpanScores)
            self.threshold = metrics.answers.best_threshold()

    def encode(self, row: Row, tokens: Tokens, encoder: TextEncoder, attention: str) -> Encoded:
        """Read every document token, and the null place, of every window.

        Targets besides those of :class:`mtl.heads.spans.SpanHead`: ``chars`` (G, 2), the
        characters of each place.
        """
        (question,) = encoder.tokenize([row["question"]])
        try:
            encoded, windows = LAYOUTS.get(self.layout).encode(
                question, tokens, encoder, attention, self.positions
            )
        except DataError as error:
            raise DataError(f"{where(row)}: {error}") from None
        spans = np.stack([tokens.starts, tokens.ends], axis=1).astype(np.int32)
        null = np.zeros((1, 2), dtype=np.int32)
        encoded.targets["sizes"] = np.asarray([1 + e - s for s, e in windows], dtype=np.int32)
        encoded.targets["chars"] = np.concatenate(
            [part for s, e in windows for part in (null, spans[s:e])]
        )
        if "answers" in row:
            encoded.targets |= gold_places(row["answers"], tokens, windows)
            encoded.mass = float(len(windows))
        return encoded

    def build_head(self, hidden_size: int) -> Head:
        """Return the layout's head."""
        return LAYOUTS.get(self.layout).build_head(hidden_size, self.head_options.dropout)

    def decode(self, logits: Tensor, batch: HeadBatch, rows: Sequence[Row]) -> list[Any]:
        """Return an :class:`Answer` for every example, the best over all of its windows."""
        chars = split_outputs(batch.targets["chars"].cpu(), batch)
        values = split_outputs(logits.detach().double().cpu(), batch)
        sizes = iter(batch.targets["sizes"].tolist())
        return [
            choose(
                row["text"],
                _windows(value.numpy(), span.numpy(), sizes),
                longest=self.options.max_answer_tokens,
                count=self.options.n_best,
                threshold=self.threshold if self.impossible else None,
            )
            for row, value, span in zip(rows, values, chars, strict=True)
        ]

    def metrics(self) -> TaskMetrics:
        """Return exact match and F1, and the official numbers of version 2.0."""
        return SpanScores(bool(self.impossible), lambda: self.threshold)

    def baseline(self, rows: Sequence[Row]) -> Callable[[Row], Answer]:
        """Guess by the one of a few rules that is best on the training rows."""
        return best_rule(rows, impossible=bool(self.impossible))

    def present(self, output: Any, row: Row) -> dict[str, Any]:
        """Return the answer, where it stands, its probability, and the best few.

        Probabilities are a softmax over the best spans and, for version 2.0, "no answer".
        """
        scores = [span.score for span in output.best] + [output.null] * bool(self.impossible)
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
        if self.impossible:
            best.append({**nothing, "score": shares[-1]})
        chosen = best[0] if output.span is not None else {**nothing, "score": shares[-1]}
        return {**chosen, "n_best": sorted(best, key=lambda one: -one["score"])}


def _windows(values: Any, chars: Any, sizes: Any) -> list[Window]:
    """Take as many windows from `sizes` as fill one example's (n, 2) values."""
    found, at = [], 0
    while at < len(values):
        size = next(sizes)
        found.append(Window(values[at : at + size], chars[at : at + size]))
        at += size
    return found


def _softmax(scores: Sequence[float]) -> list[float]:
    if not scores:
        return [1.0]
    weights = np.exp(np.asarray(scores) - max(scores))
    return [round(share, 4) for share in (weights / weights.sum()).tolist()]
