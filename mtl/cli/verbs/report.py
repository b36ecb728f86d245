"""``mtl report``: the page of a run, of a sweep, or of several runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtl.cli.options import Runs
from mtl.errors import ConfigError, Problem


def register(app: typer.Typer) -> None:
    """Add ``mtl report``."""
    app.command("report")(report)


def report(
    runs: Runs,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The page; report.html in the first folder when unset."),
    ] = None,
) -> None:
    """Write one page that needs no network: scores, curves, tables, and mistakes, worst first.

    A run that has not ended is shown as far as it is.
    """
    from mtl.inference.output import atomic
    from mtl.reporting.console import note
    from mtl.reporting.report.files import PAGE
    from mtl.reporting.report.page import page
    from mtl.reporting.report.reading import read_run, runs_of
    from mtl.reporting.report.sweep import sweep_section

    found = [run.resolve() for folder in runs for run in runs_of(folder, "mtl report")]
    folders = list(dict.fromkeys(found))
    target = output or runs[0] / PAGE
    if target.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(Problem("--output", "to end in .html", f"got '{target}'"))
    sweep = sweep_section(runs[0]) if len(runs) == 1 else None
    text = page([read_run(folder) for folder in folders], sweep)
    with atomic(target, "--output") as file:
        file.write(text)
    note(f"Report: {target}")
