"""The table over the jobs of a sweep."""

from __future__ import annotations

import math
import os
import re
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mtl.cli.outcomes import Outcome

if TYPE_CHECKING:
    from rich.table import Table

_REPEATS = re.compile(r"^[+]*(seed|tasks\.[^.]+\.data\.fold)=")
"""Overrides that repeat an experiment."""
_STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179)
"""Student's t at 97.5% for 1, 2, … degrees of freedom; beyond them the last is a little wide."""


def print_summary(outcomes: Sequence[Outcome], sweep_dir: Path) -> None:
    """Print a row for each job of a sweep: what it varied, its score, how it ended, where."""
    from rich.console import Console

    done = sum(outcome.status == "done" for outcome in outcomes)
    console = Console()
    console.print(f"{done} of {len(outcomes)} jobs done in {_near(sweep_dir)}", markup=False)
    console.print(summary_table(outcomes, sweep_dir))
    for line in mean_lines(outcomes):
        console.print(line, markup=False)


def summary_table(outcomes: Sequence[Outcome], sweep_dir: Path) -> Table:
    """Return the table; folders of jobs are shown below the sweep's."""
    from rich.markup import escape
    from rich.table import Table

    monitors = {outcome.monitor for outcome in outcomes if outcome.monitor}
    score = monitors.pop() if len(monitors) == 1 else "score"
    table = Table()
    table.add_column("job", justify="right")
    table.add_column("varied", overflow="fold")
    table.add_column(score, justify="right")
    table.add_column("status", overflow="fold")
    table.add_column("folder", overflow="fold")
    for outcome, varied in zip(outcomes, _varied(outcomes), strict=True):
        folder = os.path.relpath(outcome.folder, sweep_dir)
        row = [str(outcome.job), varied, _score(outcome), _status(outcome), folder]
        table.add_row(*map(escape, row))
    return table


def mean_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """Return a line for jobs that differ in their fold or seed alone: the mean of their scores.

    The interval is Student's at 95%, as if scores were independent, which folds are nearly.
    """
    groups: dict[tuple[str, ...], list[float]] = {}
    for outcome in outcomes:
        rest = tuple(text for text in outcome.overrides if not _REPEATS.search(text))
        if outcome.score is not None and len(rest) < len(outcome.overrides):
            groups.setdefault(rest, []).append(outcome.score)
    shared = set.intersection(*map(set, groups)) if len(groups) > 1 else {*next(iter(groups), ())}
    lines = []
    for rest, scores in groups.items():
        count = len(scores)
        if count > 1:
            t = _STUDENT[min(count - 2, len(_STUDENT) - 1)]
            half = t * statistics.stdev(scores) / math.sqrt(count)
            varied = " ".join(text for text in rest if text not in shared)
            lead = f"{varied}: " if varied else ""
            lines.append(
                f"{lead}mean of {count} jobs {statistics.fmean(scores):.4f} ± {half:.4f} (95%)"
            )
    return lines


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """Return 1 if a job crashed or was killed, 2 if one ended with a user's error, else 0."""
    statuses = {outcome.status for outcome in outcomes}
    return 1 if statuses & {"crash", "killed"} else 2 if "error" in statuses else 0


def _varied(outcomes: Sequence[Outcome]) -> list[str]:
    """Return for each job the overrides that not all jobs have."""
    shared = set.intersection(*(set(outcome.overrides) for outcome in outcomes))
    if len(outcomes) == 1:
        shared = set()
    return [" ".join(o for o in outcome.overrides if o not in shared) for outcome in outcomes]


def _score(outcome: Outcome) -> str:
    return "-" if outcome.score is None else f"{outcome.score:.4f}"


def _status(outcome: Outcome) -> str:
    first = outcome.message.partition("\n")[0]
    return f"{outcome.status}: {first}" if first else outcome.status


def _near(folder: Path) -> str:
    """Return a folder relative to the current one if it is below it."""
    here = Path.cwd()
    return str(folder.relative_to(here) if folder.is_relative_to(here) else folder)
