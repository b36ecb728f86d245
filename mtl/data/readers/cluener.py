"""CLUENER2020's JSONL: a text a line, its spans by label and by what they hold (Xu et al. 2020).

The last character of a span is its own, not one past it::

    {"text": "王小雨在南湖。", "label": {"name": {"王小雨": [[0, 2]]}, "scene": {"南湖": [[4, 5]]}}}
"""

from __future__ import annotations

from typing import Any

from mtl.config.section import Values
from mtl.data.readers.annotated import (
    Fields,
    an_object,
    claims,
    fit_annotated,
    reader,
    text_of,
)
from mtl.data.readers.base import FORMATS, Cells, Format, Source


def to_cells(source: Source, line: int, record: Any) -> Cells:
    """Return the cells of a line.

    Raises:
        ValueError: If it has no text, or a span holds another text than it says.
    """
    given = an_object(record, "CLUENER")
    text = text_of(given, "text")
    cells: Fields = {"text": text, "id": given.get("id")}
    if "spans" in source.columns:
        cells["spans"] = [
            {"start": start, "end": last + 1, "label": label, "text": held}
            for label, texts in given["label"].items()
            for held, places in texts.items()
            for start, last in places
        ]
    return cells


def is_cluener(source: Source, record: object) -> bool:
    """Whether a line has spans as CLUENER has them, and they are asked for."""
    if not isinstance(record, dict) or not any(role.name == "spans" for role in source.roles):
        return False
    label = record.get("label")
    if not isinstance(label, dict) or not isinstance(record.get("text"), str):
        return False
    return bool(label) and all(
        isinstance(texts, dict) and _placed(texts) for texts in label.values()
    )


def _placed(texts: Values) -> bool:
    return bool(texts) and all(
        isinstance(places, list)
        and all(
            isinstance(place, list) and [type(n) for n in place] == [int, int] for place in places
        )
        for places in texts.values()
    )


FORMATS.register("cluener")(
    Format(
        reader(to_cells),
        fit=fit_annotated,
        within=("jsonl", "json"),
        claims=claims(is_cluener),
    )
)
