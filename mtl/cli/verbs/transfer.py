"""``mtl transfer``: which task helps which."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from mtl.cli.options import ConfigDir

NAME = "transfer"
SIGNALS = 128
"""Exit codes above it are those of signals."""


def register(app: typer.Typer) -> None:
    """Add ``mtl transfer``."""
    app.command("transfer")(transfer)


def transfer(
    overrides: Annotated[
        list[str],
        typer.Argument(metavar="OVERRIDE…", help="As for train.py: task=a,b,c seed=1,2,3 …"),
    ],
    output: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where the sweeps and the table go.")
    ] = Path("outputs") / NAME,
    config_dir: ConfigDir = None,
) -> None:
    """Train each task alone, each pair, and all, with every seed, and compare.

    Sweeps that have ended in FOLDER are not trained again.

    Example: mtl transfer task=ner,sentiment,qa seed=1,2,3
    """
    from mtl.cli.train import check, main
    from mtl.cli.transfer import LOG, compare, ended, has_ended, place, quietly, read_plan
    from mtl.inference.output import atomic
    from mtl.reporting.console import console, note
    from mtl.reporting.transfer import page, shown, unsure

    plan = read_plan(overrides)
    more = [text for folder in config_dir or [] for text in ("--config-dir", str(folder))]
    for chosen in plan.sets:
        check([*more, *plan.arguments(chosen, output.absolute())])
    note(f"{NAME}: {len(plan.sets)} sets of tasks; what their jobs print goes to {output / LOG}.")
    for number, chosen in enumerate(plan.sets, start=1):
        lead = f"{NAME} {number}/{len(plan.sets)}: {' + '.join(chosen)}"
        if has_ended(output, chosen):
            note(f"{lead}: has ended before in {place(output, chosen)}.")
            continue
        given = [*more, *plan.arguments(chosen, output.absolute())]
        said = (output / LOG).stat().st_size if (output / LOG).is_file() else 0
        with quietly(output / LOG):
            code = main(given)
        if code not in (0, 1) and not place(output, chosen).is_dir():
            whole = (output / LOG).read_bytes()
            typer.echo(whole[said:].decode("utf-8", errors="replace"), nl=False, err=True)
            raise typer.Exit(code)
        for line in ended(output, chosen):
            note(f"{lead}: {line}")
        if code > SIGNALS:
            note(f"{NAME}: stopped; the same command goes on with what is missing.")
            raise typer.Exit(code)
    table = compare(plan, output)
    again = shlex.join(["mtl", NAME, *overrides, "--output", str(output)])
    found = json.dumps({"tasks": list(plan.tasks), **table.as_dict()}, indent=2) + "\n"
    for ending, text in ((".json", found), (".html", page(plan.tasks, table, again))):
        with atomic(output / f"{NAME}{ending}", "--output") as file:
            file.write(text)
    console().print(shown(plan.tasks, table))
    for line in (*table.missing, *filter(None, [unsure(table)])):
        note(f"{NAME}: {line}.")
    note(f"Table: {output / NAME}.json, {output / NAME}.html")
    if not table.cells:
        raise typer.Exit(1)
