"""The head of tasks that choose tokens of the trunk's vocabulary: its options."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from mtl.config.section import Field, Flag, Number
from mtl.heads.language import LanguageHead
from mtl.tasks.base import HeadOptions

H = TypeVar("H", bound=LanguageHead)


class LanguageHeadOptions(HeadOptions):
    """Options of a head that chooses tokens."""

    dropout: Number = Field(0.0, ge=0, lt=1)
    """Share of the states' elements set to zero in training."""
    tied: Flag = True
    """Whether the head is the trunk's own output layer, and learns as part of it; else it has
    weights of its own."""
    label_smoothing: Number = Field(0.0, ge=0, lt=1)
    """Share of the target that is spread evenly over the vocabulary."""

    own: ClassVar[tuple[str, ...]] = ("dropout", "tied", "label_smoothing")

    def build(self, head: type[H], hidden_size: int, task: str) -> H:
        """Return a head; it still has to meet the trunk's output layer."""
        return head(
            hidden_size,
            tied=self.tied,
            dropout=self.dropout,
            label_smoothing=self.label_smoothing,
            task=task,
        )
