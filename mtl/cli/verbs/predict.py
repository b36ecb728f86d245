"""``mtl predict``: all heads of a run on texts, in one pass of its trunk, as JSON."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtl.cli.options import (
    Comment,
    Delimiter,
    Device,
    Encoding,
    Format,
    Header,
    Overwrite,
    Quoting,
    Run,
    Tasks,
    Tokens,
    TrustRemoteCode,
    split_names,
    written,
)
from mtl.errors import ConfigError, Problem
from mtl.inference.output import plain, pretty
from mtl.launch.importing import importing

if TYPE_CHECKING:
    from mtl.types import Row


def register(app: typer.Typer) -> None:
    """Add ``mtl predict``."""
    app.command("predict")(predict)


def predict(
    run: Run,
    text: Annotated[
        list[str] | None, typer.Option("--text", metavar="TEXT", help="May be repeated.")
    ] = None,
    question: Annotated[
        list[str] | None,
        typer.Option("--question", metavar="TEXT", help="Asked of every --text; may be repeated."),
    ] = None,
    second: Annotated[
        list[str] | None,
        typer.Option("--second", metavar="TEXT", help="Beside every --text; may be repeated."),
    ] = None,
    choice: Annotated[
        list[str] | None,
        typer.Option(
            "--choice", "--choices", metavar="TEXT", help="To choose from; given twice or more."
        ),
    ] = None,
    instruction: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="For tasks whose prompt has {instruction}."),
    ] = None,
    input: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A text a line (.txt), or .jsonl, .csv, .tsv with a column `text` or the run's "
            "own columns, or an annotation tool's file; - is standard input.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Answers go here, else to the terminal as JSON lines."),
    ] = None,
    output_format: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="jsonl, csv, or a tool's: brat, doccano, labelstudio, prodigy, spacy, spacy-json; "
            "by the output's ending when unset.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    on_bad_row: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="What becomes of rows that cannot be answered: mark (they have an `error`), skip "
            "or error.",
        ),
    ] = "mark",
    all_probabilities: Annotated[
        bool,
        typer.Option("--all-probabilities", help="Of all labels, not of the 5 likeliest."),
    ] = False,
    task: Tasks = None,
    format: Format = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    quoting: Quoting = None,
    comment: Comment = None,
    header: Header = None,
    device: Device = "auto",
    tokens: Tokens = None,
    max_characters: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="Of one text, for tasks that have to read it at once (a CRF, a label for each "
            "word, language modeling), in about 90 MB a million; they refuse a longer one.",
        ),
    ] = 10_000_000,
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Answer texts with all heads of a run at once, as JSON.

    One text gives one object; several, or a file, give one a line, in their order. Characters
    are counted from 0 in the text as it stands. A task that reads a question answers all of a
    text's questions, in a list if there are several; in a file they are a column `question`. The
    same holds for a second text and the column `second`.
    """
    _check(text, input, output, output_format, overwrite=overwrite)
    beside = {"question": question, "second": second, "choices": choice, "instruction": instruction}
    for name, asked in beside.items():
        if asked and not text:
            advice = f"In a file, it is a column `{name}`."
            raise ConfigError(
                Problem(f"--{name}", "to stand beside `--text`", "got `--input`", advice)
            )
    with importing("mtl.inference.predictor"):
        from mtl.inference.predictor import RowPredictor
    from mtl.inference.answers import Output, Shape, answers, check_policy, left_out, read_file
    from mtl.inference.inputs import File
    from mtl.inference.questions import Beside, described_tasks, rows_of
    from mtl.reporting.console import note
    from mtl.reporting.tracking import track
    from mtl.training.model_io import load_model

    check_policy(on_bad_row, "--on-bad-row")
    tasks = described_tasks(run, split_names(task))
    out = Output(output, output_format) if output else None
    if out is not None:
        out.check(tasks)
    form = written(delimiter, quoting, comment, header)
    given = Beside(question or [], second or [], choice or [], instruction)
    parts = given.parts(tasks) if text else [{}]
    loaded = load_model(run, trust_remote_code=trust_remote_code)
    predictor = RowPredictor(loaded, device, tokens, max_characters=max_characters)
    names = list(tasks)
    if text:
        rows: Sequence[Row] = list(rows_of(text, parts))
        on_bad_row = "error"
    else:
        file = File(str(input), "--input", format, encoding, on_bad_row=on_bad_row, **form)
        rows = read_file(predictor, names, file)
        for line in file.notes:
            note(line)
    shape = Shape(names, len(parts), on_bad_row, all_probabilities)
    shown = out is None and sys.stdout.isatty()
    with track("Predicting", len(rows), enabled=not text and not shown) as advance:
        found = answers(predictor, rows, shape, advance)
        if out is not None:
            out.write(found, predictor, names)
        spread = text is not None and len(text) == 1
        for answer in () if out is not None else found:
            sys.stdout.write((pretty if spread else plain)(answer, sys.stdout) + "\n")
    for line in [*(out.notes if out is not None else ()), *left_out(predictor)]:
        note(line)


def _check(
    text: list[str] | None,
    input: str | None,
    output: Path | None,
    format: str | None,
    *,
    overwrite: bool,
) -> None:
    """Refuse what does not go together, before anything is loaded."""
    if bool(text) == (input is not None):
        found = "both" if text else "neither"
        raise ConfigError(
            Problem("--text", "or `--input` to be given, one of the two", f"got {found}")
        )
    if output is None and format is not None:
        raise ConfigError(
            Problem("--output", "to be given", f"got `--output-format {format}` alone")
        )
    if output is None:
        return
    from mtl.inference.writing import check_not_input, check_place, of_ending

    if input is not None:
        check_not_input(output, input, "--output", "--input")
    check_place(output, of_ending(output, format), overwrite=overwrite)
