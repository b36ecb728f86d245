"""The progress of a loop, such as reading and encoding a corpus."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console

from mtl.reporting.bars import Bars
from mtl.reporting.console import console, is_rank_zero

DELAY = 0.5
"""Seconds before there is a bar; what is quicker needs none."""


@contextlib.contextmanager
def track(
    description: str, total: int, *, enabled: bool = True, target: Console | None = None
) -> Iterator[Callable[[float], None]]:
    """Show how far a loop is, on standard error; nothing for what is done at once.

    Args:
        description: What is done, such as ``Encoding``.
        total: How often `advance` will be called, or the sum of its counts.
        enabled: False shows nothing.
        target: Where to write; standard error when None.

    Yields:
        `advance`, to be called with how many more are done, in fractions of a long one.
    """
    if not enabled or not is_rank_zero():
        yield lambda count: None
        return
    bars = Bars(target or console(stderr=True))
    task = bars.add(description, total)
    began = time.monotonic()

    def advance(count: float = 1) -> None:
        bars.advance(task, count)
        if bars.due() and time.monotonic() - began > DELAY:
            bars.show(bars.line(task))

    try:
        yield advance
    finally:
        bars.stop()
