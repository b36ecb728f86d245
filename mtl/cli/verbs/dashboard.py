"""``mtl dashboard``: a workspace and a report of W&B for the tasks of a run or a sweep."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from mtl.cli.options import Runs
from mtl.errors import CheckpointError, Problem


def register(app: typer.Typer) -> None:
    """Add ``mtl dashboard``."""
    app.command("dashboard")(dashboard)


def dashboard(
    runs: Runs,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The specification; dashboard.json in the first folder when unset."
        ),
    ] = None,
    project: Annotated[
        str | None, typer.Option(metavar="NAME", help="W&B's project; the run's own when unset.")
    ] = None,
    entity: Annotated[
        str | None, typer.Option(metavar="NAME", help="W&B's user or team; the run's own.")
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY", help="What sweeps vary, such as trunk.lr; may be repeated."),
    ] = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="Save them in W&B, with the login that there is.")
    ] = False,
) -> None:
    """Build panels for all that runs log: by task, tasks compared, sweeps, speed, tables.

    Without --publish, the specification is written to a file, which takes no login.
    """
    from mtl.inference.output import atomic
    from mtl.reporting.console import note, short_path
    from mtl.reporting.dashboard.panels import PARAMETERS, parts
    from mtl.reporting.dashboard.runs import logged
    from mtl.reporting.dashboard.wandb_pages import NOBODY, specification
    from mtl.reporting.dashboard.wandb_pages import publish as save

    found = logged(runs)
    if not found.names:
        told = ", ".join(f"'{run}'" for run in runs)
        raise CheckpointError(
            Problem("mtl dashboard", "to be given runs that have logged metrics", f"got {told}")
        )
    shown = parts(found.names, found.primary, found.tables, parameter or PARAMETERS)
    where = (entity or found.entity or NOBODY, project or found.project)
    if publish:
        for address in save(shown, *where):
            note(f"Saved: {address}")
        return
    file = output or runs[0] / "dashboard.json"
    text = json.dumps(specification(shown, *where), indent=1)
    with atomic(file, "--output") as out:
        out.write(text + "\n")
    typer.echo(f"{file}: {sum(len(part.panels) for part in shown)} panels.")
    names = " ".join(shlex.quote(short_path(run)) for run in runs)
    typer.echo(
        f"To see it in W&B: wandb login, wandb sync {shlex.quote(short_path(runs[0]))}"
        f"/wandb/offline-run-*, then mtl dashboard {names} --publish"
    )
