"""A head that scores spans by the words that they begin and end with.

Shapes: G words of all examples, D hidden, K rank, L labels, W widths: a span of width w ends
w words after its first.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtl.heads.base import Head, as_float
from mtl.heads.classification import binary_losses

NEVER = -1e4
"""Logit of a span that would end outside of its example; half precision can hold it."""
PRIOR = -4.0
"""Bias of a fresh head: hardly any span is one of the data's."""


class SpanPairHead(Head):
    """Yes or no for each label of each span of up to W words, by cross-entropy or focal loss.

    A span's logits are bilinear in the states of its first and last word, of rank K, beside a term
    for each of the two and one for its width (as in Dozat and Manning 2017, equation 3, with the
    bilinear map factored)::

        s = gelu(S h_first), e = gelu(E h_last);   logits = P (s * e) + A s + B e + c_width

    Inputs: ``sizes`` (examples,), how many words each example has; their sum is G. Targets:
    ``spans`` (G, L), of each first word and label the widths of its spans, as bits.
    """

    def __init__(
        self,
        hidden_size: int,
        labels: int,
        width: int,
        rank: int,
        dropout: float = 0.0,
        gamma: float = 0.0,
    ) -> None:
        super().__init__()
        self.gamma = gamma
        self.width = width
        self.labels = labels
        self.dropout = nn.Dropout(dropout)
        self.first = nn.Linear(hidden_size, rank)
        self.last = nn.Linear(hidden_size, rank)
        self.pair = nn.Linear(3 * rank, labels, bias=False)
        self.widths = nn.Parameter(torch.full((width, labels), PRIOR))
        for layer in (self.first, self.last):
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
        nn.init.normal_(self.pair.weight, std=0.02)

    def forward(self, states: Tensor) -> Tensor:
        """Return (G, W * L) logits of (G, D) states that are one example."""
        return self.score(states, {"sizes": torch.tensor([len(states)], device=states.device)})

    def score(self, states: Tensor, targets: dict[str, Tensor]) -> Tensor:
        """Return (G, W * L) logits for (G, D) states; reads ``targets["sizes"]``."""
        states = self.dropout(states)
        first, last = F.gelu(self.first(states)), F.gelu(self.last(states))
        count = len(states)
        inside = fits(targets["sizes"], self.width)
        scores = []
        for width in range(self.width):
            end = last.roll(-width, 0) if count else last
            pair = torch.cat([first * end, first, end], dim=1)
            logits = self.pair(pair) + self.widths[width]
            scores.append(logits.masked_fill(~inside[:, width, None], NEVER))
        return torch.stack(scores, dim=1).flatten(1)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return the probability of each span from each word, (G, W * L)."""
        return logits.sigmoid()

    def loss_sum(self, logits: Tensor, targets: dict[str, Tensor]) -> Tensor:
        """Return the summed loss of all spans that end inside of their example."""
        shifts = torch.arange(self.width, device=logits.device)
        gold = (targets["spans"][:, None, :] >> shifts[:, None]) & 1  # (G, W, L)
        inside = fits(targets["sizes"], self.width)[:, :, None].expand_as(gold)
        scores = as_float(logits).unflatten(1, (self.width, self.labels))
        return (binary_losses(scores, gold.float(), self.gamma) * inside).sum()

    def mass(self, targets: dict[str, Tensor]) -> float:
        """Return the number of words, each of which is the first one of some spans."""
        return float(len(targets["spans"]))


def fits(sizes: Tensor, width: int) -> Tensor:
    """Return whether the span of each width from each word ends inside its example, (G, W)."""
    ends = sizes.cumsum(0).repeat_interleave(sizes)
    place = torch.arange(len(ends), device=sizes.device)
    return place[:, None] + torch.arange(width, device=sizes.device) < ends[:, None]
