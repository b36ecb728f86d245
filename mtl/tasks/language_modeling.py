"""The next token of plain text: to pretrain a trunk, or beside other tasks.

One row is a text; what is predicted is the text itself::

    {"text": "Rain had closed the north road again."}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from mtl.data.rows import Role
from mtl.errors import ConfigError
from mtl.heads.base import Head
from mtl.heads.likelihood import LikelihoodHead
from mtl.metrics.likelihood import Likelihood, likelihood_scores
from mtl.metrics.shells import LikelihoodMetric
from mtl.tasks._language_head import OWN_OPTIONS, LanguageHeadOptions, language_head
from mtl.tasks.base import TASK_TYPES, Task, TaskMetrics, split_outputs
from mtl.trunk.text import TextEncoder, Tokens
from mtl.trunk.trunk import Trunk
from mtl.types import Encoded, HeadBatch, Row

COUNTED = 5000
"""Training texts whose tokens the baseline counts: all, or so many at even distances."""


@dataclass
class LanguageOptions:
    """Options of `language_modeling`: there are none."""


@TASK_TYPES.register("language_modeling")
class LanguageModeling(Task):
    """Predicts each token of a text from those before it, through the trunk's output layer.

    A long text is cut into chunks, each an example of its own. A chunk after the first begins
    with the last token of the one before, so that every token has one before it and is predicted
    once; the very first one only where the tokenizer puts a token before a text. After the last
    chunk the tokenizer's end token is predicted, if it has one.
    """

    type = "language_modeling"
    Options = LanguageOptions
    HeadOptions = LanguageHeadOptions
    own_options = OWN_OPTIONS
    metric_names = ("accuracy", "perplexity", "loss", "bits_per_byte")
    lower_is_better = frozenset({"perplexity", "loss", "bits_per_byte"})
    writes = True
    attentions = ("causal",)
    repeats = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._encoder: TextEncoder | None = None

    @classmethod
    def roles(cls) -> list[Role]:
        """A text, which is its own target."""
        return [Role("text", "text", help="the text, which is also what is predicted")]

    def learn(self, rows: Sequence[Row]) -> None:
        """Nothing: the vocabulary is the trunk's."""

    def state(self) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take back nothing."""

    def shared_state(self, others: Sequence[Task]) -> dict[str, Any]:
        """Return nothing; the tasks must all be of this type."""
        if {task.type for task in others} - {self.type}:
            names = ", ".join(t.name for t in (self, *others))
            raise ConfigError(
                f"Expected the tasks that share head '{self.head_name}' ({names}) to be "
                f"{self.type}, but they are not; give them different `head.name`s."
            )
        return {}

    def fits(self, trunk: Trunk) -> None:
        """Refuse encoders and encoder-decoders: their tokens have seen what is to be predicted."""
        if trunk.architecture != "decoder":
            name = getattr(trunk.config, "name_or_path", "") or trunk.config.model_type
            raise ConfigError(
                f"Expected the trunk to be a decoder, which task '{self.name}' ({self.type}) "
                f"needs, but '{name}' is an {trunk.architecture}; choose another trunk, or leave "
                "the task "
                "out."
            )

    def meet(self, encoder: TextEncoder) -> None:
        """Keep the encoder: the baseline counts tokens."""
        self._encoder = encoder

    def examples(
        self, row: Row, tokens: Tokens, encoder: TextEncoder, attention: str
    ) -> list[Encoded]:
        """Return one example a chunk."""
        del attention
        return [_chunk(row["text"], tokens, c, encoder) for c in chunks(len(tokens), encoder.room)]

    def encode(self, row: Row, tokens: Tokens, encoder: TextEncoder, attention: str) -> Encoded:
        """Return all chunks as one example."""
        parts = self.examples(row, tokens, encoder, attention)
        sizes = [len(p.part) for p in parts]
        joined = {n: np.concatenate([p.targets[n] for p in parts]) for n in ("labels", "text")}
        total = sum(p.targets["bytes"] for p in parts)
        return Encoded(
            [p.documents[0] for p in parts],
            np.repeat(np.arange(len(parts), dtype=np.int32), sizes),
            np.concatenate([p.offset for p in parts]),
            {**joined, "bytes": np.asarray(total)},
            float(sum(sizes)),
        )

    def build_head(self, hidden_size: int) -> Head:
        """Return a head over the trunk's vocabulary."""
        return language_head(LikelihoodHead, hidden_size, self.head_options, self.name)

    def decode(self, logits: Tensor, batch: HeadBatch, rows: Sequence[Row]) -> list[Any]:
        """Return a :class:`Likelihood` for every example."""
        figures = split_outputs(logits.detach().cpu().double(), batch)
        texts = split_outputs(batch.targets["text"].cpu(), batch)
        sizes = batch.targets["bytes"].tolist()
        return [
            Likelihood(
                nats=float(found[:, 1].sum()),
                tokens=len(found),
                correct=int(found[:, 2].sum()),
                text_nats=float(found[text, 1].sum()),
                bytes=size,
            )
            for found, text, size in zip(figures, texts, sizes, strict=True)
        ]

    def metrics(self) -> TaskMetrics:
        """Return perplexity, loss, bits per byte and the share of right guesses."""
        return LanguageMetrics()

    def baseline(self, rows: Sequence[Row]) -> Callable[[Row], Likelihood]:
        """Guess by how often each token occurs in training, plus one (Laplace)."""
        encoder = self._encoder
        assert encoder is not None, "meet() comes before"
        counts = np.ones(len(encoder.tokenizer), dtype=np.int64)
        for number in range(0, len(rows), -(-len(rows) // COUNTED)):
            counts += np.bincount(self._target(rows[number])["labels"], minlength=len(counts))
        nats = -np.log(counts / counts.sum())

        def guess(row: Row) -> Likelihood:
            target = self._target(row)
            labels, text = target["labels"], target["text"]
            return Likelihood(
                nats=float(nats[labels].sum()),
                tokens=len(labels),
                correct=int((labels == counts.argmax()).sum()),
                text_nats=float(nats[labels[text]].sum()),
                bytes=int(target["bytes"][0]),
            )

        return guess

    def _target(self, row: Row) -> dict[str, npt.NDArray[Any]]:
        """Return a row's targets."""
        assert self._encoder is not None
        (tokens,) = self._encoder.tokenize([self.document(row)])
        return self.encode(row, tokens, self._encoder, "causal").targets

    def present(self, output: Likelihood, row: Row) -> dict[str, Any]:
        """Return perplexity, bits per byte, and how many tokens were predicted."""
        scores = likelihood_scores(output)
        shown: dict[str, Any] = {n: round(scores[n], 4) for n in ("perplexity", "bits_per_byte")}
        return {**shown, "tokens": output.tokens}


class LanguageMetrics(TaskMetrics):
    """Sums over predicted tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.sums = LikelihoodMetric()

    def update(self, outputs: Sequence[Likelihood], rows: Sequence[Row]) -> None:
        """Add the sums of examples."""
        del rows
        for output in outputs:
            self.sums.update(output)

    def compute(self) -> dict[str, float]:
        """Return the scores over all tokens."""
        return self.sums.compute()

    def reset(self) -> None:
        """Forget all examples."""
        self.sums.reset()

    def tables(self) -> dict[str, list[Any]]:
        """Return the scores with the numbers of tokens and bytes."""
        return {"likelihood": self.sums.table()}


def chunks(length: int, room: int) -> list[tuple[int, int]]:
    """Cut `length` tokens into chunks [start, end) of at most `room`.

    Each begins with the last token of the one before it, unless there is room for one only.
    """
    found = [(0, min(length, room))]
    while found[-1][1] < length:
        start = found[-1][1] - min(1, room - 1)
        found.append((start, min(start + room, length)))
    return found


def _chunk(text: str, tokens: Tokens, cut: tuple[int, int], encoder: TextEncoder) -> Encoded:
    """Return one chunk: read at each token for the next, and after the text for its end."""
    start, end = cut
    before = len(encoder.prefix)
    first = start + (start > 0 and encoder.room > 1)  # The first token that is predicted here.
    if first == start and not before:
        first += 1
    last = end == len(tokens)
    finish = encoder.tokenizer.eos_token_id if last else None
    ends = [] if finish is None else [finish]
    labels = np.concatenate([tokens.ids[first:end], np.asarray(ends, dtype=np.int32)])
    is_text = np.ones(len(labels), dtype=bool)
    is_text[len(labels) - len(ends) :] = False
    reads = before + first - start - 1
    targets = {
        "labels": labels,
        "text": is_text,
        "bytes": np.asarray([_bytes(text, tokens, first, end)]),
    }
    return Encoded(
        [np.concatenate([encoder.prefix, tokens.ids[start:end]])],
        np.zeros(len(labels), dtype=np.int32),
        np.arange(reads, reads + len(labels), dtype=np.int32),
        targets,
        float(len(labels)),
    )


def _bytes(text: str, tokens: Tokens, first: int, end: int) -> int:
    """Return the UTF-8 bytes of the text that tokens [first, end) bring to it."""
    since = int(tokens.ends[:first].max(initial=0))
    until = len(text) if end == len(tokens) else int(tokens.ends[:end].max(initial=0))
    return len(text[since:until].encode("utf-8"))
