"""``mtl match``: for each text the nearest entries of a knowledge file, by an encoder."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtl.cli.options import Device
from mtl.errors import ConfigError, DataError, Problem, one_of
from mtl.launch.importing import importing

if TYPE_CHECKING:
    from mtl.config.section import Values
    from mtl.inference.similarity import Entry


def register(app: typer.Typer) -> None:
    """Add ``mtl match``."""
    app.command("match")(match)


def match(
    knowledge: Annotated[
        Path, typer.Argument(metavar="KNOWLEDGE", help="JSON lines: `id`, `text`, `title`.")
    ],
    encoder: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="A folder, or a name on the Hub; one trained to compare sentences is best. Of a "
            "run, its trunk.",
        ),
    ],
    text: Annotated[
        list[str] | None, typer.Option("--text", metavar="TEXT", help="May be repeated.")
    ] = None,
    input: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="JSON lines with `text`, such as the answers of mtl predict."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Rows go here, else to the terminal.")
    ] = None,
    most: Annotated[int, typer.Option(min=1, metavar="N", help="Entries for each text.")] = 3,
    gold: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Holds the id of the right entry; scores are printed."),
    ] = None,
    device: Device = "auto",
) -> None:
    """Add to each row the entries of a knowledge file that are nearest to its text.

    A row keeps all that it has and gains `matches`, the nearest first.
    """
    if bool(text) == (input is not None):
        found = "both" if text else "neither"
        raise ConfigError(
            Problem("--text", "or `--input` to be given, one of the two", f"got {found}")
        )
    with importing("mtl.inference.similarity"):
        from mtl.inference.similarity import Encoder, matches, ranks, read_knowledge
    from mtl.inference.output import atomic, plain
    from mtl.inference.predictor import pick_device
    from mtl.inference.rows import prepare
    from mtl.reporting.console import note
    from mtl.reporting.tracking import track

    for number, one in enumerate(text or [], start=1):
        prepare({"text": one}, number)
    entries = read_knowledge(knowledge)
    rows = [{"text": one} for one in text or []] if input is None else _rows(input)
    right = _right(rows, gold, entries, input) if gold else []
    model = Encoder(encoder, pick_device(device))
    with track("Matching", len(rows) + len(entries), enabled=input is not None) as advance:
        known = model.embed([f"{one.title}. {one.text}" for one in entries], advance)
        texts = model.embed([str(row["text"]) for row in rows], advance)
    best = matches(texts, known, entries, most)
    lines = ({**row, "matches": own} for row, own in zip(rows, best, strict=True))
    if output is None:
        for line in lines:
            sys.stdout.write(plain(line, sys.stdout) + "\n")
    else:
        with atomic(output, "--output") as file:
            file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    if model.cut:
        note(f"{model.cut:,} texts are longer than {model.longest} tokens: only these were read.")
    if right:
        _say_scores(ranks(texts, known, right))


def _rows(path: Path) -> list[Values]:
    """Return a file's rows, each with a text.

    Raises:
        DataError: If a line is no JSON object with one.
    """
    from mtl.inference.similarity import unreadable

    expected = "to be a JSON object with `text`"
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        found = f"got '{path}': {unreadable(error)}"
        raise ConfigError(Problem("--input", "to be JSON lines in UTF-8", found)) from error
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if not str(row["text"] or "").strip():
                raise ValueError(row)
        except (ValueError, KeyError, TypeError) as error:
            where = f"{path}:{number}"
            raise DataError(Problem(where, expected, f"got {line[:60]!r}")) from error
        rows.append(row)
    if not rows:
        raise DataError(Problem(str(path), "to have a row", "got none"))
    return rows


def _right(rows: list[Values], gold: str, entries: list[Entry], path: Path | None) -> list[int]:
    """Return which entry is the right one of each row.

    Raises:
        DataError: If a row does not say, or names none.
    """
    places = {entry.id: number for number, entry in enumerate(entries)}
    found = []
    for number, row in enumerate(rows, start=1):
        where = f"{path or '--text'}, row {number}, `{gold}`"
        if str(row.get(gold)) not in places:
            raise DataError(one_of(where, str(row.get(gold)), list(places)))
        found.append(places[str(row[gold])])
    return found


def _say_scores(found: list[int]) -> None:
    """Say how well texts found their entries, by the places at which the right ones stand."""
    from mtl.reporting.console import note

    first = sum(rank == 1 for rank in found) / len(found)
    mrr = sum(1 / rank for rank in found) / len(found)
    note(f"{len(found):,} rows: the right entry is the first of {first:.1%}, MRR {mrr:.4f}.")
