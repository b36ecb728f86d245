"""Heads that choose a span of a document, or no span: a start and an end logit for each place.

Shapes: W windows, G outputs (places of all windows, one after another), D hidden, L places of
the longest window. The first place of every window is the null place, "no answer here".
"""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from mtl.heads.base import Head, as_float


class SpanHead(Head):
    """What both layouts share: the loss over the places of each window.

    Targets: ``sizes`` (W,) places of each window, their sum is G; ``start`` and ``end`` (W,) the
    place of the answer's first and last token in its window, 0 where it is not there.
    """

    @abstractmethod
    def score(self, states: Tensor, targets: dict[str, Tensor]) -> Tensor:
        """Return (G, 2) start and end logits for (G, D) states; reads ``targets["sizes"]``."""

    def within(self, given: dict[str, Tensor], outputs: Tensor) -> dict[str, Tensor]:
        """Return what is given of the windows whose places some outputs are, all of each."""
        sizes = given["sizes"]
        windows = torch.isin(sizes.cumsum(0) - sizes, outputs)
        return {name: values[windows] for name, values in given.items()}

    def forward(self, states: Tensor) -> Tensor:
        """Return (G, 2) logits of (G, D) states that are one window."""
        return self.score(states, {"sizes": torch.tensor([len(states)], device=states.device)})

    def loss_sum(self, logits: Tensor, targets: dict[str, Tensor]) -> Tensor:
        """Return the mean of both cross-entropies of each window, summed over windows."""
        if not len(targets["sizes"]):
            return logits.sum() * 0.0
        padded = by_window(as_float(logits), targets["sizes"], -math.inf)  # (W, L, 2)
        gold = torch.stack([targets["start"], targets["end"]], dim=1)
        return F.cross_entropy(padded, gold, reduction="sum") / 2

    def mass(self, targets: dict[str, Tensor]) -> float:
        """Return the number of windows."""
        return float(len(targets["start"]))


class JointSpanHead(SpanHead):
    """One linear layer on each token of a question-and-document window (Devlin et al. 2019, 4.2).

    It has no bias: one would shift all places of a window alike, the null place with them, and
    change neither loss nor answer.
    """

    def __init__(self, hidden_size: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(hidden_size, 2, bias=False)
        nn.init.normal_(self.linear.weight, std=0.02)

    def score(self, states: Tensor, targets: dict[str, Tensor]) -> Tensor:
        """Return (G, 2) logits for (G, D) states."""
        del targets
        logits: Tensor = self.linear(self.dropout(states))
        return logits


class PointerSpanHead(SpanHead):
    """The question's last state points at the document's: ``(W·q + b) · h / sqrt(D)``.

    There is one query for starts and one for ends; the null place's two logits are linear in the
    question's state. The first state of every window is the question's, the others the document's
    (scaled as in Vaswani et al. 2017, equation 1; pointers as in Vinyals et al. 2015).
    """

    def __init__(self, hidden_size: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.query = nn.Linear(hidden_size, 2 * hidden_size)
        self.null = nn.Linear(hidden_size, 2)
        for layer in (self.query, self.null):
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)

    def score(self, states: Tensor, targets: dict[str, Tensor]) -> Tensor:
        """Return (G, 2) logits for (G, D) states."""
        sizes = targets["sizes"]
        if not len(sizes):
            return self.null(states)
        states = self.dropout(states)
        places = by_window(states, sizes, 0.0)  # (W, L, D)
        pointed, null = self.point(places, places[:, 0])
        logits = torch.cat([null[:, None], pointed[:, 1:]], dim=1)  # (W, L, 2)
        real = torch.arange(logits.shape[1], device=sizes.device) < sizes[:, None]
        return logits[real]

    def point(self, places: Tensor, question: Tensor) -> tuple[Tensor, Tensor]:
        """Return (W, L, 2) logits of places (W, L, D), and (W, 2) of none, for questions (W, D)."""
        queries = self.query(question).unflatten(1, (2, -1))  # (W, 2, D)
        pointed = places @ queries.transpose(1, 2) / math.sqrt(places.shape[2])
        return pointed, self.null(question).to(pointed.dtype)


def by_window(values: Tensor, sizes: Tensor, fill: float) -> Tensor:
    """Return (G, C) values as (W, L, C), each window filled up with `fill`."""
    parts = torch.split(values, sizes.tolist())
    return pad_sequence(list(parts), batch_first=True, padding_value=fill)
