"""One line for each validation, under one heading; fits the terminal whatever the tasks' names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mtl.metrics.names import SCORE, metric_name

GAP = "  "
NARROWEST = 6
"""A value such as 0.1234."""
EPOCH = 5
BEST = "best"


class ValidationLines:
    """Lays out each task's primary metric and the score.

    Example::

        step  epoch     ner  sentiment   score
                         f1   accuracy
         100   0.50  0.7310     0.8420  0.7865  best

    Args:
        tasks: Task to its primary metric.
        total: Steps of the whole run.
        width: Cells of a line. Names are cut for it, then the last tasks are left out.
    """

    def __init__(self, tasks: Mapping[str, str], total: int, width: int) -> None:
        self._step = max(len("step"), len(f"{total:,}"))
        fixed = self._step + sum(len(GAP) + n for n in (EPOCH, NARROWEST, len(BEST)))
        widths = fitted([max(NARROWEST, len(t), len(m)) for t, m in tasks.items()], width - fixed)
        self._columns = dict(zip(tasks.items(), widths, strict=False))

    def heading(self) -> list[str]:
        """Return two lines: the tasks, and under each its metric."""
        tasks = [_cut(task, width) for (task, _), width in self._columns.items()]
        metrics = [_cut(metric, width) for (_, metric), width in self._columns.items()]
        first = [self.start("step", "epoch"), *tasks, f"{'score':>{NARROWEST}}"]
        return [GAP.join(first), GAP.join([self.start("", ""), *metrics]).rstrip()]

    def start(self, step: str, epoch: str) -> str:
        """Return the first two columns, with which lines of another kind begin too."""
        return f"{step:>{self._step}}{GAP}{epoch:>{EPOCH}}"

    def line(self, step: int, epoch: float, results: Mapping[str, float], best: bool) -> str:
        """Return the line of one validation."""
        cells = [self.start(f"{step:,}", f"{epoch:.2f}")]
        for (task, metric), width in self._columns.items():
            cells.append(f"{number(results.get(metric_name('val', task, metric))):>{width}}")
        cells.append(f"{number(results.get(SCORE)):>{NARROWEST}}")
        return GAP.join([*cells, BEST] if best else cells)


def fitted(wishes: Sequence[int], room: int) -> list[int]:
    """Return widths that fit `room` with their gaps: the widest give way, then the last go."""
    widths = list(wishes)
    while sum(widths) + len(GAP) * len(widths) > room and widths:
        widest = max(widths)
        if widest > NARROWEST:
            widths[widths.index(widest)] -= 1
        else:
            widths.pop()
    return widths


def number(value: float | None) -> str:
    """Return a metric in at most six cells; four decimals on the usual scale of 0 to 1."""
    if value is None:
        return "-"
    for limit, decimals in ((10, 4), (100, 3), (1000, 2), (10_000, 1), (1_000_000, 0)):
        text = f"{value:.{decimals}f}"
        if abs(value) < limit and len(text) <= NARROWEST:
            return text
    return f"{value:.0e}"


def _cut(text: str, width: int) -> str:
    return f"{text if len(text) <= width else text[: width - 1] + '…':>{width}}"
