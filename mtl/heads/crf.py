"""A head that labels the words of a text together: a linear-chain conditional random field.

Lafferty et al. 2001: a sequence y of labels for words x has the score ``sum_t e_t(y_t) +
sum_t A(y_(t-1), y_t) + b(y_1) + c(y_T)``, where the e are the linear layer's logits and A, b and c
are learned; its probability is the exponential of that over the sum of all sequences that the
scheme allows. Shapes: N words of all texts, one text after the other, C labels, S chains, T words
of the longest chain.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mtl.heads.base import LinearHead, as_float
from mtl.heads.spans import by_window
from mtl.labels import Transitions

NEVER = -1e4
"""Score of what the scheme forbids."""
FOLLOWS, BEGINS, ENDS = 1, 2, 4
"""What a word's link says, added up: it follows the word before it, and is its text's first or last
word. A word that follows none and begins nothing stands behind words that are not read."""
Sum = Callable[[Tensor, int], Tensor]
"""Sums, or finds the largest of, paths along a dimension."""


class Chains(NamedTuple):
    """Words that follow each other, longest chain first."""

    order: Tensor
    """(N,) which word each place of the chains, one after the other, is."""
    sizes: list[int]
    begins: Tensor
    """(S,) 1 where a chain's first word is its text's, else 0."""
    ends: Tensor
    """(S,) the same of last words."""


class CRFHead(LinearHead):
    """The labels of a whole text, by the log-likelihood of a linear chain.

    Targets: ``labels`` (N,) label numbers. Inputs: ``link`` (N,), see :data:`FOLLOWS`.

    Args:
        hidden_size: D.
        classes: C.
        allowed: Which labels may begin and end a text and follow each other; any when None.
        dropout: On the states.
    """

    chooses = "one"
    forbidden: Tensor
    begin_forbidden: Tensor
    end_forbidden: Tensor

    def __init__(
        self,
        hidden_size: int,
        classes: int,
        allowed: Transitions | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(hidden_size, classes, dropout)
        self.steps = nn.Parameter(torch.zeros(classes, classes))
        self.begin = nn.Parameter(torch.zeros(classes))
        self.end = nn.Parameter(torch.zeros(classes))
        shapes = {"begin_forbidden": (classes,), "forbidden": (classes, classes)}
        shapes["end_forbidden"] = (classes,)
        for number, (name, shape) in enumerate(shapes.items()):
            may = torch.ones(shape) if allowed is None else torch.tensor(allowed[number]).float()
            self.register_buffer(name, (1 - may) * NEVER, persistent=False)

    def loss_sum(self, logits: Tensor, targets: dict[str, Tensor]) -> Tensor:
        """Return the negative log-likelihood of all texts' labels, summed."""
        if not len(logits):
            return logits.sum() * 0.0
        scores, labels, link = as_float(logits), targets["labels"], targets["link"]
        chains = chains_of(link)
        begin, steps, end = self._scores(scores.dtype)
        padded = by_window(scores[chains.order], torch.tensor(chains.sizes), 0.0)
        last = torch.cat(_forward(padded, chains, begin, steps, torch.logsumexp)[::-1])
        total = torch.logsumexp(last + chains.ends[:, None] * end, 1).sum()
        right = scores.gather(1, labels[:, None]).sum()
        follows = torch.nonzero(link & FOLLOWS)[:, 0]
        right = right + steps[labels[follows - 1], labels[follows]].sum()
        right = right + begin[labels[(link & BEGINS) > 0]].sum()
        return total - right - end[labels[(link & ENDS) > 0]].sum()

    def mass(self, targets: dict[str, Tensor]) -> float:
        """Return the number of words, as other heads of words do."""
        return float(len(targets["labels"]))

    def settled(self, logits: Tensor, given: dict[str, Tensor]) -> Tensor:
        """Return (N, C) how much worse the best sequence with each label at each word is.

        The best sequence has 0 at each of its words, so that the best of these numbers are the
        labels of the most probable sequence (max-marginals; Wainwright et al. 2004).
        """
        if not len(logits):
            return logits
        chains = chains_of(given["link"])
        begin, steps, end = self._scores(torch.float64)
        sizes = torch.tensor(chains.sizes, device=logits.device)
        padded = by_window(logits.double()[chains.order], sizes, 0.0)
        count, length, _ = padded.shape
        real = torch.arange(length, device=logits.device) < sizes[:, None]
        there = torch.zeros_like(padded)
        total = padded[:, 0] + chains.begins[:, None] * begin
        there[:, 0] = total
        for t in range(1, length):
            total = (total[:, :, None] + steps).amax(1) + padded[:, t]
            there[:, t] = total
        back = torch.zeros_like(padded)
        final = (chains.ends[:, None] * end).expand(count, -1)
        total = final
        for t in range(length - 1, -1, -1):
            if t < length - 1:
                onward = (steps + (padded[:, t + 1] + total)[:, None]).amax(2)
                total = torch.where(real[:, t + 1, None], onward, final)
            back[:, t] = total
        found = (there + back)[real]
        best = found.amax(1, keepdim=True)
        settled = torch.empty_like(found)
        settled[chains.order] = (found - best).clamp_min(NEVER)
        return settled.to(as_float(logits).dtype)

    def _scores(self, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        """Return the scores of beginnings, steps and ends, those that are forbidden lowered."""
        return (
            (self.begin + self.begin_forbidden).to(dtype),
            (self.steps + self.forbidden).to(dtype),
            (self.end + self.end_forbidden).to(dtype),
        )


def chains_of(link: Tensor) -> Chains:
    """Return the chains that links (N,) make."""
    first = torch.nonzero((link & FOLLOWS) == 0)[:, 0]
    edges = torch.cat([first, first.new_tensor([len(link)])])
    sizes = edges.diff()
    longest = torch.argsort(sizes, descending=True, stable=True)
    places = torch.arange(len(link), device=link.device).split(sizes.tolist())
    order = torch.cat([places[n] for n in longest.tolist()])
    begins = ((link[first] & BEGINS) > 0)[longest]
    ends = ((link[edges[1:] - 1] & ENDS) > 0)[longest]
    return Chains(order, sizes[longest].tolist(), begins.float(), ends.float())


def _forward(
    padded: Tensor, chains: Chains, begin: Tensor, steps: Tensor, add: Sum
) -> list[Tensor]:
    """Return what paths to each label of each chain's last word add up to, shortest chains first.

    Each is of some chains that are equally long, (n, C), in their order.
    """
    total = padded[:, 0] + chains.begins[:, None] * begin
    done: list[Tensor] = []
    for t in range(1, padded.shape[1]):
        going = sum(size > t for size in chains.sizes)
        if going < len(total):
            done.append(total[going:])
            total = total[:going]
        total = add(total[:, :, None] + steps, 1) + padded[:going, t]
    return [*done, total]
