"""``mtl export``: a trained model in a folder that other programs open."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtl.cli.options import Overwrite, Run, Tasks, TrustRemoteCode, split_names
from mtl.errors import ConfigError, Problem
from mtl.launch.importing import importing


def register(app: typer.Typer) -> None:
    """Add ``mtl export``."""
    app.command("export")(export)


def export(
    run: Run,
    to: Annotated[Path, typer.Argument(metavar="DEST", help="A new folder.")],
    format: Annotated[
        str, typer.Option(metavar="NAME", help="hub, adapter, transformers or onnx.")
    ] = "hub",
    task: Tasks = None,
    head: Annotated[
        str | None,
        typer.Option(
            "--as", metavar="TYPE", help="For transformers: the type whose class the head becomes."
        ),
    ] = None,
    int8: Annotated[
        bool,
        typer.Option("--int8", help="For onnx: weights of 8 bits too, measured on the test split."),
    ] = False,
    base: Annotated[
        str | None, typer.Option(metavar="NAME", help="For adapter: the Hub's name of the trunk.")
    ] = None,
    licence: Annotated[
        str, typer.Option("--license", metavar="ID", help="Of the model, for its card.")
    ] = "unknown",
    overwrite: Overwrite = False,
    push_to_hub: Annotated[
        str | None, typer.Option(metavar="OWNER/NAME", help="Upload it to the Hugging Face Hub.")
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="With --push-to-hub: for you alone.")
    ] = False,
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Write a trained model into a folder with a model card.

    Example: mtl export outputs/RUN ner --format transformers --task ner
    """
    with importing("mtl.export"):
        import mtl.export  # noqa: F401
    from mtl.export import base as formats
    from mtl.export.push import check_name, push
    from mtl.reporting.console import note

    if push_to_hub is not None:
        check_name(push_to_hub)
    elif private:
        raise ConfigError(Problem("--private", "to stand beside `--push-to-hub`", "it does not"))
    names = split_names(task)
    request = formats.Request(names, head, base, int8, licence)
    formats.check_request(request, format)
    source = formats.Source(run, trust_remote_code=trust_remote_code)
    made = formats.export(source, to, format, request, overwrite=overwrite)
    for line in made.notes:
        note(line)
    note(f"Written: {to}")
    if push_to_hub is not None:
        note(f"Uploaded: {push(to, push_to_hub, private=private)}")
