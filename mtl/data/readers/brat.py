"""brat's stand-off files: a text in ``a.txt``, and what is marked in it in ``a.ann`` beside it.

Lines of an ``.ann`` file; the numbers are characters of the text::

    T1	PER 0 11	Ines Talbot
    T2	LOC 17 22;30 35	Brack water
    R1	lives Arg1:T1 Arg2:T2
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from mtl.config.section import Values
from mtl.data.readers.annotated import Annotated, Fields, fit_annotated, leave_out
from mtl.data.readers.base import FORMATS, Cells, Format, Source
from mtl.data.readers.text import lines
from mtl.errors import DataError, Mismatch, Place, Problem

TEXT, MARKS = ".txt", ".ann"
_OTHERS = {
    "R": "relation",
    "*": "relation",
    "E": "event",
    "A": "attribute",
    "M": "attribute",
    "N": "reference",
    "#": "note",
}


def read(source: Source) -> Iterator[tuple[int, Cells]]:
    """Yield one row: the text of a document with its spans.

    Raises:
        DataError: If the text is missing.
    """
    path, marks = source.path.with_suffix(TEXT), source.path
    marks = marks.with_suffix(MARKS) if marks == path else marks
    if not path.is_file():
        raise DataError(
            Problem(
                Place(source.name),
                f"the text beside it, in '{path}'",
                "there is no such file",
                "Copy it from brat's data folder.",
            )
        )
    # Offsets count the line ends as they stand in the file.
    text = "".join(line for _, line in lines(replace(source, path=path, title=""), newline=""))
    if not text.strip():
        source.reject(0, Mismatch("a text", "the file is blank"), text)
        return
    cells: Fields = {"text": text, "id": path.stem}
    if "spans" in source.columns:
        if not marks.is_file():
            leave_out(source, 0, "unannotated text")
            return
        try:
            cells["spans"] = _spans(replace(source, path=marks, title=""))
        except _Malformed as problem:
            source.reject(problem.line, problem, problem.raw)
            return
    yield 0, cells


class _Malformed(Mismatch):
    def __init__(self, line: int, raw: str) -> None:
        expected = "a line such as 'T1<tab>PER 0 4<tab>Ines', as brat writes it"
        super().__init__(expected, f"got {raw.strip()!r}")
        self.line, self.raw = line, raw


def _spans(source: Source) -> list[Values]:
    """Return the spans of an ``.ann`` file."""
    found = []
    for number, line in lines(source):
        if not line.strip():
            continue
        if line[0] in _OTHERS:
            leave_out(source, number, _OTHERS[line[0]])
            continue
        parts = line.rstrip("\r\n").split("\t")
        head = parts[1].split(" ", 1) if len(parts) > 1 else []
        if line[0] != "T" or len(head) != 2:
            raise _Malformed(number, line)
        if ";" in head[1]:
            leave_out(source, number, "discontinuous span")
            continue
        places = head[1].split()
        if len(places) != 2 or not all(place.isdecimal() for place in places):
            raise _Malformed(number, line)
        held = {"text": parts[2]} if len(parts) > 2 else {}
        found.append({"start": places[0], "end": places[1], "label": head[0], **held})
    return found


def is_brat(source: Source) -> bool:
    """Whether a text has an ``.ann`` file beside it."""
    return source.path.suffix == TEXT and source.path.with_suffix(MARKS).is_file()


def write(path: Path, documents: Iterable[Annotated]) -> None:
    """Write a folder with two files a document, called by its id, else by its number."""
    from mtl.files import whole_folder

    with whole_folder(path) as folder:
        for number, document in enumerate(documents, start=1):
            name = str(document.id)
            safe = document.id is not None and name.isprintable() and not set(name) & set("/\\:.")
            stem = name if safe and not (folder / name).with_suffix(TEXT).exists() else f"{number}"
            out = folder / f"{stem}{TEXT}"
            out.write_text(document.text, encoding="utf-8", newline="")
            marks = [_mark(n, s, document.text) for n, s in enumerate(document.spans, start=1)]
            out.with_suffix(MARKS).write_text("".join(marks), encoding="utf-8", newline="")


def _mark(number: int, span: Values, text: str) -> str:
    start, end = span["start"], span["end"]
    held = " ".join(text[start:end].splitlines())
    return f"T{number}\t{'_'.join(span['label'].split())} {start} {end}\t{held}\n"


FORMATS.register("brat")(
    Format(
        read,
        (MARKS,),
        fit=fit_annotated,
        within=("tsv",),
        claims=is_brat,
        write=write,
        folders=True,
    )
)
