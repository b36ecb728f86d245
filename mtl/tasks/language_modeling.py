"""The next token of plain text: to pretrain a trunk, or beside other tasks.

One row is a text; what is predicted is the text itself::

    {"text": "Rain had closed the north road again."}
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import MetricCollection

from mtl.config.section import Values
from mtl.data.rows import Role
from mtl.errors import ConfigError
from mtl.heads.base import Head
from mtl.heads.likelihood import LikelihoodHead
from mtl.metrics.scores import Likelihood, LikelihoodScores
from mtl.tasks._language_head import LanguageHeadOptions
from mtl.tasks.base import TASK_TYPES, Guess, ResultClass, Task, Traits
from mtl.tasks.results import Result
from mtl.trunk.text import TextEncoder, Tokens
from mtl.trunk.trunk import Trunk
from mtl.types import Encoded, Examples, Row

COUNTED = 5000
"""Training examples whose tokens the baseline counts: all, or so many at even distances."""


@dataclass(frozen=True, kw_only=True)
class Likeliness(Result):
    """How likely a text is, a token and a byte at a time."""

    perplexity: float
    bits_per_byte: float
    tokens: int
    """How many were predicted."""


@TASK_TYPES.register("language_modeling")
class LanguageModeling(Task):
    """Predicts each token of a text from those before it, through the trunk's output layer.

    A long text is cut into chunks, each a window that is an example of its own. A chunk after the
    first begins with the last token of the one before, so that every token has one before it and
    is predicted once; the very first one only where the tokenizer puts a token before a text.
    After the last chunk the tokenizer's end token is predicted, if it has one.

    An example's extra arrays: ``text`` (N,), which targets are text and no end token; and
    ``bytes`` (W, 1), the UTF-8 bytes of the text that each window predicts.
    """

    HeadOptions = LanguageHeadOptions
    metric_names = ("accuracy", "perplexity", "loss", "bits_per_byte")
    traits = Traits(
        writes=True,
        attentions=("causal",),
        by_window=True,
        repeats=True,
        lower_is_better=frozenset({"perplexity", "loss", "bits_per_byte"}),
    )
    head_options: LanguageHeadOptions
    vocabulary = 0

    @classmethod
    def roles(cls, options: Any = None) -> list[Role]:
        """A text, which is its own target."""
        return [Role("text", "text", help="the text, which is also what is predicted")]

    def fits(self, trunk: Trunk) -> None:
        """Refuse encoders and encoder-decoders: their tokens have seen what is to be predicted."""
        if trunk.architecture != "decoder":
            name = getattr(trunk.config, "name_or_path", "") or trunk.config.model_type
            raise ConfigError(
                f"Expected the trunk to be a decoder, which task '{self.name}' ({self.type}) "
                f"needs, but '{name}' is an {trunk.architecture}; choose another trunk, or leave "
                "the task out."
            )
        self.vocabulary = len(trunk.tokenizer)

    def encode(self, row: Row, tokens: Tokens, encoder: TextEncoder, attention: str) -> Encoded:
        """Read every chunk: at each token for the next, and after the text for its end."""
        cuts = chunks(len(tokens), encoder.room)
        parts = [_chunk(row["text"], tokens, cut, encoder) for cut in cuts]
        sizes = [len(part.part) for part in parts]
        return Encoded(
            [part.documents[0] for part in parts],
            np.repeat(np.arange(len(parts), dtype=np.int32), sizes),
            np.concatenate([part.offset for part in parts]),
            {"labels": np.concatenate([part.targets["labels"] for part in parts])},
            float(sum(sizes)),
            extra={n: np.concatenate([part.extra[n] for part in parts]) for n in ("text", "bytes")},
        )

    def build_head(self, hidden_size: int) -> Head:
        """Return a head over the trunk's vocabulary."""
        return self.head_options.build(LikelihoodHead, hidden_size, self.name)

    def decode(self, logits: Tensor, examples: Examples) -> list[Any]:
        """Return a :class:`Likelihood` for every example."""
        figures = torch.split(logits.detach().cpu().double(), examples.sizes)
        return [
            Likelihood(
                nats=float(found[:, 1].sum()),
                tokens=len(found),
                correct=int(found[:, 2].sum()),
                text_nats=float(found[torch.tensor(example.extra["text"]), 1].sum()),
                bytes=int(example.extra["bytes"].sum()),
            )
            for found, example in zip(figures, examples.encoded, strict=True)
        ]

    def metrics(self) -> MetricCollection:
        """Return perplexity, loss, bits per byte and the share of right guesses."""
        return MetricCollection({"likelihood": LikelihoodScores()}, compute_groups=False)

    def feed(self, outputs: Sequence[Likelihood], examples: Examples) -> Values:
        """Return ``likelihoods``, a list of sums."""
        return {"likelihoods": list(outputs)}

    def baseline(self, train: Examples) -> Guess:
        """Guess by how often each token occurs in training, plus one (Laplace)."""
        counts = np.ones(self.vocabulary, dtype=np.int64)
        for number in range(0, len(train), -(-len(train) // COUNTED)):
            labels = train.encoded[number].targets["labels"]
            counts += np.bincount(labels, minlength=len(counts))
        nats = -np.log(counts / counts.sum())

        def guess(example: Encoded) -> Likelihood:
            labels, text = example.targets["labels"], example.extra["text"]
            return Likelihood(
                nats=float(nats[labels].sum()),
                tokens=len(labels),
                correct=int((labels == counts.argmax()).sum()),
                text_nats=float(nats[labels[text]].sum()),
                bytes=int(example.extra["bytes"].sum()),
            )

        return lambda examples: [guess(example) for example in examples.encoded]

    def present(self, output: Likelihood, row: Row) -> Values:
        """Return perplexity, bits per byte, and how many tokens were predicted."""
        scores = output.scores()
        shown: Values = {n: round(scores[n], 4) for n in ("perplexity", "bits_per_byte")}
        return {**shown, "tokens": output.tokens}

    @property
    def gives(self) -> ResultClass:
        """How likely a text is."""
        return Likeliness


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
    """Return one chunk."""
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
    return Encoded(
        [np.concatenate([encoder.prefix, tokens.ids[start:end]])],
        np.zeros(len(labels), dtype=np.int32),
        np.arange(reads, reads + len(labels), dtype=np.int32),
        {"labels": labels},
        float(len(labels)),
        extra={"text": is_text, "bytes": np.asarray([[_bytes(text, tokens, first, end)]])},
    )


def _bytes(text: str, tokens: Tokens, first: int, end: int) -> int:
    """Return the UTF-8 bytes of the text that tokens [first, end) bring to it."""
    since = int(tokens.ends[:first].max(initial=0))
    until = len(text) if end == len(tokens) else int(tokens.ends[:end].max(initial=0))
    return len(text[since:until].encode("utf-8"))
