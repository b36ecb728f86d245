"""``mtl evaluate``: a run's scores on its own splits, or on a file; a report beside the run."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mtl.cli.options import (
    AsJson,
    Comment,
    Delimiter,
    Device,
    Encoding,
    Format,
    Header,
    Quoting,
    Run,
    Tasks,
    Tokens,
    TrustRemoteCode,
    split_names,
    written,
)
from mtl.errors import ConfigError
from mtl.inference.output import atomic, plain
from mtl.launch.importing import importing

if TYPE_CHECKING:
    from rich.table import Table

    from mtl.inference.evaluator import Report, TaskReport


def register(app: typer.Typer) -> None:
    """Add ``mtl evaluate``."""
    app.command("evaluate")(evaluate)


def evaluate(
    run: Run,
    task: Tasks = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Labelled rows for one task, in any format of training."),
    ] = None,
    split: Annotated[
        str | None, typer.Option(metavar="NAME", help="test (when unset) or validation.")
    ] = None,
    as_json: AsJson = False,
    format: Format = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    quoting: Quoting = None,
    comment: Comment = None,
    header: Header = None,
    device: Device = "auto",
    tokens: Tokens = None,
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Score a run on its test splits, or one task of it on a file.

    Prints each task's tables and writes all numbers, on 0 to 1, into a JSON file in RUN.
    """
    names = split_names(task)
    if data is not None and split is not None:
        raise ConfigError("Expected either `--data` or `--split`, but got both.")
    with importing("mtl.inference.evaluator"):
        from mtl.inference import evaluator
    from mtl.inference.inputs import File
    from mtl.reporting.console import note
    from mtl.reporting.tracking import track

    form = written(delimiter, quoting, comment, header)
    found = evaluator.evaluate(
        run,
        names if data is None else [one_task(run, names)],
        split or "test" if data is None else File(data, "--data", format, encoding, **form),
        device,
        track,
        tokens,
        trust_remote_code=trust_remote_code,
    )
    for line in found.notes:
        note(line)
    if as_json:
        sys.stdout.write(plain(found.as_dict(), sys.stdout) + "\n")
    else:
        show(found)
    path = evaluator.run_folder(run) / report_name(names, data, split)
    with atomic(path, "--output") as out:
        out.write(json.dumps(found.as_dict(), indent=2, ensure_ascii=False) + "\n")
    note(f"Report: {path}")


def one_task(run: Path, names: list[str] | None) -> str:
    """Return the task that ``--data`` is for: the one named, or the run's only one.

    Raises:
        ConfigError: If it is not clear.
        CheckpointError: If there is no run.
    """
    from mtl.training.description import model_folder, read_description

    known = list(read_description(model_folder(run)).tasks) if names is None else names
    if len(known) != 1:
        raise ConfigError(
            "Expected `--data` to be for one task, chosen with `--task`, but got "
            f"{', '.join(known)}."
        )
    return known[0]


def report_name(names: list[str] | None, data: str | None, split: str | None) -> str:
    """Return the name of the JSON report: ``evaluation.json`` for a whole run's test splits."""
    parts = [*(names or []), *([] if data or split in (None, "test") else [str(split)])]
    return "-".join(["evaluation", *parts]) + ".json"


def show(found: Report) -> None:
    """Print every table, and a line a task."""
    from mtl.reporting.console import console

    out = console()
    for report in found.tasks.values():
        for name, rows in report.tables.items():
            if rows:
                out.print(render(rows, f"{report.task}: {name}"))
                out.print()
    out.print(primary_lines(found))


def render(rows: list[Any], title: str) -> Table:
    """Return the table of rows of one type of :mod:`mtl.metrics.tables`."""
    from mtl.metrics import tables as rows_of
    from mtl.reporting import tables

    layouts: dict[type, tuple[Callable[..., Table], str]] = {
        rows_of.LabelRow: (tables.label_table, "0 to 1"),
        rows_of.EntityRow: (tables.entity_table, "percent"),
        rows_of.ConfidenceRow: (tables.confidence_table, ""),
        rows_of.ThresholdRow: (tables.threshold_table, ""),
        rows_of.ValueRow: (tables.value_table, ""),
    }
    layout, scale = layouts[type(rows[0])]
    return layout(rows, f"{title} ({scale})" if scale else title)


def primary_lines(found: Report) -> Table:
    """Return a line for each task: its primary metric, and the others after it."""
    from rich.table import Table
    from rich.text import Text

    lines = Table.grid(padding=(0, 2))
    for report in found.tasks.values():
        lines.add_row(*_primary(report))
    if found.score is not None and len(found.tasks) > 1:
        lines.add_row(Text("score"), Text(f"{found.score:.4f}", style="bold"))
    return lines


def _primary(report: TaskReport) -> list[Any]:
    from rich.text import Text

    others = {name: value for name, value in report.scores.items() if name != report.metric}
    rest = ", ".join(f"{name} {value:.4f}" for name, value in others.items())
    return [
        Text(report.task),
        Text(f"{report.metric} {report.value:.4f}", style="bold"),
        Text(f"{report.examples:,} examples; {rest}"),
    ]
