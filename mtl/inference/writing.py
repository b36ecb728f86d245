"""Where answers go: JSON lines, a table, or a file of an annotation tool, to be corrected there.

One answer, as JSON lines have it, and the cells of a table::

    {"id": 7, "text": "Ines left.", "ner": {"entities": [{"label": "PER", …}]},
     "sentiment": {"label": "calm", "probabilities": {"calm": 0.8, "cross": 0.2}}}
    id | text | ner.entities | sentiment.label | sentiment.probabilities
"""

from __future__ import annotations

import csv
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from mtl.config.section import Values
from mtl.data.readers import FORMATS
from mtl.data.readers.annotated import Annotated, write_lines
from mtl.errors import ConfigError, DataError, Problem, one_of
from mtl.files import open_whole
from mtl.registry import Registry
from mtl.tasks import Task

Write = Callable[[Path, Iterable[Values]], None]
OUTPUTS: Registry[Write] = Registry("output format", "mtl.outputs")
FORMAT = "--output-format"
LIKELY = 5
"""How many labels are shown with their probabilities, unless all are asked for."""
SPANS = "entities"
"""Under which key a task's answer has its spans."""


def names() -> list[str]:
    """Return the formats that answers can be written in."""
    return sorted([*OUTPUTS, *(name for name in FORMATS if FORMATS.get(name).write)])


def of_ending(path: Path, given: str | None) -> str:
    """Return the format of an output file: as given, or by its ending.

    Raises:
        ConfigError: If it is unknown, or the ending tells none.
    """
    if given is not None:
        if given not in names():
            raise ConfigError(one_of(FORMAT, given, names()))
        return given
    known = {f".{name}": name for name in OUTPUTS}
    known |= {
        e: n
        for n in names()
        if n in FORMATS and n not in OUTPUTS
        for e in FORMATS.get(n).endings
        if not FORMATS.get(n).folders
    }
    if path.suffix.lower() not in known:
        expected = f"to be a file that ends in one of {{{', '.join(sorted(known))}}}"
        advice = f"Or say what it is to be with `{FORMAT}`."
        raise ConfigError(Problem("--output", expected, f"got '{path}'", advice))
    return known[path.suffix.lower()]


def check_place(path: Path, format: str, *, overwrite: bool) -> None:
    """Refuse to replace what is there, before anything is answered.

    Raises:
        ConfigError: If there is something at the path that is not to be replaced, or cannot be, or
            no folder to write it into.
    """
    layout = FORMATS.get(format) if format not in OUTPUTS else None
    if layout is not None and layout.folders and path.is_dir():
        others = [file for file in path.iterdir() if file.suffix not in (*layout.endings, ".txt")]
        if others:
            expected = f"to be a new folder, or one of {format}'s files alone"
            raise ConfigError(Problem("--output", expected, f"'{path}' has '{others[0].name}'"))
    elif path.exists() and not path.is_file():
        raise ConfigError(Problem("--output", "to be a file", f"'{path}' is none"))
    if path.exists() and not overwrite:
        advice = "Add `--overwrite` to replace it, or name another."
        raise ConfigError(Problem("--output", "to be a new file", f"'{path}' exists", advice))
    try:
        os.listdir(path.parent)
    except OSError as error:
        found = f"got '{path}': {error.strerror}"
        expected = "to be a file that can be written"
        raise ConfigError(Problem("--output", expected, found)) from None


def check_not_input(output: Path, input: str, where: str, other: str) -> None:
    """Raise a ConfigError if a file of answers, `where`, is the file that is read, `other`."""
    if output.resolve() == Path(input).resolve():
        expected = f"to be another file than `{other}`"
        raise ConfigError(Problem(where, expected, f"got '{input}' for both"))


def suffix_of(format: str) -> str:
    """Return the ending of a file of a format; empty where it is a folder."""
    if format in OUTPUTS:
        return f".{format}"
    layout = FORMATS.get(format)
    return "" if layout.folders else [*layout.endings, *(f".{name}" for name in layout.within)][0]


def marks_spans(task: Task) -> bool:
    """Whether a task's answers are spans of a text, which annotation tools hold."""
    return any(role.name == "spans" for role in task.roles(task.options))


def spans_task(tasks: Mapping[str, Task], format: str) -> str:
    """Return the one task whose spans a tool's file is to have.

    Raises:
        ConfigError: If none marks spans, or several do.
    """
    marking = [name for name, task in tasks.items() if marks_spans(task)]
    if len(marking) == 1:
        return marking[0]
    found = f"{', '.join(marking)} do" if marking else f"none of {{{', '.join(tasks)}}} does"
    expected = f"to leave one task that marks spans, which is what {format} holds"
    advice = "Choose one." if marking else "Write jsonl or csv."
    raise ConfigError(Problem("--task", expected, found, advice))


def write_answers(
    path: Path, format: str, answers: Iterable[Values], tasks: Mapping[str, Task]
) -> int:
    """Write answers in a format, whole or not at all.

    Returns:
        How many rows have no answer, and so no place in a tool's file.

    Raises:
        ConfigError: If they cannot be written.
    """
    left_out: list[Values] = []
    try:
        if format in OUTPUTS:
            OUTPUTS.get(format)(path, answers)
            return 0
        write = FORMATS.get(format).write
        assert write is not None
        write(path, annotated(answers, spans_task(tasks, format), left_out))
    except OSError as error:
        found = f"got '{path}': {error.strerror}"
        raise ConfigError(Problem("--output", "to be a file that can be written", found)) from error
    return len(left_out)


def annotated(answers: Iterable[Values], task: str, left_out: list[Values]) -> Iterator[Annotated]:
    """Yield answers as documents of an annotation tool; those that are errors are left out.

    Raises:
        DataError: If the task's labels mark no spans.
    """
    for answer in answers:
        own = answer.get(task) or {}
        if "error" in answer or "error" in own:
            left_out.append({})
            continue
        if SPANS not in own:
            expected = f"to be jsonl or csv, because '{task}' marks no spans"
            raise DataError(
                Problem(FORMAT, expected, f"its answer has {', '.join(own) or 'nothing'}")
            )
        yield Annotated(answer["text"], own[SPANS], answer.get("id"))


@OUTPUTS.register("jsonl")
def write_jsonl(path: Path, answers: Iterable[Values]) -> None:
    """Write an answer a line."""
    write_lines(path, answers)


@OUTPUTS.register("csv")
def write_csv(path: Path, answers: Iterable[Values]) -> None:
    """Write a table with a row for each answer; what is more than a value is JSON in its cell."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n") as spool:
        columns: dict[str, None] = {}
        for answer in answers:
            cells = dict(_cells(answer))
            columns.update(dict.fromkeys(cells))
            spool.write(json.dumps(cells) + "\n")
        spool.seek(0)
        with open_whole(path) as out:
            table = csv.DictWriter(out, list(columns), restval="", lineterminator="\n")
            table.writeheader()
            table.writerows(map(json.loads, spool))


def _cells(answer: Values) -> Iterator[tuple[str, object]]:
    """Yield a row's cells: of a task, one for each part of its answer."""
    for name, value in answer.items():
        parts = value.items() if isinstance(value, dict) and name != "id" else [("", value)]
        for part, inner in parts:
            plain = inner is None or isinstance(inner, str | int | float)
            text = inner if plain else json.dumps(inner, ensure_ascii=False)
            yield f"{name}.{part}" if part else name, "" if text is None else text


def likeliest(answer: Values, most: int = LIKELY) -> Values:
    """Return a task's answer with the probabilities of the likeliest labels only."""
    given = answer.get("probabilities")
    if not isinstance(given, dict) or len(given) <= most:
        return answer
    chosen = set(answer.get("labels") or [])
    best = sorted(given, key=lambda name: -given[name])
    kept = [name for number, name in enumerate(best) if number < most or name in chosen]
    return {**answer, "probabilities": {name: given[name] for name in kept}}
