"""``mtl fork``: what a task brings to the others of one run."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

NAME = "fork"


def register(app: typer.Typer) -> None:
    """Add ``mtl fork``."""
    app.command(NAME)(fork)


def fork(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run that has ended.")],
    without: Annotated[
        str, typer.Option(metavar="TASK,…", help="Tasks that teach nothing from there on.")
    ] = "",
    at_step: Annotated[
        int, typer.Option(metavar="N", min=0, help="A step that the run has a checkpoint of.")
    ] = 0,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where the fork goes; beside RUN when unset."),
    ] = None,
) -> None:
    """Train a run again from a step, without some tasks, and say what these bring to the others.

    Data, passes and dropout are the run's own. Without --without it ends as the run did, bit for
    bit on a CPU.

    Example: mtl fork outputs/RUN --without sentiment --at-step 200
    """
    from mtl.cli.fork import Fork, differences, discard, make
    from mtl.cli.train import train
    from mtl.config.saved import saved_config
    from mtl.errors import MtlError
    from mtl.inference.output import atomic
    from mtl.reporting.console import console, note
    from mtl.reporting.fork import ONE_PAIR, page, sentences, shown
    from mtl.reporting.report.curves import read_curves

    names = tuple(dict.fromkeys(name.strip() for name in without.split(",") if name.strip()))
    asked = Fork(run, at_step, names)
    cfg, folder = make(asked, None if output is None else str(output))
    less = f"without {' and '.join(names)}" if names else "with all its tasks"
    note(f"{NAME}: {run} from step {at_step:,} on {less}, in {folder}.")
    try:
        train(cfg, folder)
    except MtlError:
        discard(folder)
        raise
    found = differences(asked, saved_config(run), folder)
    curves = (read_curves(run), read_curves(folder))
    told = ["--without", ",".join(names)] if names else []
    again = shlex.join(["mtl", NAME, str(run), *told, "--at-step", str(at_step)])
    facts = {"run": str(run), "step": at_step, "without": names}
    data = json.dumps({**facts, "tasks": [one.as_dict() for one in found]}, indent=2) + "\n"
    title = f"{run.absolute().name} from step {at_step:,} on {less}"
    for ending, text in ((".json", data), (".html", page(title, found, names, curves, again))):
        with atomic(folder / f"{NAME}{ending}", "--output") as file:
            file.write(text)
    console().print(shown(found))
    for line in [*sentences(found, names), *([ONE_PAIR] if names else [])]:
        note(f"{NAME}: {line}.")
    note(f"Table: {folder / NAME}.json, {folder / NAME}.html")
