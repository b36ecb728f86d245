"""``mtl train``: what ``python train.py`` does in a checkout, from anywhere."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add ``mtl train``; its words, options among them, are those of ``train.py``."""
    as_they_are = {"ignore_unknown_options": True, "allow_extra_args": True}
    options = {**as_they_are, "help_option_names": []}
    app.command("train", context_settings=options, add_help_option=False)(train)


def train(context: typer.Context) -> None:
    """Train one trunk with a head for each task: mtl train task=ner,sentiment.

    `mtl train --help` lists everything.
    """
    from mtl.cli.train import main

    raise typer.Exit(main(context.args))
