"""What the columns of a file are called, as its beginning tells."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from mtl.config.section import Values
from mtl.data.readers import delimited, xlsx
from mtl.data.readers.base import Source
from mtl.data.readers.dotted import keys_in
from mtl.data.readers.nested import MARK
from mtl.data.readers.squad import CELLS
from mtl.data.readers.text import lines, whole
from mtl.data.readers.typed import column_names


def header(source: Source, format: str) -> list[str]:
    """Return the names of a file's columns as its beginning tells; none if it cannot be read so.

    Args:
        source: The file.
        format: A name in :data:`mtl.data.readers.base.FORMATS`.
    """
    peek = _PEEKS.get(format)
    return peek(source) if peek else []


def _first(source: Source) -> str:
    return next((line for _, line in lines(source) if line.strip()), "")


def _keys(text: str) -> list[str]:
    try:
        value: Any = json.loads(text)
    except json.JSONDecodeError:
        return []
    while isinstance(value, dict) and isinstance(value.get("data"), list):
        value = value["data"]
    if isinstance(value, list):
        value = value[0] if value else None
    return [*keys_in(value), *_nested(value)] if isinstance(value, dict) else []


def _nested(value: Values) -> list[str]:
    """Return the columns inside an object's lists, such as ``questions[].answer``."""
    firsts = {k: v[0] for k, v in value.items() if isinstance(v, list) and v}
    return [f"{k}{MARK}{key}" for k, v in firsts.items() if isinstance(v, dict) for key in v]


_PEEKS: dict[str, Callable[[Source], list[str]]] = {
    "csv": partial(delimited.column_names, "csv"),
    "tsv": partial(delimited.column_names, "tsv"),
    "jsonl": lambda source: _keys(_first(source)),
    "json": lambda source: _keys(_first(source)) or _keys(whole(source)),
    "parquet": partial(column_names, "parquet"),
    "arrow": partial(column_names, "arrow"),
    "squad": lambda source: list(CELLS),
    "xlsx": xlsx.column_names,
}
