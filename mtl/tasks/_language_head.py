"""The head of tasks that choose tokens of the trunk's vocabulary, and its options."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from mtl.heads.language import LanguageHead
from mtl.tasks.base import HeadOptions

H = TypeVar("H", bound=LanguageHead)


@dataclass
class LanguageHeadOptions(HeadOptions):
    """Options of a head that chooses tokens."""

    dropout: float = field(default=0.0, metadata={"min": 0, "below": 1})
    """Share of the states' elements set to zero in training."""
    tied: bool = True
    """Whether the head is the trunk's own output layer, and learns as part of it; else it has
    weights of its own."""
    label_smoothing: float = field(default=0.0, metadata={"min": 0, "below": 1})
    """Share of the target that is spread evenly over the vocabulary."""


OWN_OPTIONS = ("dropout", "tied", "label_smoothing")
"""What tasks that share such a head agree on."""


def language_head(kind: type[H], hidden_size: int, options: LanguageHeadOptions, task: str) -> H:
    """Return a head of a kind; it still has to meet the trunk's output layer."""
    return kind(
        hidden_size,
        tied=options.tied,
        dropout=options.dropout,
        label_smoothing=options.label_smoothing,
        task=task,
    )
