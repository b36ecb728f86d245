"""Options of commands that read a file: how it is written, where it is not as in training."""

from __future__ import annotations

from typing import Annotated, Any

import typer

Format = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Of FILE, if neither its ending nor training tells."),
]
Encoding = Annotated[
    str | None, typer.Option(metavar="NAME", help="Of FILE; training's, or UTF-8, when unset.")
]
Delimiter = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="What cells of FILE are apart by; as training's when unset."),
]
Quoting = Annotated[
    bool | None,
    typer.Option("--quoting/--no-quoting", help="Whether quotation marks enclose cells of FILE."),
]
Comment = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="What comments in a CoNLL file begin with, or none."),
]
Header = Annotated[
    bool | None,
    typer.Option("--header/--no-header", help="Whether FILE begins with the columns' names."),
]


def written(
    delimiter: str | None, quoting: bool | None, comment: str | None, header: bool | None
) -> dict[str, Any]:
    """Return what the options say, as :class:`mtl.inference.inputs.File` takes it."""
    from mtl.data.readers.base import Dialect

    return {"dialect": Dialect(delimiter, quoting, comment), "header": header}
