"""What a fork tells of tasks: in the terminal, as plain data and as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table
from rich.text import Text

from mtl.metrics.gains import gain
from mtl.reporting.pages.charts import lines

CAPTION = (
    "what the run has over its fork, in points of each task's metric, in percent of one that is "
    "best when low: above 0, the tasks that were taken out help"
)
ONE_PAIR = (
    "these are one pair of runs; before a difference of a few tenths counts, fork runs with other "
    "seeds, too"
)
Curves = Mapping[str, Sequence[tuple[int, float]]]


@dataclass(frozen=True)
class Difference:
    """What a task has of those that were taken out.

    Args:
        task: One that was left.
        metric: Its primary metric's full name, of the test where there is one.
        scores: Of the run and of its fork, each with its own best weights.
        higher_is_better: The direction.
        validation: The metric's full name in validations.
        at_step: The last step at which both were validated, and the scores there.
    """

    task: str
    metric: str
    scores: tuple[float, float] | None
    higher_is_better: bool
    validation: str
    at_step: tuple[int, float, float] | None

    @property
    def points(self) -> float | None:
        """How much better the run is, in hundredths, or in percent of what is best when low."""
        return None if self.scores is None else self._points(*self.scores)

    @property
    def points_at_step(self) -> float | None:
        """The same of the last common validation."""
        return None if self.at_step is None else self._points(*self.at_step[1:])

    def _points(self, ours: float, theirs: float) -> float:
        return gain(ours, theirs, higher_is_better=self.higher_is_better)

    def as_dict(self) -> dict[str, object]:
        """Return it as plain data."""
        ours, theirs = self.scores or (None, None)
        step, there, here = self.at_step or (None, None, None)
        return {
            "task": self.task,
            "metric": self.metric,
            "run": ours,
            "fork": theirs,
            "points": self.points,
            "validation": {
                "metric": self.validation,
                "step": step,
                "run": there,
                "fork": here,
                "points": self.points_at_step,
            },
        }


def shown(found: Sequence[Difference]) -> Table:
    """Return the table for a terminal."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption=CAPTION, caption_justify="left")
    table.add_column("task", overflow="fold")
    for name in ("run", "fork", "points"):
        table.add_column(name, justify="right")
    table.add_column("same step", justify="right")
    for one in found:
        scores = ["-" if one.scores is None else f"{score:.4f}" for score in one.scores or (0, 0)]
        table.add_row(one.task, *scores, _colored(one.points), _colored(one.points_at_step))
    return table


def _colored(points: float | None) -> Text:
    style = "" if not points else "green" if points > 0 else "red"
    return Text(signed(points), style=style)


def signed(points: float | None) -> str:
    """Return points with their sign; a dash where there are none."""
    return "-" if points is None else f"{points:+.2f}" if points else "0.00"


def sentences(found: Sequence[Difference], without: Sequence[str]) -> list[str]:
    """Return what the differences mean, a sentence for each task."""
    if not without:
        same = all(one.points == 0 and not one.points_at_step for one in found)
        equal = "The fork ends as the run did: nothing was taken out"
        return [equal if same else "Nothing was taken out, and yet the fork ends otherwise"]
    gone = " and ".join(without)
    said = []
    for one in found:
        points = one.points if one.points is not None else one.points_at_step
        if points is None:
            said.append(f"{one.task} has no score to compare")
        elif points == 0:
            said.append(f"{one.task} is the same without {gone}")
        else:
            verb = "helps" if points > 0 else "costs"
            unit = "points" if one.higher_is_better else "percent"
            said.append(f"{gone} {verb} {one.task}: {points:+.2f} {unit} of {one.metric}")
    return said


def page(
    title: str,
    found: Sequence[Difference],
    without: Sequence[str],
    curves: tuple[Curves, Curves],
    command: str,
) -> str:
    """Return a page with the table and a chart for each task.

    Args:
        title: Which run, and from which step.
        found: The differences.
        without: The tasks that were taken out.
        curves: Of the run and of its fork.
        command: That makes it again.
    """
    from mtl.reporting.pages.render import render

    ours, theirs = curves
    charts = [
        {"title": one.validation, "lines": drawn}
        for one in found
        if (
            drawn := lines(
                {"run": ours.get(one.validation, ()), "fork": theirs.get(one.validation, ())}
            )
        )
    ]
    rows = [
        {
            **one.as_dict(),
            "step": one.at_step[0] if one.at_step else None,
            "points": signed(one.points),
            "same": signed(one.points_at_step),
        }
        for one in found
    ]
    said = [*sentences(found, without), *([ONE_PAIR] if without else [])]
    return render(
        "fork", title=title, rows=rows, said=said, charts=charts, caption=CAPTION, command=command
    )
