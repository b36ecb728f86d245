"""Entities of a text of any length, from labels of words that are settled as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mtl.config.section import Values
from mtl.heads.decoding import Ints
from mtl.heads.trellis import Trellis
from mtl.labels import OUTSIDE, transitions
from mtl.tasks._word_passages import EntityJoin, Words
from mtl.types import Encoded, Row

if TYPE_CHECKING:
    from mtl.tasks.token_classification import TokenClassification


class TagJoin(EntityJoin):
    """Labels of words, one sequence for the whole text.

    Words wait until their labels are settled, and then until one stands outside of any entity.
    """

    task: TokenClassification

    def __init__(self, task: TokenClassification, row: Row) -> None:
        super().__init__(task, row, task.learned.words)
        labels = task.learned.labels
        plain = task.head_options.decoding == "plain"
        self.trellis = None if plain else Trellis(transitions(tuple(labels)))
        self.outside = labels.index(OUTSIDE)
        empty = np.zeros(0, dtype=np.int32)
        self._words: Words = (empty, empty)
        """Of the words whose entities are not known."""
        self._labels = np.zeros(0, dtype=np.int64)
        """Of the first of these, as far as they are settled."""
        self._chances = torch.zeros(0, len(labels))
        """Log probabilities of each label of all of these words; of unread ones, none."""

    def add(self, found: Tensor, example: Encoded) -> None:
        """Take the logits of a passage's words."""
        full, place = self.task.spread(found.cpu(), [example])
        chances = full - full.logsumexp(-1, keepdim=True)
        read = torch.zeros(len(full), dtype=torch.bool)
        read[place] = True
        shown = torch.where(read[:, None], chances, torch.full_like(chances, -torch.inf))
        self._chances = torch.cat([self._chances, shown])
        old, new = self._words, self.own
        self._words = np.concatenate([old[0], new[0]]), np.concatenate([old[1], new[1]])
        if self.trellis is None:
            settled = full.argmax(-1).numpy()
        else:
            settled = self.trellis.push(full.log_softmax(-1).double().numpy())
        self._settle(settled)

    def answer(self) -> Values:
        """Settle what is left, and return all entities."""
        if self.trellis is not None:
            self._settle(self.trellis.finish())
        self._give(len(self._labels))
        return super().answer()

    def _settle(self, labels: Ints) -> None:
        """Take the labels of the next words that have one."""
        self._labels = np.concatenate([self._labels, labels])
        outside = np.flatnonzero(self._labels == self.outside)
        if len(outside):
            self._give(int(outside[-1]) + 1)

    def _give(self, count: int) -> None:
        """Give the entities of the first words, after which none goes on."""
        labels, self._labels = self._labels[:count], self._labels[count:]
        chances, self._chances = self._chances[:count], self._chances[count:]
        starts, ends = self._words
        self._words = starts[count:], ends[count:]
        scores = chances.gather(1, torch.from_numpy(labels)[:, None])[:, 0].exp().numpy()
        words = starts[:count], ends[:count]
        self.entities += self.task.entities(labels, scores, self.text, words)
