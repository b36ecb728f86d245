"""Columns inside columns: ``translation.en`` is ``en`` of the object in column ``translation``.

A column whose own name holds a dot is found under its whole name first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

Object = Mapping[str, Any]


def has(cells: Object, name: str) -> bool:
    """Whether a row has a column."""
    if name in cells:
        return True
    head, _, rest = name.partition(".")
    inner = cells.get(head)
    return bool(rest) and isinstance(inner, Mapping) and has(inner, rest)


def cell(cells: Object, name: str) -> object:
    """Return what stands in a column of a row, None where the row does not have it."""
    if name in cells:
        return cells[name]
    head, _, rest = name.partition(".")
    inner = cells.get(head)
    return cell(inner, rest) if rest and isinstance(inner, Mapping) else None


def names_in(fields: Iterable[pa.Field], before: str = "") -> Iterator[str]:
    """Yield the names of Arrow fields, each followed by those inside it."""
    import pyarrow as pa

    for field in fields:
        name = before + field.name
        yield name
        if pa.types.is_struct(field.type):
            yield from names_in(field.type, f"{name}.")


def outer(name: str, columns: Iterable[str]) -> str:
    """Return the column that holds a name: one of `columns`."""
    return name if name in columns else name.partition(".")[0]


def keys_in(cells: Object, before: str = "") -> Iterator[str]:
    """Yield the keys of an object, each followed by those of the object inside it."""
    for key, value in cells.items():
        yield before + key
        if isinstance(value, Mapping):
            yield from keys_in(value, f"{before}{key}.")
