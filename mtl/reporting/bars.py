"""What a run shows while it works: bars in a terminal, now and then a line elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from mtl.reporting.console import draws

REDRAW = 0.25
"""Seconds between two states of a bar."""
QUIET = 30.0
"""Fewest seconds between two plain lines."""
QUIET_SHARE = 0.05
"""Also at least this share of the time so far, so that long runs do not fill their logs."""
SPEED_OF = 120.0
"""Seconds whose speed says how much time is left."""


class Count(ProgressColumn):
    """``12/2,000``, and how far it is where that is within a unit of work: ``0/1 34%``."""

    def render(self, task: Task) -> Text:
        """Return the column's text."""
        return Text(count(task))


class TimeLeft(ProgressColumn):
    """``1:40 left``, or nothing where there is no speed yet."""

    def render(self, task: Task) -> Text:
        """Return the column's text."""
        return Text(left(task), style="progress.remaining")


class Bars(Progress):
    """Bars at the bottom of a terminal, drawn by the caller's thread; plain lines elsewhere.

    Args:
        console: Where to write; bars where it can redraw.
    """

    def __init__(self, console: Console) -> None:
        self.draws = draws(console)
        self.below: Sequence[str] = ()
        """Short facts below the bars."""
        self._start = time.monotonic()
        self._next = self._start + (0.0 if self.draws else QUIET)
        super().__init__(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None, finished_style="bar.complete"),
            Count(),
            TimeLeft(),
            TextColumn("{task.fields[facts]}"),
            console=console,
            auto_refresh=False,
            transient=True,
            expand=True,
            speed_estimate_period=SPEED_OF,
        )

    def add(self, name: str, total: int, done: int = 0) -> TaskID:
        """Begin a piece of work, some of which may be done already."""
        return self.add_task(name, total=total, completed=done, before=done, facts="")

    def due(self) -> bool:
        """Return cheaply whether it is time to show more."""
        return time.monotonic() >= self._next

    def show(self, line: str, below: Sequence[str] = ()) -> None:
        """Redraw the bars with facts below them; without a terminal, print the line."""
        now = time.monotonic()
        if self.draws:
            self._next = now + REDRAW
            self.below = below
            self.start()
            self.refresh()
        else:
            self._next = now + max(QUIET, QUIET_SHARE * (now - self._start))
            self.say(line)

    def stop(self) -> None:
        """Remove the bars, if there are any, and give the cursor back."""
        if self.live.is_started:
            super().stop()

    def say(self, *lines: Text | str) -> None:
        """Print lines that stay; elsewhere at once and without any control character."""
        for line in lines:
            if self.draws:
                self.console.print(line, soft_wrap=True)
            else:
                self.console.file.write(f"{line}\n")
        self.console.file.flush()

    def line(self, task: TaskID) -> str:
        """Return how far a piece of work is as one line of text."""
        found = self._tasks[task]
        done = f"{found.description} {count(found)}"
        return "  ".join(filter(None, [done, left(found), found.fields["facts"]]))

    def left(self, task: TaskID) -> str:
        """Return the time left, or nothing where there is no speed yet."""
        return left(self._tasks[task])

    def get_renderables(self) -> Iterable[RenderableType]:
        """Yield the bars and what stands below."""
        yield from super().get_renderables()
        if self.below:
            for line in folded(self.below, self.console.width):
                yield Text(line, style="dim")


def count(task: Task) -> str:
    """Return how much is done, with a share where a unit of work is done in part."""
    whole = int(task.completed + 1e-6)
    share = f" {task.percentage:.0f}%" if abs(task.completed - whole) > 1e-6 else ""
    return f"{whole:,}/{task.total:,.0f}{share}"


def left(task: Task) -> str:
    """Return the time left at the latest speed, or nothing where there is none yet."""
    seconds = task.time_remaining
    done = task.completed - task.fields["before"]
    if seconds is None and done > 0 and task.elapsed is not None:  # One look has no speed.
        seconds = task.elapsed / done * (task.remaining or 0)
    return "" if seconds is None else f"{duration(seconds)} left"


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
