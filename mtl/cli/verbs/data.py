"""``mtl data``: what the data of a run holds, and what is odd about it, before it trains."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

ODD = 1
"""Exit code with ``--strict`` where there is an error or a warning."""


def register(app: typer.Typer) -> None:
    """Add ``mtl data``."""
    app.command("data")(data)


def data(
    overrides: Annotated[
        list[str], typer.Argument(help="What train.py would be given: task=ner,sentiment ...")
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of text.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="End with exit code 1 on an error or a warning.")
    ] = False,
    config_dir: Annotated[
        list[Path] | None, typer.Option("--config-dir", help="A folder with more YAML files.")
    ] = None,
) -> None:
    """Look at the data of a run as training would read it: sizes, labels, lengths, oddities.

    Example: mtl data task=ner tasks.ner.data.train=my/train.conll
    """
    from mtl.cli.train import CONF
    from mtl.config.compose import compose_checked
    from mtl.config.groups import Groups
    from mtl.config.overrides import join_tasks
    from mtl.inspection.inspect import inspect
    from mtl.inspection.overview import facts, shown
    from mtl.reporting.console import console
    from mtl.tasks import TASK_TYPES
    from mtl.training.setup import corpus_of, prepare

    folders = [CONF, *(config_dir or [])]
    typed = join_tasks(overrides, False, Groups(folders).choices("task"))
    cfg = compose_checked(typed, folders, False, TASK_TYPES).config
    with tempfile.TemporaryDirectory() as folder:  # Rejected rows are counted, not kept.
        corpus = corpus_of(prepare(cfg, Path(folder), tell=lambda line: None))
        findings = inspect(corpus)
        if as_json:
            found = {"tasks": facts(corpus), "notes": corpus.notes}
            found["findings"] = [finding.as_dict() for finding in findings]
            sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
        else:
            console().print(shown(corpus, findings))
    if strict and any(finding.level != "info" for finding in findings):
        raise typer.Exit(ODD)
