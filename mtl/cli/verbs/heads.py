"""``mtl heads``: the heads of a model, listed, removed, renamed, or added alone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from mtl.cli.options import Run, split_names
from mtl.errors import ConfigError, Problem
from mtl.files import whole_folder


def register(app: typer.Typer) -> None:
    """Add ``mtl heads``."""
    app.command("heads")(heads)


def heads(
    run: Run,
    remove: Annotated[
        str | None, typer.Option(metavar="NAME,NAME", help="Leave these tasks out.")
    ] = None,
    only: Annotated[
        str | None, typer.Option(metavar="NAME,NAME", help="Leave all tasks out but these.")
    ] = None,
    rename: Annotated[
        list[str] | None, typer.Option(metavar="OLD=NEW", help="Call a task otherwise.")
    ] = None,
    add: Annotated[
        list[str] | None,
        typer.Option(metavar="RUN:NAME", help="Add a task of a model with the very same trunk."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="DEST", help="A new folder for the changed model.")
    ] = None,
) -> None:
    """List the heads of a model, or write a model with other heads into DEST.

    RUN stays as it is, and so do the weights of the trunk and of every head that stays.

    Example: mtl heads outputs/RUN --remove qa --rename sentiment=mood --output smaller
    """
    from mtl.inference import surgery
    from mtl.reporting.console import note
    from mtl.training.description import model_folder, read_description
    from mtl.training.model_io import load_model

    if not (remove or only or rename or add):
        if output is not None:
            expected = "to stand beside what is to change (--remove, --only, --rename, --add)"
            raise ConfigError(Problem("--output", expected, "there is nothing"))
        show(run)
        return
    to = _place(output)
    folder = model_folder(run)
    known = list(read_description(folder).tasks)
    kept = _kept(known, split_names(remove, "--remove"), split_names(only, "--only"))
    renamed = [_pair(text, "=", "--rename", "OLD=NEW") for text in rename or []]
    added = [_pair(text, ":", "--add", "RUN:NAME") for text in add or []]
    with whole_folder(to) as beside:
        shutil.copytree(folder, beside, dirs_exist_ok=True)
        if kept != known:
            surgery.keep_only(beside, kept)
        for old, new in renamed:
            surgery.rename(beside, old, new)
        for other, name in added:
            surgery.add(beside, Path(other), name)
        load_model(beside)
    note(f"Written: {to}")
    show(to)


def show(run: Path) -> None:
    """Print a line for each task of a model."""
    from rich.table import Table

    from mtl.inference.surgery import list_heads
    from mtl.reporting.console import console
    from mtl.training.model_io import load_model

    table = Table("task", "type", "head", "labels", "parameters", box=None)
    for one in list_heads(load_model(run)):
        table.add_row(*one.cells)
    console().print(table)


def _place(output: Path | None) -> Path:
    """Return where the changed model goes.

    Raises:
        ConfigError: If it is not said, or something is there.
    """
    if output is None:
        expected = "to name a new folder, because RUN stays as it is"
        raise ConfigError(Problem("--output", expected, "it is missing"))
    if output.exists():
        found = f"'{output}' is there"
        raise ConfigError(Problem("--output", "to be a new folder, so that nothing is lost", found))
    return output


def _kept(known: list[str], remove: list[str] | None, only: list[str] | None) -> list[str]:
    """Return the tasks that stay.

    Raises:
        ConfigError: If there is no such task, or both ways to say it are used.
    """
    from mtl.errors import one_of

    if remove is not None and only is not None:
        raise ConfigError(Problem("--only", "to stand without `--remove`", "got both"))
    for option, names in (("--remove", remove), ("--only", only)):
        for name in names or []:
            if name not in known:
                raise ConfigError(one_of(option, name, known))
    if only is not None:
        return [name for name in known if name in only]
    return [name for name in known if name not in (remove or [])]


def _pair(text: str, between: str, option: str, form: str) -> tuple[str, str]:
    left, found, right = text.rpartition(between)
    if not (found and left and right):
        raise ConfigError(Problem(option, f"to be {form}", f"got '{text}'"))
    return left, right
