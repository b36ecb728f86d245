"""Columns inside a list: an object becomes one row for each element.

With the columns ``text`` and ``questions[].question``, this object is two rows::

    {"text": "Ines left.", "questions": [{"question": "Who left?"}, {"question": "When?"}]}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mtl.config.section import Values
from mtl.data.readers.base import PLACE, Cells, Column, Columns, Source, only_names
from mtl.data.readers.dotted import cell, has
from mtl.data.value_types import show
from mtl.errors import Mismatch

MARK = "[]."


def split_column(column: object) -> tuple[str, str] | None:
    """Return list and key of a nested column such as ``questions[].question``; else None."""
    outer, mark, inner = str(column).partition(MARK)
    return (outer, inner) if mark and outer and inner else None


def fit_nested(source: Source) -> Columns:
    """Return the columns of a source whose format has named ones, some of them maybe nested.

    Raises:
        ConfigError: If one is a number, or nested ones name several lists.
    """
    columns = only_names(source)
    first: tuple[str, Any] | None = None
    for role, column in columns.items():
        parts = split_column(column)
        if parts is None:
            continue
        if first is not None and first[0] != parts[0]:
            raise source.refuse_column(
                role,
                f"to be a column of the list '{first[0]}', like '{first[1]}'",
                f"got '{column}'",
                "A row is one element of one list.",
            )
        first = first or (parts[0], column)
    return columns


def expand(source: Source, line: int, value: Values) -> Iterator[Cells]:
    """Yield the cells of each row of an object: itself, or one for each element of its list.

    Elements that are no objects, or lack a needed key, are filed as bad rows with their place.
    """
    nested = {c: parts for c in source.wanted if (parts := split_column(c)) is not None}
    plain: dict[Column, Any] = {
        c: cell(value, str(c)) for c in source.wanted if c not in nested and has(value, str(c))
    }
    name = next((outer for outer, _ in nested.values()), None)
    needed = [column for column in source.needed if column in nested]
    if name is None or (name not in value and not needed):
        yield plain
        return
    items = value.get(name)
    if not isinstance(items, list):
        found = show(items) if name in value else "no such column"
        source.reject(line, Mismatch(f"a list in column '{name}'", f"got {found}"), value)
        return
    for number, item in enumerate(items):
        at = f"{name}[{number}]"
        if wrong := _unfit(item, at, [nested[column][1] for column in needed]):
            source.reject(line, wrong, item)
            continue
        inner = {c: item[key] for c, (_, key) in nested.items() if key in item}
        yield {**plain, **inner, PLACE: at}


def _unfit(item: object, at: str, keys: list[str]) -> Mismatch | None:
    """Return why an element is no row, or None."""
    if not isinstance(item, dict):
        return Mismatch(f"{at} to be an object", f"got {show(item)}")
    missing = next((key for key in keys if key not in item), None)
    if missing is None:
        return None
    return Mismatch(f"{at}.{missing}", f"{at} has {', '.join(item) or 'nothing'}")
