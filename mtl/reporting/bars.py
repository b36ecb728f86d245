"""What a run shows while it works: bars in a terminal, now and then a line elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mtl.reporting.console import draws

REDRAW = 0.25
"""Seconds between two states of a bar."""
QUIET = 30.0
"""Fewest seconds between two plain lines."""
QUIET_SHARE = 0.05
"""Also at least this share of the time so far, so that long runs do not fill their logs."""


@dataclass(frozen=True)
class Work:
    """How far a piece of work is."""

    name: str
    done: int
    total: int
    elapsed: float
    """Seconds so far."""
    before: int = 0
    """How much of it was done before the clock started."""
    facts: Sequence[str] = ()
    """What else to show beside the bar."""

    @property
    def left(self) -> str:
        """The time left at the mean speed so far, or nothing where there is none yet."""
        done = self.done - self.before
        if done <= 0 or self.elapsed <= 0:
            return ""
        return f"{duration(self.elapsed / done * (self.total - self.done))} left"

    def line(self) -> str:
        """Return it as one line of text."""
        words = [f"{self.name} {self.done:,}/{self.total:,}", self.left, *self.facts]
        return "  ".join(filter(None, words))


class Bars(Protocol):
    """A place that shows work; `due` says cheaply whether it is time to show more."""

    def due(self) -> bool:
        """Return whether enough time has passed since what was shown last."""

    def show(self, works: Sequence[Work], below: Sequence[str], line: str) -> None:
        """Show work: as bars with short facts below, or as one line."""

    def print(self, *lines: Text | str) -> None:
        """Print lines that stay."""

    def stop(self) -> None:
        """Remove the bars."""


def make_bars(console: Console) -> Bars:
    """Return bars where the console can draw them, else plain lines."""
    return LiveBars(console) if draws(console) else PlainLines(console)


class LiveBars:
    """Bars at the bottom of a terminal, redrawn by the caller's thread and never on their own."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._live: Live | None = None
        self._next = 0.0

    def due(self) -> bool:
        """Return whether it is time to redraw."""
        return time.monotonic() >= self._next

    def show(self, works: Sequence[Work], below: Sequence[str], line: str) -> None:
        """Redraw."""
        del line
        self._next = time.monotonic() + REDRAW
        if self._live is None:
            self._live = Live(console=self.console, transient=True, auto_refresh=False)
            self._live.start()
        self._live.update(render(works, below, self.console.width), refresh=True)

    def print(self, *lines: Text | str) -> None:
        """Print above the bars."""
        for line in lines:
            self.console.print(line, soft_wrap=True)

    def stop(self) -> None:
        """Remove the bars and give the cursor back."""
        if self._live is not None:
            self._live.stop()
            self._live = None


class PlainLines:
    """Lines for a file or a pipe, without any control character."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._start = time.monotonic()
        self._next = self._start + QUIET

    def due(self) -> bool:
        """Return whether it is time for a line."""
        return time.monotonic() >= self._next

    def show(self, works: Sequence[Work], below: Sequence[str], line: str) -> None:
        """Print one line."""
        del works, below
        now = time.monotonic()
        self._next = now + max(QUIET, QUIET_SHARE * (now - self._start))
        self.print(line)

    def print(self, *lines: Text | str) -> None:
        """Print lines at once, so that who follows the file sees them."""
        for line in lines:
            self.console.file.write(str(line) + "\n")
        self.console.file.flush()

    def stop(self) -> None:
        """Do nothing: nothing is drawn."""


def render(works: Sequence[Work], below: Sequence[str], width: int) -> RenderableType:
    """Return a row for each work: name, bar, count, time left, facts; and what stands below.

    Args:
        works: The rows.
        below: Short facts, each kept in one line where it can be.
        width: Cells of a line.
    """
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    for _ in range(3):
        table.add_column(no_wrap=True, justify="right")
    for work in works:
        table.add_row(
            work.name,
            ProgressBar(total=work.total, completed=work.done, finished_style="bar.complete"),
            f"{work.done:,}/{work.total:,}",
            Text(work.left, style="progress.remaining"),
            " ".join(work.facts),
        )
    return Group(table, *(Text(line, style="dim") for line in folded(below, width)))


def folded(parts: Sequence[str], width: int, between: str = " · ") -> list[str]:
    """Return parts joined into lines of at most `width` cells, broken between parts."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(between) + len(part) <= width:
            lines[-1] += between + part
        else:
            lines.append(part)
    return lines


def duration(seconds: float) -> str:
    """Return ``m:ss``, or ``h:mm:ss`` from one hour on."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
