"""``mtl data``: what the data of a run holds, and what is odd about it, before it trains."""

from __future__ import annotations

import json
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from mtl.cli.options import AsJson, ConfigDir, Device, Overwrite, split_names
from mtl.errors import ConfigError, Problem

PAGES = (".html", ".htm")
ODD = 1
"""Exit code with ``--strict`` where there is an error or a warning."""


def register(app: typer.Typer) -> None:
    """Add ``mtl data``."""
    app.command("data")(data)


def data(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="OVERRIDE…", help="What train.py would be given: task=ner,sentiment …"
        ),
    ] = None,
    as_json: AsJson = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="End with exit code 1 on an error or a warning.")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write it as a page that needs no network."),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="In place of overrides: which labels of its data do RUN's models doubt? A sweep "
            "over folds judges each row by a model that does not know it.",
        ),
    ] = None,
    unlabelled: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Beside --model: which of these texts are worth annotating first?",
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(metavar="NAME,NAME", help="Beside --model: only these; all when unset."),
    ] = None,
    most: Annotated[
        int, typer.Option(min=1, metavar="N", help="Of --unlabelled: how many texts.")
    ] = 100,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Beside --model: where all of them are written."),
    ] = None,
    output_format: Annotated[
        str, typer.Option(metavar="NAME", help="As for mtl predict: jsonl, csv, or a tool's.")
    ] = "jsonl",
    overwrite: Overwrite = False,
    device: Device = "auto",
    config_dir: ConfigDir = None,
) -> None:
    """Look at the data of a run as training would read it: sizes, labels, lengths, oddities.

    Example: mtl data task=ner tasks.ner.data.train=my/train.conll
    """
    if model is not None or not overrides:
        _check_model(model, overrides, html)
        from mtl.cli.labeling import Asked, label

        assert model is not None
        names = split_names(task)
        more = (output, output_format, overwrite, most, device, as_json)
        label(Asked(model, unlabelled, names, *more))
        return
    if unlabelled is not None or output is not None:
        wrong = "--unlabelled" if unlabelled is not None else "--output"
        raise ConfigError(Problem(wrong, "to stand beside `--model RUN`", "there is none"))
    _check_page(html)
    from mtl.config.compose import compose_checked
    from mtl.config.groups import Groups
    from mtl.config.overrides import join_tasks
    from mtl.inspection.inspect import inspect
    from mtl.inspection.overview import facts, shown
    from mtl.reporting.console import console
    from mtl.shipped import CONF
    from mtl.tasks import TASK_TYPES
    from mtl.training.setup import corpus_of, prepare

    folders = [CONF, *(config_dir or [])]
    typed = join_tasks(overrides, False, Groups(folders).choices("task"))
    cfg = compose_checked(typed, folders, False, TASK_TYPES).config
    with tempfile.TemporaryDirectory() as folder:  # Rejected rows are counted, not kept.
        corpus = corpus_of(prepare(cfg, Path(folder), tell=lambda line: None))
        findings = inspect(corpus)
        if as_json:
            listed = [finding.as_dict() for finding in findings]
            found = {"tasks": facts(corpus), "notes": corpus.notes, "findings": listed}
            sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
        else:
            console().print(shown(corpus, findings))
        if html is not None:
            from mtl.inference.output import atomic
            from mtl.inspection.page import page

            with atomic(html, "--html") as file:
                file.write(page(corpus, findings, shlex.join(["mtl", "data", *overrides])))
    if strict and any(finding.level != "info" for finding in findings):
        raise typer.Exit(ODD)


def _check_model(model: Path | None, overrides: list[str] | None, html: Path | None) -> None:
    """Refuse what does not go together.

    Raises:
        ConfigError: If a run is named beside overrides or a page, or there is neither.
    """
    if model is None:
        expected = "to name the data, such as task=ner, or a run by `--model RUN`"
        raise ConfigError(Problem("mtl data", expected, "got neither"))
    if overrides:
        expected = "to stand alone, because a run has a configuration of its own"
        raise ConfigError(Problem("--model", expected, f"got '{overrides[0]}' beside it"))
    if html is not None:
        raise ConfigError(Problem("--html", "to be unset beside `--model`", f"got '{html}'"))


def _check_page(file: Path | None) -> None:
    """Refuse to write a page over what is none, before anything is read.

    Raises:
        ConfigError: If the file does not end as pages do, or there is no folder for it.
    """
    if file is None:
        return
    if file.suffix.lower() not in PAGES:
        raise ConfigError(Problem("--html", f"to end in {' or '.join(PAGES)}", f"got '{file}'"))
    if not file.parent.is_dir():
        found = f"there is no folder '{file.parent}'"
        raise ConfigError(Problem("--html", "to be a file that can be written", found))
