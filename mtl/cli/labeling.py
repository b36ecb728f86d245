"""What ``mtl data --model RUN`` shows and writes: doubtful labels, and what to annotate first."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mtl.errors import ConfigError, Problem

if TYPE_CHECKING:
    from rich.table import Table

    from mtl.config.section import Values
    from mtl.inference.judgments import Doubt
    from mtl.inference.predictor import RowPredictor
    from mtl.types import Row

SHOWN, CUT = 10, 160
"""Rows of a table in the terminal, and characters of a text in it."""
ANNOTATE = "annotate"


@dataclass(frozen=True)
class Asked:
    """What the command line asks for."""

    run: Path
    unlabelled: str | None
    names: Sequence[str] | None
    """Tasks; all when None."""
    output: Path | None
    format: str
    overwrite: bool
    most: int
    """Texts to annotate."""
    device: str
    as_json: bool


def label(asked: Asked) -> None:
    """Look at the labels of a run's data, and at texts without any.

    Raises:
        MtlError: If the run, its data or the texts cannot be read, or files cannot be written.
    """
    from mtl.inference.doubts import find_doubts, runs_in
    from mtl.inference.predictor import RowPredictor
    from mtl.reporting.console import console, note
    from mtl.reporting.tracking import track
    from mtl.training.model_io import load_model

    runs = runs_in(asked.run)
    _check_output(asked, _tasks(runs[0], asked))
    doubts = find_doubts(runs, asked.names, asked.device, track)
    for line in doubts.notes:
        note(line)
    written: dict[str, list[Values]] = {
        f"doubts.{name}": [doubt.as_dict(name) for doubt in own]
        for name, own in doubts.by_task.items()
    }
    predictor = RowPredictor(load_model(runs[0]), asked.device)
    if asked.unlabelled is not None:
        written[ANNOTATE] = to_annotate(predictor, asked)
    if asked.as_json:
        sys.stdout.write(json.dumps(written, ensure_ascii=False) + "\n")
    else:
        for name, own in doubts.by_task.items():
            console().print(doubts_table(name, own))
        if asked.unlabelled is not None:
            console().print(annotate_table(written[ANNOTATE], asked.unlabelled))
    if asked.output is not None:
        _write(asked, written, predictor)


def to_annotate(predictor: RowPredictor, asked: Asked) -> list[Values]:
    """Return the answers of the texts that are worth annotating first, the most worth it first."""
    from mtl.inference.annotation import rank
    from mtl.inference.inputs import File, read_inputs
    from mtl.inference.rows import prepare
    from mtl.inference.writing import likeliest
    from mtl.reporting.console import note
    from mtl.reporting.tracking import track

    file = File(str(asked.unlabelled), "--unlabelled", on_bad_row="skip")
    names = predictor.choose(asked.names)
    columns = {name: predictor.loaded.description.tasks[name].columns for name in names}
    rows = read_inputs(file, [predictor.tasks[name] for name in names], columns)
    for line in file.notes:
        note(line)
    with track("Ranking", len(rows)) as advance:
        ranked = rank(predictor, rows, names, advance)
    best = ranked.order[: asked.most]
    chosen: list[Row] = [prepare(rows[number], number + 1) for number in best]
    answers = predictor.predict(chosen, names, mark=True)
    return [
        {
            **({"id": row["key"]} if "key" in row else {}),
            "text": row["text"],
            **{name: likeliest(own) for name, own in answer.items()},
            **ranked.beside(number),
        }
        for number, row, answer in zip(best, chosen, answers, strict=True)
    ]


def doubts_table(task: str, doubts: Sequence[Doubt]) -> Table:
    """Return the table of a task's most doubtful rows."""
    from rich.text import Text

    table = _table(f"{task}: {len(doubts):,} rows have a label that the model doubts", "change")
    for doubt in doubts[:SHOWN]:
        found = doubt.as_dict(task)
        changes = "; ".join(map(_change, found["doubted"]))
        table.add_row(f"{doubt.doubt:.3f}", Text(changes), Text(_short(found)), found["place"])
    table.caption = _more(len(doubts))
    return table


def annotate_table(answers: Sequence[Values], file: str) -> Table:
    """Return the table of the texts that are worth annotating first."""
    from rich.text import Text

    table = _table(f"{file}: {len(answers):,} texts to annotate first", "because")
    for found in answers[:SHOWN]:
        reasons = [
            f"{name} is unsure ({value:.2f})" for name, value in found["uncertainty"].items()
        ]
        reasons += [f"{name} differ ({value:.2f})" for name, value in found["disagreement"].items()]
        place = str(found.get("id", ""))
        table.add_row(f"{found['worth']:.3f}", "; ".join(reasons), Text(_short(found)), place)
    table.caption = _more(len(answers))
    return table


def _table(title: str, why: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", justify="right")
    table.add_column(why, overflow="fold")
    table.add_column("text", overflow="fold")
    table.add_column("place", overflow="fold")
    table.caption_justify = "left"
    return table


def _more(count: int) -> str:
    return f"and {count - SHOWN:,} more: --output FOLDER writes them all" if count > SHOWN else ""


def _change(part: Values) -> str:
    if "label" in part:
        verb = "add" if part["suggested"] else "drop"
        where = f"{part['text']}: " if "text" in part else ""
        return f"{where}{verb} {part['label']}"
    where = f"{part['text']}: " if "text" in part else ""
    return f"{where}{part['given']} -> {part['suggested']}"


def _short(found: Values) -> str:
    text = " ".join(str(found["text"]).split())
    return text if len(text) <= CUT else text[: CUT - 1] + "…"


def _tasks(run: Path, asked: Asked) -> list[str]:
    from mtl.inference.questions import described_tasks

    return list(described_tasks(run, asked.names))


def _files(asked: Asked, names: Iterable[str]) -> dict[str, Path]:
    """Return the file of each thing that is written."""
    from mtl.inference.writing import suffix_of

    assert asked.output is not None
    return {name: asked.output / f"{name}{suffix_of(asked.format)}" for name in names}


def _check_output(asked: Asked, tasks: Sequence[str]) -> None:
    """Refuse a place or a format before anything is looked at."""
    from mtl.inference.writing import check_place, names

    if asked.format not in names():
        from mtl.errors import one_of

        raise ConfigError(one_of("--output-format", asked.format, names()))
    if asked.output is None:
        return
    if asked.output.exists() and not asked.output.is_dir():
        found = f"'{asked.output}' is none"
        raise ConfigError(Problem("--output", "to be a folder", found))
    asked.output.mkdir(parents=True, exist_ok=True)
    for file in _files(asked, [*(f"doubts.{name}" for name in tasks), ANNOTATE]).values():
        check_place(file, asked.format, overwrite=asked.overwrite)


def _write(asked: Asked, found: Mapping[str, list[Values]], predictor: RowPredictor) -> None:
    from mtl.inference.writing import OUTPUTS, marks_spans, write_answers
    from mtl.reporting.console import note

    names = predictor.choose(asked.names)
    for name, file in _files(asked, found).items():
        own = [task for task in names if name in (ANNOTATE, f"doubts.{task}")]
        tasks = {task: predictor.tasks[task] for task in own}
        if asked.format not in OUTPUTS and not any(map(marks_spans, tasks.values())):
            note(f"{name} is not written: {asked.format} holds spans, which {own[0]} has none of.")
            continue
        if found[name]:
            missing = write_answers(file, asked.format, found[name], tasks)
            note(f"{len(found[name]) - missing:,} rows: {file}")
