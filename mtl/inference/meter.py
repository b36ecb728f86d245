"""What is told of answers while they are made: each as soon as it is there, and how many are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import nn

from mtl.config.section import Values
from mtl.types import TrunkBatch

Advance = Callable[[float], None]
"""Called with how many more rows are answered; of a long text, with fractions."""


class Watch:
    """Told of each answer as soon as it is there; this one does nothing with it."""

    pieces = False
    """Whether it wants the pieces of texts."""

    def answer(self, row: int, task: str, answer: Values) -> None:
        """Take a task's answer of a row, by its place among the rows."""

    def piece(self, row: int, task: str, piece: str) -> None:
        """Take what is new of the text that a task writes for a row."""


class Meter:
    """How many of some rows are answered, in fractions of a row while a long text is read.

    Args:
        advance: Called with how many more.
        rows: How many there are.
    """

    def __init__(self, advance: Advance, rows: int) -> None:
        self.advance = advance
        self.rows = rows
        self._shown = 0.0
        self._answered = 0
        self._read = 0

    def answered(self, more: int) -> None:
        """Count answered rows."""
        self._answered += more
        self._show(self._answered)

    @contextmanager
    def reading(self, trunk: nn.Module, tokens: int) -> Iterator[None]:
        """Count what a trunk reads, of so many tokens of all rows."""

        def count(module: nn.Module, given: tuple[TrunkBatch, ...], states: object) -> None:
            del module, states
            self._read += given[0].tokens
            self._show(self.rows * min(1.0, self._read / max(1, tokens)))

        hook = trunk.register_forward_hook(count)
        try:
            yield
        finally:
            hook.remove()

    def _show(self, rows: float) -> None:
        if rows > self._shown:
            self.advance(rows - self._shown)
            self._shown = rows
