"""doccano's JSONL: a text a line, its spans under ``label``, ``labels`` or ``entities``.

Two lines, as versions of the tool write them::

    {"id": 1, "text": "Ines left Brackwater.", "label": [[0, 4, "PER"], [10, 20, "LOC"]]}
    {"id": 2, "text": "Ines left.", "relations": [], "entities":
        [{"id": 5, "label": "PER", "start_offset": 0, "end_offset": 4}]}
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

_LISTS = ("entities", "label", "labels", "annotations")


def to_cells(source: Source, line: int, record: Any) -> Cells:
    """Return the cells of a line.

    Raises:
        ValueError: If it is none of doccano's.
    """
    given = an_object(record, "doccano")
    cells: Fields = {"text": text_of(given, "text", "data"), "id": given.get("id")}
    if "spans" in source.columns:
        held = next((given[key] for key in _LISTS if isinstance(given.get(key), list)), None)
        if held is None:
            raise Mismatch(
                f"spans under one of {{{', '.join(_LISTS)}}}, as doccano exports them",
                f"got {', '.join(given)}",
            )
        cells["spans"] = held
        leave_out(source, line, "relation", len(given.get("relations") or ()))
    return cells


def is_doccano(source: Source, record: object) -> bool:
    """Whether a line has spans as doccano writes them, and they are asked for."""
    if not isinstance(record, dict) or not isinstance(record.get("text"), str):
        return False
    key, spans = next(((k, record[k]) for k in _LISTS if record.get(k)), ("", []))
    wanted = any(role.name == "spans" for role in source.roles)
    if not wanted or source.columns.get("spans", key) != key or not isinstance(spans, list):
        return False
    return bool(spans) and all(map(_is_span, spans)) and not _has_own(source, record)


def _has_own(source: Source, record: Values) -> bool:
    """Whether a record has the words and labels that a task reads in place of spans."""
    others = [c for r, c in source.columns.items() if r in ("tokens", "labels")]
    return bool(others) and all(isinstance(record.get(str(c)), list) for c in others)


def _is_span(item: object) -> bool:
    if isinstance(item, dict):
        return "start_offset" in item and "end_offset" in item
    return isinstance(item, list) and len(item) == 3 and [type(i) for i in item] == [int, int, str]


def write(path: Path, documents: Iterable[Annotated]) -> None:
    """Write documents as doccano imports them."""
    write_lines(
        path,
        (
            {
                **({} if d.id is None else {"id": d.id}),
                "text": d.text,
                "label": [[s["start"], s["end"], s["label"]] for s in d.spans],
            }
            for d in documents
        ),
    )


FORMATS.register("doccano")(
    Format(
        reader(to_cells),
        fit=fit_annotated,
        within=("jsonl", "json"),
        claims=claims(is_doccano),
        write=write,
    )
)
