"""The transfer table for people: in the terminal, and as a page with a heat map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table as Rows
from rich.text import Text

from mtl.config.section import Values
from mtl.metrics.intervals import mean_and_margin

CAPTION = (
    "points of the row's own metric that training with the column's task brings, "
    "or percent of a metric that is best when low; "
    "± is the 95% interval of the differences by seed"
)


@dataclass(frozen=True)
class Cell:
    """How much better a task is beside others than alone, by its primary metric.

    Args:
        task: Which is measured.
        others: Beside which it was trained.
        metric: Its full name.
        differences: By seed, in points (hundredths), or in percent of what is best when low.
        higher_is_better: The metric's direction; a difference above zero is a gain in any case.
    """

    task: str
    others: tuple[str, ...]
    metric: str
    differences: Mapping[str, float]
    higher_is_better: bool = True

    @property
    def unit(self) -> str:
        """What stands behind a difference: nothing for points."""
        return "" if self.higher_is_better else "%"

    @property
    def mean(self) -> float:
        """Of the differences."""
        return mean_and_margin(list(self.differences.values()))[0]

    @property
    def margin(self) -> float | None:
        """Half of Student's interval at 95%; None of one seed."""
        return mean_and_margin(list(self.differences.values()))[1]

    @property
    def sure(self) -> bool:
        """Whether the interval is on one side of zero."""
        return self.margin is not None and abs(self.mean) > self.margin


@dataclass(frozen=True)
class Table:
    """The transfer table.

    Args:
        alone: Each task's mean score alone, by its metric's full name.
        cells: For each task and set that has it.
        missing: What could not be compared, in words.
    """

    alone: Mapping[str, float]
    cells: Sequence[Cell]
    missing: Sequence[str]

    def as_dict(self) -> dict[str, object]:
        """Return the table as plain data."""
        cells = [
            {
                "task": cell.task,
                "with": list(cell.others),
                "metric": cell.metric,
                "unit": "points" if cell.higher_is_better else "percent",
                "gain": cell.mean,
                "margin": cell.margin,
                "by_seed": dict(cell.differences),
            }
            for cell in self.cells
        ]
        return {"alone": dict(self.alone), "cells": cells, "missing": list(self.missing)}


def shown(tasks: Sequence[str], table: Table) -> Rows:
    """Return the table for a terminal: a row for each task that is measured."""
    rows = Rows(box=box.SIMPLE_HEAD, pad_edge=False, caption=CAPTION, caption_justify="left")
    rows.add_column("task", overflow="fold")
    rows.add_column("alone", justify="right")
    for name in _columns(tasks):
        rows.add_column(name.replace("+ ", "+\n"), justify="right", overflow="fold")
    for task in tasks:
        cells = [_text(_cell(table, task, name, tasks)) for name in _columns(tasks)]
        rows.add_row(task, _alone(table, task), *cells)
    return rows


def _alone(table: Table, task: str) -> str:
    """Return a task's score alone: on 0 to 100 where its metric is best when high."""
    found = [v for name, v in table.alone.items() if name.split("/")[1] == task]
    lower = any(c.task == task and not c.higher_is_better for c in table.cells)
    return f"{found[0] * (1 if lower else 100):.1f}" if found else "-"


def _columns(tasks: Sequence[str]) -> list[str]:
    return [*(f"+ {name}" for name in tasks), *(["all"] if len(tasks) > 2 else [])]


def _cell(table: Table, task: str, column: str, tasks: Sequence[str]) -> Cell | None:
    """Return what a task has of a column: one other task, or all of them."""
    others = {*tasks} - {task} if column == "all" else {column.removeprefix("+ ")}
    return next((c for c in table.cells if c.task == task and {*c.others} == others), None)


def _text(cell: Cell | None) -> Text:
    if cell is None:
        return Text("")
    style = ("green" if cell.mean > 0 else "red") if cell.sure else ""
    return Text(words(cell).replace(" ±", "\n±"), style=style)


def unsure(table: Table) -> str:
    """Return what to say where no difference is told from chance; empty where one is."""
    if not table.cells or any(cell.sure for cell in table.cells):
        return ""
    if all(cell.margin is None for cell in table.cells):
        return "one seed gives no interval; seed=1,2,3 would tell chance from effect"
    return "no difference is larger than its interval: more seeds, or more rows, would tell"


def words(cell: Cell) -> str:
    """Return a difference and its interval."""
    margin = "" if cell.margin is None else f" ± {cell.margin:.1f}"
    return f"{cell.mean:+.1f}{cell.unit}{margin}"


def page(tasks: Sequence[str], table: Table, command: str) -> str:
    """Return a page with the heat map and the numbers behind it.

    Args:
        tasks: In their order.
        table: What was compared.
        command: That makes it again.
    """
    from mtl.reporting.pages.render import render

    most = max((abs(cell.mean) for cell in table.cells), default=1.0) or 1.0

    def square(cell: Cell | None) -> Values | None:
        if cell is None:
            return None
        seeds = ", ".join(f"seed {s}: {v:+.2f}" for s, v in cell.differences.items())
        kind = "unsure" if not cell.sure else "gain" if cell.mean > 0 else "loss"
        strength = abs(cell.mean) / most
        return {
            "text": words(cell),
            "kind": kind,
            "strength": strength,
            "sure": cell.sure,
            "by": seeds,
        }

    rows = [
        {"task": task, "cells": [square(_cell(table, task, c, tasks)) for c in _columns(tasks)]}
        for task in tasks
    ]
    return render(
        "transfer",
        tasks=list(tasks),
        columns=_columns(tasks),
        rows=rows,
        alone=[{"metric": name, "score": value} for name, value in table.alone.items()],
        cells=[
            {"task": c.task, "others": " and ".join(c.others), "metric": c.metric, **square(c)}  # type: ignore[dict-item]
            for c in table.cells
        ],
        caption=CAPTION,
        missing=[*table.missing, *filter(None, [unsure(table)])],
        command=command,
    )
