"""Prodigy's JSONL: a text a line with its tokens, spans, and the annotator's answer.

A line::

    {"text": "Ines left.", "tokens": [{"text": "Ines", "start": 0, "end": 4, "id": 0}, …],
     "spans": [{"start": 0, "end": 4, "token_start": 0, "token_end": 0, "label": "PER"}],
     "answer": "accept"}
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mtl.config.section import Values
from mtl.data.readers.annotated import (
    Annotated,
    Fields,
    an_object,
    claims,
    fit_annotated,
    leave_out,
    reader,
    text_of,
    write_lines,
)
from mtl.data.readers.base import FORMATS, Cells, Format, Source
from mtl.errors import Mismatch

_OURS = ("answer", "_task_hash", "_input_hash", "_view_id")
"""Keys that no other tool writes."""


def to_cells(source: Source, line: int, record: Any) -> Cells | None:
    """Return the cells of a line; None where the answer is to reject or ignore it.

    Raises:
        ValueError: If it is none of Prodigy's.
    """
    given = an_object(record, "Prodigy")
    answer = given.get("answer", "accept")
    wanted = "spans" in source.columns
    if wanted and answer in ("reject", "ignore"):
        leave_out(source, line, f"`{answer}` answer")
        return None
    if wanted and answer != "accept":
        raise Mismatch("`answer` to be accept, reject or ignore", f"got {answer!r}")
    cells: Fields = {"text": text_of(given, "text")}
    cells["id"] = (given.get("meta") or {}).get("id", given.get("id"))
    if wanted:
        cells["spans"] = given.get("spans") or []
        leave_out(source, line, "relation", len(given.get("relations") or ()))
    tokens = [t["text"] for t in given.get("tokens") or () if t["text"].strip()]
    return {**cells, "tokens": tokens} if tokens else cells


def is_prodigy(source: Source, record: object) -> bool:
    """Whether a line has spans as Prodigy writes them, and they are asked for."""
    wanted = any(role.name == "spans" for role in source.roles)
    if not wanted or not isinstance(record, dict) or not isinstance(record.get("text"), str):
        return False
    own = source.columns.get("spans", "spans") == "spans"
    spans, tokens = record.get("spans"), record.get("tokens")
    lists = isinstance(spans, list) or (isinstance(tokens, list) and "answer" in record)
    return own and lists and (any(k in record for k in _OURS) or _are_spans(spans))


def _are_spans(spans: object) -> bool:
    return (
        isinstance(spans, list)
        and bool(spans)
        and all(isinstance(s, dict) and {"start", "end", "label"} <= s.keys() for s in spans)
    )


def write(path: Path, documents: Iterable[Annotated]) -> None:
    """Write documents as Prodigy reads them, to be corrected."""
    write_lines(path, map(_line, documents))


def _line(document: Annotated) -> Values:
    spans = [{k: s[k] for k in ("start", "end", "label")} for s in document.spans]
    line: Values = {"text": document.text, "spans": spans}
    return line if document.id is None else {**line, "meta": {"id": document.id}}


FORMATS.register("prodigy")(
    Format(
        reader(to_cells),
        (),
        fit_annotated,
        within=("jsonl", "json"),
        claims=claims(is_prodigy),
        write=write,
    )
)
