"""The table over the jobs of a sweep."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mtl.cli.outcomes import Outcome

if TYPE_CHECKING:
    from rich.table import Table


def print_summary(outcomes: Sequence[Outcome], sweep_dir: Path) -> None:
    """Print a row for each job of a sweep: what it varied, its score, how it ended, where."""
    from rich.console import Console

    done = sum(outcome.status == "done" for outcome in outcomes)
    console = Console()
    console.print(f"{done} of {len(outcomes)} jobs done in {_near(sweep_dir)}", markup=False)
    console.print(summary_table(outcomes, sweep_dir))


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
