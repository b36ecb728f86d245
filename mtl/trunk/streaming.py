"""Texts piece by piece, as their tokens are written. Shapes: B rows of a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from mtl.trunk.text import end_id

Pieces = Callable[[int, str], None]
"""Takes the number of a text among those that are written together, and what is new of it."""
HALF = "\ufffd"
"""What a tokenizer decodes a character to whose last bytes are still to come."""


class PieceStreamer:
    """What transformers' `generate` tells of each token; see its ``BaseStreamer``.

    Args:
        tokenizer: Of the trunk.
        pieces: Told what is new, without white space at a text's beginning, nor at its end as far
            as it is known.
    """

    def __init__(self, tokenizer: Any, pieces: Pieces) -> None:
        self.tokenizer = tokenizer
        self.pieces = pieces
        self._ids: list[list[int]] | None = None
        self._told: list[str] = []
        self._ended: list[bool] = []

    def put(self, value: Tensor) -> None:
        """Take the prompts, and then one token a row, (B,)."""
        if self._ids is None:
            rows = len(value)
            self._ids = [[] for _ in range(rows)]
            self._told, self._ended = [""] * rows, [False] * rows
            return
        end = end_id(self.tokenizer)
        for row, token in enumerate(value.flatten().tolist()):
            if self._ended[row] or token == end:
                self._ended[row] = True
                continue
            self._ids[row].append(token)
            self._tell(row, self._ids[row])

    def _tell(self, row: int, ids: list[int]) -> None:
        text = self.tokenizer.decode(ids, skip_special_tokens=True).lstrip()
        known = text.rstrip(HALF).rstrip()
        told = self._told[row]
        if len(known) > len(told) and known.startswith(told):
            self._told[row] = known
            self.pieces(row, known[len(told) :])

    def end(self) -> None:
        """Take the end of all; the texts as a whole are the answer."""
