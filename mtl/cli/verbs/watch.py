"""``mtl watch``: a stream of texts in, an alert when a name's share of bad mentions rises."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from mtl.cli.options import Device, Run
from mtl.errors import ConfigError, DataError, Problem, one_of

if TYPE_CHECKING:
    from mtl.inference.watch.shares import Alert, Watch

LIVE, AT_ONCE = 1, 64
"""Texts that are answered together, of standard input and of a file."""

PARTS = ("text", "sentence")


def register(app: typer.Typer) -> None:
    """Add ``mtl watch``."""
    app.command("watch")(watch)


def watch(
    run: Run,
    input: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="A text a line, or a JSON object with `text` and perhaps `id`; - is standard "
            "input, whose texts are answered as they come.",
        ),
    ] = "-",
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Alerts are added here as JSON lines, not printed."),
    ] = None,
    page: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A page, written anew at every alert.")
    ] = None,
    names: Annotated[
        str | None, typer.Option(metavar="TASK", help="Which marks names; the only one if unset.")
    ] = None,
    kinds: Annotated[
        str,
        typer.Option(metavar="LABEL,LABEL", help="Names that count, such as ORG; all if unset."),
    ] = "",
    mood: Annotated[
        str | None, typer.Option(metavar="TASK", help="Which judges texts; the only one if unset.")
    ] = None,
    bad: Annotated[str, typer.Option(metavar="LABEL", help="Its label of bad texts.")] = "negative",
    judge: Annotated[
        str,
        typer.Option(
            metavar="PART",
            help="What is judged for a name: the text that names it, or its sentence there.",
        ),
    ] = "text",
    recent: Annotated[
        int, typer.Option(min=1, metavar="N", help="A name's last mentions, compared with earlier.")
    ] = 20,
    least: Annotated[
        int, typer.Option(min=1, metavar="N", help="Mentions on both sides before any alert.")
    ] = 5,
    rise: Annotated[
        float,
        typer.Option(
            min=0, max=1, metavar="SHARE", help="By how much the share has to have risen."
        ),
    ] = 0.2,
    chance: Annotated[
        float,
        typer.Option(min=0, max=1, metavar="P", help="Below which probability that is by chance."),
    ] = 0.001,
    device: Device = "auto",
) -> None:
    """Say when one name's share of bad mentions rises, over a stream of texts.

    A name's last mentions are compared with all before, by Fisher's exact test. A share is looked
    at after every mention, so among many names some alerts are by chance all the same.
    """
    from mtl.inference.opening import load
    from mtl.inference.watch.shares import Rule, Watch
    from mtl.inference.watch.stream import batches, choose, labels_of, mentions
    from mtl.reporting.console import note

    live = input == "-"
    if page is not None and page.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(Problem("--page", "to end in .html", f"got '{page}'"))
    if least > recent:
        raise ConfigError(Problem("--least", f"to be at most --recent ({recent})", f"got {least}"))
    if judge not in PARTS:
        raise ConfigError(one_of("--judge", judge, PARTS))
    lines = _lines(input)
    predictor = load(run, device)
    wanted = [kind.strip() for kind in kinds.split(",") if kind.strip()]
    reading = choose(predictor, names, mood, bad, wanted, judge)
    seen = Watch(Rule(recent, least, rise, chance))
    source = "standard input" if live else Path(input).name
    out = _Alerts(output)
    failed = 0
    for batch in batches(lines, LIVE if live else AT_ONCE):
        both = [reading.names, reading.mood]
        found = predictor.predict([text for text, _ in batch], both, on_bad_row="mark")
        labels = labels_of(predictor, found, reading)
        failed += sum(result.error is not None for result in found)
        new: list[Alert] = []
        for (_, own), result in zip(batch, found, strict=True):
            new += seen.see(mentions(result, reading, labels, seen.texts + 1, own))
        out.write(new)
        if new and page is not None:
            _write_page(page, seen, source)
    out.close()
    if page is not None:
        _write_page(page, seen, source)
        note(f"Page: {page}")
    counts = (seen.texts, "text"), (len(seen.names), "name"), (len(seen.alerts), "alert")
    told = ", ".join(_counted(count, what) for count, what in counts)
    wrong = f"; {_counted(failed, 'text')} without an answer (empty, or no `text`)"
    note(f"{told}{wrong if failed else ''}.")


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _lines(input: str) -> Iterator[str]:
    """Return the lines of a file, or of standard input.

    Raises:
        ConfigError: If there is no such file.
    """
    if input == "-":
        return iter(sys.stdin.readline, "")
    path = Path(input)
    if not path.is_file():
        raise ConfigError(Problem("--input", "to name a file, or to be -", f"got '{input}'"))
    return _file_lines(path)


def _file_lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from file
    except UnicodeDecodeError as error:
        found = f"got the byte 0x{error.object[error.start]:02x}"
        raise DataError(Problem(str(path), "to be UTF-8", found, "Convert it.")) from error


class _Alerts:
    """Where alerts go, each as soon as it is raised."""

    def __init__(self, path: Path | None) -> None:
        self.file: TextIO = sys.stdout
        if path is not None:
            try:
                self.file = path.open("a", encoding="utf-8")
            except OSError as error:
                expected = "to be a file that can be written"
                found = f"got '{path}' ({error.strerror})"
                raise ConfigError(Problem("--output", expected, found)) from error

    def write(self, alerts: list[Alert]) -> None:
        """Add alerts as JSON lines."""
        for alert in alerts:
            self.file.write(json.dumps(alert.to_dict(), ensure_ascii=False) + "\n")
        if alerts:
            self.file.flush()

    def close(self) -> None:
        """Close the file, not standard output."""
        if self.file is not sys.stdout:
            self.file.close()


def _write_page(path: Path, seen: Watch, source: str) -> None:
    from mtl.inference.output import atomic
    from mtl.inference.watch.page import page

    with atomic(path, "--page") as file:
        file.write(page(seen, source))
