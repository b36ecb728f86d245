"""``mtl predict``: all heads of a run on texts, in one pass of its trunk, as JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtl.cli.file_options import (
    Comment,
    Delimiter,
    Encoding,
    Format,
    Header,
    Quoting,
    written,
)
from mtl.errors import ConfigError, Problem, one_of
from mtl.inference.output import plain, pretty
from mtl.launch.importing import importing

if TYPE_CHECKING:
    from mtl.config.section import Values
    from mtl.inference.predictor import Predictor
    from mtl.types import Row

POLICIES = ("mark", "skip", "error")
OWN = ("csv", "jsonl")
"""Formats that hold the answers of any task."""


def register(app: typer.Typer) -> None:
    """Add ``mtl predict``."""
    app.command("predict")(predict)


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.")],
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
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an output that is there.")
    ] = False,
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
    task: Annotated[
        str | None, typer.Option(metavar="NAME,NAME", help="Only these tasks; all when unset.")
    ] = None,
    format: Format = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    quoting: Quoting = None,
    comment: Comment = None,
    header: Header = None,
    device: Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda or mps.")] = "auto",
    tokens: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Most tokens in one pass of the trunk; training's, at most 4096, when unset.",
        ),
    ] = None,
    trust_remote_code: Annotated[
        bool,
        typer.Option("--trust-remote-code", help="Run Python code that the run's trunk brings."),
    ] = False,
) -> None:
    """Answer texts with all heads of a run at once, as JSON.

    One text gives one object; several, or a file, give one a line, in their order. Characters
    are counted from 0 in the text as it stands. A task that reads a question answers all of a
    text's questions, in a list if there are several; in a file they are a column `question`. The
    same holds for a second text and the column `second`.
    """
    _check(text, input, output, output_format, overwrite=overwrite)
    if on_bad_row not in POLICIES:
        raise ConfigError(one_of("--on-bad-row", on_bad_row, POLICIES))
    beside = {"question": question, "second": second, "choices": choice, "instruction": instruction}
    for name, asked in beside.items():
        if asked and not text:
            advice = f"In a file, it is a column `{name}`."
            raise ConfigError(
                Problem(f"--{name}", "to stand beside `--text`", "got `--input`", advice)
            )
    with importing("mtl.inference.predictor"):
        from mtl.inference.predictor import Predictor
    from mtl.inference.questions import described_tasks, rows_of
    from mtl.inference.writing import of_ending, spans_task, write_answers
    from mtl.reporting.console import note
    from mtl.training.model_io import load_model

    tasks = described_tasks(run, split_names(task))
    kind = of_ending(output, output_format) if output else ""
    if kind and kind not in OWN:
        spans_task(tasks, kind)
    form = written(delimiter, quoting, comment, header)
    others = (question or [], tasks, instruction, second or [], choice or [])
    given = rows_of(text, *others) if text else None
    loaded = load_model(run, trust_remote_code=trust_remote_code)
    predictor = Predictor(loaded, device, tokens)
    names = list(tasks)
    policy = "error" if given else on_bad_row
    rows = given or _read(predictor, names, str(input), format, encoding, policy, form)
    spread = output is None and text is not None and len(text) == 1
    shown = output is None and sys.stdout.isatty()
    size = len(rows) // len(text) if text else 1
    shape = _Asked(names, size, policy, all_probabilities)
    answers = _answers(predictor, rows, shape, bar=not text and not shown)
    if output is None:
        for answer in answers:
            sys.stdout.write((pretty if spread else plain)(answer, sys.stdout) + "\n")
    else:
        missing = write_answers(output, kind, answers, tasks)
        if missing:
            rows_are = (
                "1 row without an answer is"
                if missing == 1
                else f"{missing:,} rows without an answer are"
            )
            note(f"{rows_are} not in '{output}': {kind} has no place for an `error`.")
    _say_left_out(predictor)


def _say_left_out(predictor: Predictor) -> None:
    """Say which tasks did not answer which rows, and what of the rows was not read."""
    from mtl.reporting.console import note
    from mtl.tasks.base import remarks

    for (task, role), count in predictor.left_out.items():
        rows = "1 text has" if count == 1 else f"{count:,} texts have"
        note(f"{task}: {rows} no `{role}`, which it reads, and no answer; see `--{role}`.")
    if predictor.failed:
        answers = "1 answer is" if predictor.failed == 1 else f"{predictor.failed:,} answers are"
        note(f"{answers} an `error`, which says why.")
    for line in (line for task in predictor.tasks.values() for line in remarks(task)):
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
    if input is not None and output.resolve() == Path(input).resolve():
        expected = "to be another file than `--input`"
        raise ConfigError(Problem("--output", expected, f"got '{input}' for both"))
    from mtl.inference.writing import check_place, of_ending

    check_place(output, of_ending(output, format), overwrite=overwrite)


def split_names(task: str | None) -> list[str] | None:
    """Return the tasks that ``--task`` names; None for all.

    Raises:
        ConfigError: If it is empty.
    """
    if task is None:
        return None
    names = [name.strip() for name in task.split(",") if name.strip()]
    if not names:
        raise ConfigError(Problem("--task", "to name a task", "got nothing"))
    return names


def _read(
    predictor: Predictor,
    names: list[str],
    input: str,
    format: str | None,
    encoding: str | None,
    on_bad_row: str,
    form: Values,
) -> Sequence[Row]:
    from mtl.inference.inputs import File, read_inputs
    from mtl.reporting.console import note

    file = File(input, "--input", format, encoding, on_bad_row=on_bad_row, **form)
    tasks = [predictor.tasks[name] for name in names]
    about = predictor.loaded.description.tasks
    columns = {name: about[name].columns for name in names}
    rows = read_inputs(file, tasks, columns, {name: about[name].files for name in names})
    for line in file.notes:
        note(line)
    return rows


@dataclass(frozen=True)
class _Asked:
    """What is printed of answers."""

    names: list[str]
    size: int
    """Rows of one text."""
    on_bad_row: str
    all_probabilities: bool


def _answers(
    predictor: Predictor, rows: Sequence[Row], asked: _Asked, *, bar: bool
) -> Iterator[Values]:
    """Yield what is printed: one object for the rows of one text."""
    from mtl.inference.predictor import FAILED, prepare
    from mtl.inference.questions import merged
    from mtl.inference.writing import likeliest
    from mtl.reporting.tracking import track
    from mtl.tasks.base import asks

    names, mark = asked.names, asked.on_bad_row != "error"
    reads = {name: asks(predictor.tasks[name]) for name in names}
    short = (lambda answer: answer) if asked.all_probabilities else likeliest
    failed: list[str | None] = []
    """Of each text that is not yet written: why it has no answer."""

    def answered() -> Iterator[Values]:
        found = predictor.predict(rows, names, advance, mark=mark)
        for row, answer in zip(rows, found, strict=True):
            failed.append(answer.pop(FAILED, None))
            yield {
                n: {**{role: row[role] for role in reads[n] if role in row}, **short(a)}
                for n, a in answer.items()
            }

    with track("Predicting", len(rows), enabled=bar) as advance:
        firsts = (rows[number] for number in range(0, len(rows), asked.size))
        found = merged(answered(), asked.size, names)
        for number, (row, answer) in enumerate(zip(firsts, found, strict=True), start=1):
            key = {"id": row["key"]} if "key" in row else {}
            reason = failed.pop(0)
            failed.clear()
            if reason is not None and asked.on_bad_row == "skip":
                continue
            wrong = {} if reason is None else {FAILED: reason}
            yield {**key, "text": prepare(row, number, mark=mark).get("text"), **answer, **wrong}
