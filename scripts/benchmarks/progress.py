"""How far the cases are: bars with the time left in a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from mtl.reporting.bars import Bars


class Progress:
    """Shows how many cases are done, and how many turns of the present one.

    Args:
        total: Cases, those that will be skipped included.
        target: Where to write.
    """

    def __init__(self, total: int, target: Console) -> None:
        self.total, self.done = total, 0
        self.bars = Bars(target)
        self.cases = self.bars.add("all cases", total)

    def skip(self, line: str) -> None:
        """Say why a case is not run."""
        self.total -= 1
        self.bars.update(self.cases, total=self.total)
        self.bars.say(line)

    @contextmanager
    def case(self, name: str, title: str) -> Iterator[Callable[[int, int], None]]:
        """Begin a case; yields what is told before every turn: how many are done, of how many."""
        self.bars.say(f"{name} ({self.done + 1} of {self.total}): {title}")
        task = self.bars.add(name, 0)

        def turn(done: int, total: int) -> None:
            self.bars.update(task, completed=done, total=total)
            if self.bars.due():
                self.bars.show(f"{self.bars.line(task)} · {self.bars.line(self.cases)}")

        try:
            yield turn
        finally:
            self.bars.stop()
            self.bars.remove_task(task)
            self.done += 1
            self.bars.update(self.cases, completed=self.done)
