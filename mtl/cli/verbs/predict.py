"""``mtl predict``: all heads of a run on texts, in one pass of its trunk, as JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from mtl.errors import ConfigError
from mtl.inference.output import atomic, plain, pretty
from mtl.launch.importing import importing

if TYPE_CHECKING:
    from mtl.config.section import Values
    from mtl.inference.predictor import Predictor
    from mtl.types import Row

ENDING = ".jsonl"


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
    instruction: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="For tasks whose prompt has {instruction}."),
    ] = None,
    input: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A text a line (.txt), or .jsonl, .csv, .tsv with a column `text` or the run's "
            "own columns; - is standard input.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="JSON lines go here (.jsonl), else to the terminal."),
    ] = None,
    task: Annotated[
        str | None, typer.Option(metavar="NAME,NAME", help="Only these tasks; all when unset.")
    ] = None,
    format: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the input, if its ending does not tell.")
    ] = None,
    encoding: Annotated[str, typer.Option(metavar="NAME", help="Of the input.")] = "utf-8",
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
    text's questions, in a list if there are several; in a file they are a column `question`.
    """
    _check(text, input, output)
    for name, asked in (("question", question), ("instruction", instruction)):
        if asked and not text:
            raise ConfigError(
                f"Expected `--{name}` beside `--text`, but got `--input`; in a file, it is a "
                f"column `{name}`."
            )
    with _destination(output) as out:
        with importing("mtl.inference.predictor"):
            from mtl.inference.predictor import Predictor
        from mtl.inference.questions import described_tasks, rows_of
        from mtl.training.model_io import load_model

        tasks = described_tasks(run, split_names(task))
        given = rows_of(text, question or [], tasks, instruction) if text else None
        loaded = load_model(run, trust_remote_code=trust_remote_code)
        predictor = Predictor(loaded, device, tokens)
        names = list(tasks)
        rows = given or _read(predictor, names, str(input), format, encoding)
        spread = output is None and text is not None and len(text) == 1
        shown = output is None and sys.stdout.isatty()
        size = len(rows) // len(text) if text else 1
        for answer in _answers(predictor, rows, names, size, bar=not text and not shown):
            out.write((pretty if spread else plain)(answer, out) + "\n")
    _say_left_out(predictor)


def _say_left_out(predictor: Predictor) -> None:
    """Say which tasks did not answer which rows, and what of the rows was not read."""
    from mtl.reporting.console import note
    from mtl.tasks.base import remarks

    for (task, role), count in predictor.left_out.items():
        rows = "1 text has" if count == 1 else f"{count:,} texts have"
        note(f"{task}: {rows} no `{role}`, which it reads, and no answer; see `--{role}`.")
    for line in (line for task in predictor.tasks.values() for line in remarks(task)):
        note(line)


def _check(text: list[str] | None, input: str | None, output: Path | None) -> None:
    """Refuse what does not go together, before anything is loaded."""
    if bool(text) == (input is not None):
        found = "both" if text else "neither"
        raise ConfigError(f"Expected either `--text` or `--input`, but got {found}.")
    if output is not None and output.suffix.lower() != ENDING:
        raise ConfigError(
            f"Expected `--output` to be a file of JSON lines that ends in {ENDING}, but got "
            f"'{output}'."
        )
    if output is not None and input is not None and output.resolve() == Path(input).resolve():
        raise ConfigError(f"Expected `--output` to be another file than `--input` '{input}'.")


@contextmanager
def _destination(output: Path | None) -> Iterator[TextIO]:
    """Yield where the answers go: a file that is there at the end, or standard output."""
    if output is None:
        yield sys.stdout
        return
    with atomic(output, "`--output`") as file:
        yield file


def split_names(task: str | None) -> list[str] | None:
    """Return the tasks that ``--task`` names; None for all.

    Raises:
        ConfigError: If it is empty.
    """
    if task is None:
        return None
    names = [name.strip() for name in task.split(",") if name.strip()]
    if not names:
        raise ConfigError("Expected `--task` to name a task, but got nothing.")
    return names


def _read(
    predictor: Predictor, names: list[str], input: str, format: str | None, encoding: str
) -> Sequence[Row]:
    from mtl.inference.inputs import File, read_inputs
    from mtl.reporting.console import note

    file = File(input, "--input", format, encoding)
    tasks = [predictor.tasks[name] for name in names]
    columns = {name: predictor.loaded.description.tasks[name].columns for name in names}
    rows = read_inputs(file, tasks, columns)
    for line in file.notes:
        note(line)
    return rows


def _answers(
    predictor: Predictor, rows: Sequence[Row], names: list[str], size: int, *, bar: bool
) -> Iterator[Values]:
    """Yield what is printed: one object for `size` rows, which are of one text."""
    from mtl.inference.predictor import prepare
    from mtl.inference.questions import merged
    from mtl.reporting.tracking import track
    from mtl.tasks.base import asks

    asked = {name: asks(predictor.tasks[name]) for name in names}

    def answered() -> Iterator[Values]:
        for row, answer in zip(rows, predictor.predict(rows, names, advance), strict=True):
            yield {n: {**{role: row[role] for role in asked[n]}, **a} for n, a in answer.items()}

    with track("Predicting", len(rows), enabled=bar) as advance:
        firsts = (rows[number] for number in range(0, len(rows), size))
        found = merged(answered(), size, names)
        for number, (row, answer) in enumerate(zip(firsts, found, strict=True), start=1):
            key = {"id": row["key"]} if "key" in row else {}
            yield {**key, "text": prepare(row, number)["text"], **answer}
