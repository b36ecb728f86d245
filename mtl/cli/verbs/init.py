"""``mtl init``: from files to the YAML of each task that they hold, and the command that trains."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtl.cli.options import Overwrite
from mtl.errors import DataError, Place, Problem
from mtl.shipped import program

if TYPE_CHECKING:
    from mtl.inspection.guess.drafts import Draft

SPLITS = ("train", "validation", "test")
SMALL = 20 << 20
"""Bytes of files that are read as a whole, to see whether training can."""


def register(app: typer.Typer) -> None:
    """Add ``mtl init``."""
    app.command("init")(init)


def init(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Files or folders.")],
    output: Annotated[
        Path, typer.Option(metavar="FOLDER", help="The config folder to write into.")
    ] = Path("my_conf"),
    overwrite: Overwrite = False,
) -> None:
    """Look at files, write a YAML for each task that they hold, and print how to train on them.

    Example: mtl init reviews.csv letters/
    """
    from mtl.inference.output import atomic
    from mtl.inspection.guess.drafts import draft
    from mtl.reporting.console import note

    drafts, notes = draft(files)
    if not drafts:
        raise DataError(Problem("mtl init", "to find a task", "found none", "\n".join(notes)))
    places = {one.name: output / "task" / f"{one.name}.yaml" for one in drafts}
    _check_place(output, places, overwrite=overwrite)
    for one in drafts:
        places[one.name].parent.mkdir(parents=True, exist_ok=True)
        with atomic(places[one.name], "--output") as file:
            file.write(one.yaml)
    for line in notes:
        note(line)
    for one in drafts:
        typer.echo(f"{places[one.name]}: {one.spec['type']}, because in {one.file} {one.why}.")
    names = [one.name for one in drafts]
    for line in _faults(output, drafts):
        note(line)
    typer.echo("\nLook at them, then train on them:")
    typer.echo(f"  mtl data {_arguments(output, names)}")
    typer.echo(f"  {program()} {_arguments(output, names)}")


def _check_place(output: Path, places: dict[str, Path], *, overwrite: bool) -> None:
    """Refuse a folder that cannot be written into, and task files that are there."""
    if output.exists() and not output.is_dir():
        raise DataError(Problem("--output", "to be a folder", f"'{output}' is a file"))
    there = next((place for place in places.values() if place.exists()), None)
    if there is not None and not overwrite:
        raise DataError(
            Problem(
                Place(there),
                "no file, so that nothing is lost",
                "found one",
                "Add `--overwrite` to replace it, or name another folder with `--output`.",
            )
        )


def _arguments(output: Path, names: list[str]) -> str:
    return f"--config-dir {shlex.quote(str(output))} task={','.join(names)}"


def _faults(output: Path, drafts: list[Draft]) -> list[str]:
    """Return what would keep each task from training, as reading its files finds it."""
    from mtl.config.compose import compose_checked
    from mtl.errors import MtlError
    from mtl.shipped import CONF
    from mtl.tasks import TASK_TYPES
    from mtl.training.model import build_task
    from mtl.training.setup import read_splits

    found = []
    typed = [f"task=[{','.join(one.name for one in drafts)}]"]
    cfg = compose_checked(typed, [CONF, output], False, TASK_TYPES).config
    for one in drafts:
        if _size(one) > SMALL:
            continue
        try:
            read_splits(cfg, [build_task(one.name, cfg.tasks[one.name])])
        except MtlError as problem:
            found.append(f"{one.name}: as it is, this would stop training: {problem}")
    return found


def _size(one: Draft) -> int:
    paths = [Path(one.spec["data"][key]) for key in ("source", *SPLITS) if key in one.spec["data"]]
    inner = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*"))]
    return sum(file.stat().st_size for file in inner if file.is_file())
