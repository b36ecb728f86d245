"""What a head is: hidden states to logits, and a loss. It knows no text and no files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal, Protocol

import torch
from torch import Tensor, nn


class Output(Protocol):
    """What a head needs of the trunk's output layer; see :class:`mtl.trunk.output.OutputLayer`."""

    model: nn.Module
    projection: nn.Linear
    exact: bool

    @property
    def vocabulary(self) -> int:
        """How many tokens V there are."""

    def __call__(self, states: Tensor, projection: nn.Module | None = None) -> Tensor:
        """Return (N, V) logits for (N, D) states, by the projection given or its own."""


class Head(nn.Module, ABC):
    """A module from hidden states to logits with its own loss.

    Shapes: G outputs, D hidden, C classes.
    """

    chooses: ClassVar[Literal["one", "any"] | None] = None
    """Whether its logits are of labels, of which one holds for each output, or any number; its
    targets are then ``labels``."""

    @abstractmethod
    def forward(self, states: Tensor) -> Tensor:
        """Return logits for `states`, shape (G, D)."""

    def score(self, states: Tensor, targets: dict[str, Tensor]) -> Tensor:
        """Return logits (G, C) where they also depend on which states belong together.

        Args:
            states: (G, D).
            targets: What the task's encoding says of each of them; most heads do not look.
        """
        del targets
        return self(states)

    def picked(self, states: Tensor) -> Tensor:
        """Return (G, D) what this head reads of the trunk's layers.

        Args:
            states: (G, K * D), of the last layer and of inner ones that any task reads.
        """
        selection = getattr(self, "selection", None)
        return states if selection is None else selection(states)

    def read(self, states: Tensor, given: dict[str, Tensor]) -> Tensor:
        """Return :meth:`score` of what this head reads of (G, K * D) states."""
        return self.score(self.picked(states), given)

    def settled(self, logits: Tensor, given: dict[str, Tensor]) -> Tensor:
        """Return logits (G, C) as decoding takes them, where an output's depend on the others'.

        Args:
            logits: What :meth:`score` returned for all outputs of a pass.
            given: What :meth:`score` was given.
        """
        del given
        return logits

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return the probability of each label, (G, C), for heads that choose labels."""
        return logits.sigmoid() if self.chooses == "any" else logits.softmax(-1)

    def within(self, given: dict[str, Tensor], outputs: Tensor) -> dict[str, Tensor] | None:
        """Return what is given of some outputs, for :meth:`score` and the loss of these alone.

        So a long document's outputs need not all be scored at once. None says that they must be,
        as they must for a head with a :meth:`score` of its own that does not say otherwise.

        Args:
            given: Of all outputs.
            outputs: (n,) their numbers, ascending, where the states of a row begin or end none.
        """
        if type(self).score is not Head.score:
            return None
        return {name: values[outputs] for name, values in given.items()}

    def attach(self, output: Output | None) -> None:
        """Meet the trunk's output layer, where it has one.

        Called once, before the head is used; heads that write text project with it.
        """
        del output

    @abstractmethod
    def loss_sum(self, logits: Tensor, targets: dict[str, Tensor]) -> Tensor:
        """Return the loss summed over targets, a scalar; zero where there are none."""

    @abstractmethod
    def mass(self, targets: dict[str, Tensor]) -> float:
        """Return what `targets` add to the loss's denominator: their number, or their weights."""

    def loss(
        self, logits: Tensor, targets: dict[str, Tensor], denominator: float | None = None
    ) -> Tensor:
        """Return the loss as a mean per target, a scalar.

        Args:
            logits: What :meth:`forward` returned.
            targets: The task's targets, by name.
            denominator: The number of targets of the whole optimiser step, over all micro-batches
                and ranks; this batch's own when unset.
        """
        total = self.mass(targets) if denominator is None else denominator
        return self.loss_sum(logits, targets) / max(total, 1e-12)


class LinearHead(Head):
    """``H_out = W_out · H_dec + b_out`` after dropout on the states, in training."""

    def __init__(self, hidden_size: int, outputs: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(hidden_size, outputs)
        nn.init.normal_(self.linear.weight, std=0.02)
        nn.init.zeros_(self.linear.bias)

    def without_bias(self) -> None:
        """Leave ``b_out`` out."""
        self.linear.register_parameter("bias", None)

    def forward(self, states: Tensor) -> Tensor:
        """Return (G, C) logits for (G, D) states."""
        return self.linear(self.dropout(states))


def as_float(logits: Tensor) -> Tensor:
    """Losses are computed in float32 whatever the precision of the pass."""
    return logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
