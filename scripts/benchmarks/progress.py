"""How far the cases are: bars with the time left in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from mtl.reporting.bars import Work, make_bars


class Progress:
    """Shows how many cases are done, and how many turns of the present one.

    Args:
        total: Cases, those that will be skipped included.
        target: Where to write.
    """

    def __init__(self, total: int, target: Console) -> None:
        self.total, self.done = total, 0
        self.began = time.monotonic()
        self.bars = make_bars(target)

    def skip(self, line: str) -> None:
        """Say why a case is not run."""
        self.total -= 1
        self.bars.print(line)

    @contextmanager
    def case(self, name: str, title: str) -> Iterator[Callable[[int, int], None]]:
        """Begin a case; yields what is told before every turn: how many are done, of how many."""
        self.bars.print(f"{name} ({self.done + 1} of {self.total}): {title}")
        began: float | None = None

        def turn(done: int, total: int) -> None:
            nonlocal began
            began = began or time.monotonic()
            now = time.monotonic()
            work = Work(name, done, total, now - began)
            cases = Work("all cases", self.done, self.total, now - self.began)
            if self.bars.due():
                self.bars.show([work, cases], [], f"{work.line()} · {cases.line()}")

        try:
            yield turn
        finally:
            self.bars.stop()
            self.done += 1
