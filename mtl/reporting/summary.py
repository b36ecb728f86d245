"""What a finished run says: its numbers beside a baseline's, and what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from mtl.metrics.names import metric_name
from mtl.reporting.console import short_path
from mtl.shipped import program

TaskMetrics = tuple[str, str, Sequence[str]]
"""A task's name, its primary metric, and others to show."""
TITLES = {"test": "test", "val": "validation"}
EXAMPLE = "Maria Lopez loved Oslo."
BESIDE = {
    "question": "--question 'Who loved Oslo?'",
    "second": "--second 'Maria Lopez liked a city.'",
    "choices": "--choice Maria --choice Oslo",
}
"""An example of what a task may read beside its text, by role."""
ALL_TASKS = ("ner", "sentiment", "summarization", "qa")
BUNDLED = "bundled:"
LOST = 0.01
"""Of a score from 0 to 1, beyond which a task is said to be forgotten."""
HUB_MODEL = "Qwen/Qwen3-0.6B-Base"


def closing_table(
    results: Mapping[str, float],
    baseline: Mapping[str, float],
    tasks: Sequence[TaskMetrics],
    *,
    lower_is_better: Mapping[str, Collection[str]] | None = None,
) -> Table:
    """Return each task's metrics on the test split beside those of an honest constant guess.

    A task without a test split shows its validation metrics, marked so; where no task has one,
    the column says so instead.

    Args:
        results: Metrics by full name: ``test/ner/f1``, ``val/score``.
        baseline: The guess's metrics by full name: ``baseline/ner/f1``.
        tasks: Rows, in order.
        lower_is_better: For each task the metrics whose direction is not up.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("task", overflow="fold")
    table.add_column("metric", overflow="fold")
    stages = {stage_of(results, task, primary) for task, primary, _ in tasks}
    title = "score" if len(stages) > 1 else TITLES[min(stages, default="test")]
    old = any(name.startswith("before/") for name in results)
    for name in ("baseline", *(["before"] if old else []), title, "difference"):
        table.add_column(name, justify="right", no_wrap=True)
    rows = _Rows(table, results, baseline, len(stages) > 1, old)
    lower_is_better = lower_is_better or {}
    for task, primary, others in tasks:
        for metric in dict.fromkeys([primary, *others]):
            lower = metric in lower_is_better.get(task, ())
            rows.add(task, metric, primary=metric == primary, lower=lower)
        table.add_section()
    if len(tasks) > 1:
        rows.add(None, "score", primary=True, lower=False)
    table.caption = "; ".join(rows.notes)
    table.caption_justify = "left"
    return table


def stage_of(results: Mapping[str, float], task: str | None, metric: str) -> str:
    """Return the split that a task's metrics are of: ``test``, or ``val`` if it has none."""
    return "test" if metric_name("test", task, metric) in results else "val"


@dataclass
class _Rows:
    """Adds rows to the closing table and remembers which marks need explaining."""

    table: Table
    results: Mapping[str, float]
    baseline: Mapping[str, float]
    mixed: bool
    old: bool
    """Whether a column says what a task scored before this run."""
    notes: dict[str, None] = field(default_factory=lambda: {"* primary metric": None})
    last: str | None = ""

    def add(self, task: str | None, metric: str, *, primary: bool, lower: bool) -> None:
        """Add a metric, if the run has it."""
        stage = stage_of(self.results, task, metric)
        found = self.results.get(metric_name(stage, task, metric))
        if found is None:
            return
        guess = self.baseline.get(metric_name("baseline", task, metric))
        before = self.results.get(metric_name("before", task, metric))
        than = guess if before is None else before
        if self.old:
            self.notes["difference to before; of what is new to the baseline"] = None
        marks = {
            " *": primary and task is not None,
            " ↓": lower,
            " †": self.mixed and stage == "val",
        }
        self.notes |= {"↓ lower is better": None} if lower else {}
        self.notes |= {"† on validation, not on test": None} if marks[" †"] else {}
        style = "bold" if primary else ""
        self.table.add_row(
            Text("" if task == self.last else task or "all tasks", style=style),
            Text(metric + "".join(mark for mark, wanted in marks.items() if wanted), style=style),
            "-" if guess is None else f"{guess:.4f}",
            *(["" if before is None else f"{before:.4f}"] if self.old else []),
            Text(f"{found:.4f}", style=style),
            Text("-") if than is None else _difference(found - than, lower),
        )
        self.last = task


def _difference(value: float, lower: bool) -> Text:
    """Return a signed difference: green where it is an improvement, red where it is a loss."""
    text = f"{value:+.4f}"
    if not float(text):
        return Text("0.0000")
    improved = value < 0 if lower else value > 0
    return Text(text, style="green" if improved else "red")


def held_lines(
    results: Mapping[str, float], tasks: Sequence[TaskMetrics], lower: Mapping[str, Collection[str]]
) -> list[str]:
    """Return what became of tasks that another run had learned, a line each."""
    lines = []
    for task, metric, _ in tasks:
        before = results.get(metric_name("before", task, metric))
        after = results.get(metric_name(stage_of(results, task, metric), task, metric))
        if before is None or after is None:
            continue
        lines.append(f"{task}: {metric} was {before:.4f}, and is {after:.4f}.")
        if (after - before if metric in lower.get(task, ()) else before - after) > LOST:
            lines[-1] += " To hold it: init.keep=distill, or more of init.rehearse."
    return lines


def skipped_line(count: int) -> str:
    """Return how many steps a run left out."""
    steps = "1 step was" if count == 1 else f"{count:,} steps were"
    return f"{steps} left out: a loss or the gradient was not finite (train/skipped_steps)."


def next_steps(
    run_dir: Path,
    tasks: Sequence[str],
    *,
    beside: Sequence[str] = (),
    code: bool = False,
    tested: bool = True,
) -> list[str]:
    """Return what to type next, a line each.

    Args:
        run_dir: The run's folder.
        tasks: Names of the run's tasks.
        beside: What some of them read beside a text: ``question``, ``second`` or ``choices``.
        code: Whether the trunk may bring code of its own.
        tested: Whether any of them has a test split.
    """
    folder = shlex.quote(short_path(run_dir))
    run = f"{folder} --trust-remote-code" if code else folder
    steps = [f"mtl evaluate {run}" + ("" if tested else " --split validation")]
    steps += [f"mtl evaluate {run} --task {shlex.quote(task)} --data FILE" for task in tasks[:1]]
    more = "".join(f" {BESIDE[role]}" for role in beside if role in BESIDE)
    steps.append(f"mtl predict {run} --text {shlex.quote(EXAMPLE)}{more}")
    if any((run_dir / "wandb").glob("*run-*")):
        steps.append(f"wandb leet {folder}/wandb")
    if (run_dir / "tensorboard").is_dir():
        steps.append(f"tensorboard --logdir {folder}/tensorboard")
    return ["Next:", *(f"  {command}" for command in steps)]


def further_runs(
    tasks: Mapping[str, str | None], trunk: str, known: Sequence[str] = ALL_TASKS
) -> list[str]:
    """Return the runs to try after this one, a line each; none where all has been tried.

    Args:
        tasks: The run's tasks, each with its ``data.source``.
        trunk: ``trunk.name``.
        known: The tasks of the bundled corpus.
    """
    bundled = [name for name, source in tasks.items() if (source or "").startswith(BUNDLED)]
    if not bundled:
        return []
    lines = []
    if set(known) - set(tasks):
        lines.append((f"{program()} task={','.join(known)}", "all four tasks"))
    if trunk == "tiny":
        line = f"{program()} task={','.join(tasks)} trunk=hf trunk.path={HUB_MODEL}"
        lines.append((line, ""))
    line = f"{program()} task={bundled[0]} tasks.{bundled[0]}.data.source=FOLDER"
    lines.append((line, "your data"))
    return ["Then:", *(f"  {line}{f'  # {why}' if why else ''}" for line, why in lines)]
