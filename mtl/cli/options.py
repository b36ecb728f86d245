"""Options that several commands have, each declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mtl.errors import ConfigError, Problem

WRITTEN = "How FILE is written"
"""Title of the options of a file that is read, in a command's help."""

Run = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run or a model.")]
Runs = Annotated[
    list[Path], typer.Argument(metavar="RUN|SWEEP…", help="Folders of runs or of sweeps.")
]
Tasks = Annotated[
    str | None,
    typer.Option("--task", metavar="NAME,NAME", help="Only these tasks; all when unset."),
]
Device = Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda or mps.")]
Tokens = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Most tokens in one pass of the trunk; training's, at most 4096, when unset.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace what an earlier command wrote there.")
]
TrustRemoteCode = Annotated[
    bool,
    typer.Option("--trust-remote-code", help="Run Python code that the model's trunk brings."),
]
ConfigDir = Annotated[
    list[Path] | None,
    typer.Option("--config-dir", metavar="FOLDER", help="More YAML files, as for train.py."),
]
Format = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The form of FILE, if neither its ending nor training tells.",
        rich_help_panel=WRITTEN,
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Of FILE; training's, or UTF-8, when unset.", rich_help_panel=WRITTEN
    ),
]
Delimiter = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="What cells of FILE are apart by; as training's when unset.",
        rich_help_panel=WRITTEN,
    ),
]
Quoting = Annotated[
    bool | None,
    typer.Option(
        "--quoting/--no-quoting",
        help="Whether quotation marks enclose cells of FILE.",
        rich_help_panel=WRITTEN,
    ),
]
Comment = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="What comments in a CoNLL file begin with, or none.",
        rich_help_panel=WRITTEN,
    ),
]
Header = Annotated[
    bool | None,
    typer.Option(
        "--header/--no-header",
        help="Whether FILE begins with the columns' names.",
        rich_help_panel=WRITTEN,
    ),
]


def written(
    delimiter: str | None, quoting: bool | None, comment: str | None, header: bool | None
) -> dict[str, Any]:
    """Return what the options say, as :class:`mtl.inference.inputs.File` takes it."""
    from mtl.data.readers.base import Dialect

    return {"dialect": Dialect(delimiter, quoting, comment), "header": header}


def split_names(task: str | None, option: str = "--task") -> list[str] | None:
    """Return the tasks that an option names; None for all.

    Raises:
        ConfigError: If it is empty.
    """
    if task is None:
        return None
    names = [name.strip() for name in task.split(",") if name.strip()]
    if not names:
        raise ConfigError(Problem(option, "to name a task", "got nothing"))
    return names
