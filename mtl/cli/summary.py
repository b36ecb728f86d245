"""The end of a sweep: its table, best first, ``sweep.json``, and the command of the best job."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mtl.cli.comparison import joint_lines, mean_lines, weight_lines
from mtl.cli.outcomes import Outcome
from mtl.files import write_whole
from mtl.reporting.console import note
from mtl.reporting.front import Point, front_svg
from mtl.reporting.report.files import FRONT, SWEEP
from mtl.shipped import program

if TYPE_CHECKING:
    from rich.table import Table

_LONG = re.compile(r"\d*\.\d{5,}(e[+-]?\d+)?|\d\.\d+e[+-]?\d+")
"""A number with more digits than anybody reads."""


def print_summary(outcomes: Sequence[Outcome], sweep_dir: Path) -> None:
    """Print a row for each job of a sweep, what follows from them, and how to train the best again.

    The same is written to ``sweep.json``.
    """
    from rich.console import Console

    done = sum(outcome.status == "done" for outcome in outcomes)
    pruned = sum(outcome.status == "pruned" for outcome in outcomes)
    console = Console()
    counts = f"{done} of {len(outcomes)} jobs done{f', {pruned} pruned' if pruned else ''}"
    console.print(f"{counts} in {_near(sweep_dir)}", markup=False)
    console.print(summary_table(outcomes, sweep_dir))
    for line in wrong_lines(outcomes):
        console.print(line, markup=False, soft_wrap=True)
    lines = [*mean_lines(outcomes), *joint_lines(outcomes), *saved_lines(outcomes)]
    lines += weight_lines(outcomes)
    best = front(outcomes)
    if outcomes and outcomes[0].objectives and best:
        lines.append(f"no job is better in all than: {', '.join(f'job {o.job}' for o in best)}")
    for line in lines:
        console.print(line, markup=False)
    if best:
        console.print(f"the best again: {command(best[0])}", markup=False, soft_wrap=True)
    try:
        _draw(outcomes, best, sweep_dir)
        write_whole(sweep_dir / SWEEP, json.dumps(report(outcomes, lines), indent=2) + "\n")
    except OSError as error:  # The jobs are done, and their folders say what the table says.
        note(f"{sweep_dir / SWEEP}: not written: {error.strerror or error}.")


def _draw(outcomes: Sequence[Outcome], best: Sequence[Outcome], sweep_dir: Path) -> None:
    """Write a picture of the jobs by two objectives."""
    done = [o for o in outcomes if o.status == "done" and len(o.objectives) == 2]
    if done:
        one, two = done[0].objectives
        points = [Point(o.job, o.metrics[one], o.metrics[two], o in best) for o in done]
        write_whole(sweep_dir / FRONT, front_svg(points, one, two))


def report(outcomes: Sequence[Outcome], lines: Sequence[str]) -> dict[str, object]:
    """Return what ``sweep.json`` holds."""
    best = front(outcomes)
    return {
        "best": [outcome.job for outcome in best],
        "command": command(best[0]) if best else None,
        "lines": list(lines),
        "jobs": [asdict(outcome) for outcome in ranked(outcomes)],
    }


def ranked(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return jobs, the best first: those that are done, pruned ones, and the others by number."""

    def place(outcome: Outcome) -> tuple[int, float, int]:
        score = 0.0 if outcome.score is None else outcome.score
        kind = {"done": 0, "pruned": 1}.get(outcome.status, 2)
        return kind, (-score if outcome.higher else score) if kind < 2 else 0.0, outcome.job

    return sorted(outcomes, key=place)


def front(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the best job; of several objectives, all jobs that no other is better than in all."""
    done = [o for o in ranked(outcomes) if o.status == "done" and o.score is not None]
    if not done or not done[0].objectives:
        return done[:1]
    return [one for one in done if not any(_dominates(other, one) for other in done)]


def _dominates(one: Outcome, other: Outcome) -> bool:
    pairs = [(_signed(one, name), _signed(other, name)) for name in one.objectives]
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


def _signed(outcome: Outcome, name: str) -> float:
    value = outcome.metrics[name]
    return -value if name in outcome.lower else value


def command(outcome: Outcome) -> str:
    """Return the command that trains a job again."""
    swept = any(text.startswith("sweep=") for text in outcome.overrides)
    own = [text for text in outcome.overrides if not text.startswith("search.")]
    words = [*own, *(["hydra.mode=RUN"] if swept else [])]
    return " ".join([program(), *map(shlex.quote, words)])


def saved_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """Return what pruning saved, if anything was pruned."""
    counted = [o for o in outcomes if o.steps is not None and o.planned is not None]
    planned = sum(o.planned or 0 for o in counted)
    saved = planned - sum(o.steps or 0 for o in counted)
    if not any(o.status == "pruned" for o in counted) or not planned:
        return []
    return [f"pruning saved {saved:,} of {planned:,} steps ({saved / planned:.0%})"]


def summary_table(outcomes: Sequence[Outcome], sweep_dir: Path) -> Table:
    """Return the table; folders of jobs are shown where they are not called as usual, ``job-3``."""
    from rich.markup import escape
    from rich.table import Table

    monitors = {outcome.monitor for outcome in outcomes if outcome.monitor}
    score = monitors.pop() if len(monitors) == 1 else "score"
    columns = _columns(outcomes, score)
    table = Table()
    table.add_column("job", justify="right")
    table.add_column("varied", overflow="fold")
    for name in (score, *columns.values(), "time"):
        title = "\n".join(name.removeprefix("val/").split("/"))
        table.add_column(title, justify="right", overflow="fold")
    table.add_column("status")
    order = ranked(outcomes)
    folders = [os.path.relpath(outcome.folder, sweep_dir) for outcome in order]
    usual = all(f == f"job-{o.job}" for f, o in zip(folders, order, strict=True))
    if not usual:
        table.add_column("folder", overflow="fold")
    for outcome, varied, folder in zip(order, _varied(order), folders, strict=True):
        values = [_number(outcome.metrics.get(name)) for name in columns]
        row = [str(outcome.job), varied, _number(outcome.score), *values, _time(outcome)]
        row += [outcome.status, *([] if usual else [folder])]
        table.add_row(*map(escape, row))
    return table


def _columns(outcomes: Sequence[Outcome], score: str) -> dict[str, str]:
    """Return further metrics and their titles: other objectives, or each task's of several."""
    named = {name: name for outcome in outcomes for name in outcome.objectives}
    if not named:
        pairs = {pair for outcome in outcomes for pair in outcome.primary.items()}
        several = len({task for task, _ in pairs}) > 1
        named = {f"val/{t}/{m}": f"{t}/{m}" for t, m in sorted(pairs)} if several else {}
    return {name: title for name, title in named.items() if name != score}


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """Return 1 if a job crashed or was killed, 2 if one ended with a user's error, else 0."""
    statuses = {outcome.status for outcome in outcomes}
    return 1 if statuses & {"crash", "killed"} else 2 if "error" in statuses else 0


def _varied(outcomes: Sequence[Outcome]) -> list[str]:
    """Return for each job the overrides that not all jobs have."""
    shared = set.intersection(*(set(outcome.overrides) for outcome in outcomes))
    if len(outcomes) == 1:
        shared = set()
    return [_short("\n".join(o for o in out.overrides if o not in shared)) for out in outcomes]


def _short(text: str) -> str:
    """Return a text whose numbers have four digits that count."""
    return _LONG.sub(lambda match: f"{float(match[0]):.4g}", text)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _time(outcome: Outcome) -> str:
    minutes, seconds = divmod(round(outcome.seconds), 60)
    return f"{minutes}:{seconds:02d}"


def wrong_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """Return why jobs failed, a line each."""
    said = [(o, o.message.partition("\n")[0]) for o in outcomes]
    return [f"job {o.job}: {o.status}: {first}" for o, first in said if first]


def _near(folder: Path) -> str:
    """Return a folder relative to the current one if it is below it."""
    here = Path.cwd()
    return str(folder.relative_to(here) if folder.is_relative_to(here) else folder)
