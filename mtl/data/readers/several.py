"""A role that is read from several columns: references of a summary, a title and a body.

``columns.target: [summary1, summary2]`` is read as two roles, ``target[0]`` and ``target[1]``, of
which a row has one again: a list of texts, one text of all, or an object of labels.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mtl.config.section import Values
from mtl.data.readers.base import Cells, Column, Columns, Source
from mtl.data.rows import Role
from mtl.errors import ConfigError, Problem

Wish = Column | Sequence[Column]
"""What a role is read from: a column, or several."""
_PART = re.compile(r"(?P<role>.+)\[\d+\]")


def _texts(cells: Mapping[Column, Any]) -> list[Any] | None:
    found: list[Any] = []
    for cell in cells.values():
        found += cell if isinstance(cell, list) else [cell]
    filled = [cell for cell in found if cell is not None]
    return [cell for cell in filled if not isinstance(cell, str) or cell.strip()] or None


def _switches(cells: Mapping[Column, Any]) -> Values | None:
    return {str(column): cell for column, cell in cells.items() if cell is not None} or None


_JOIN: dict[str, Callable[[Mapping[Column, Any]], Any]] = {
    "text": _texts,
    "texts": _texts,
    "labels": _switches,
    "choices": lambda cells: list(cells.values()),  # A label may be the number of one's place.
}
"""By type of role: what its columns' cells become."""


def spread(
    columns: Mapping[str, Wish], roles: Sequence[Role], where: str
) -> tuple[Columns, list[Role]]:
    """Return columns and roles in which each role has one column.

    Args:
        columns: Role to column or columns.
        roles: What a task wants.
        where: The config key of `columns`, for messages.

    Raises:
        ConfigError: If a role of another type than text, labels and choices has several columns.
    """
    single: Columns = {}
    spread_roles = list(roles)
    for name, wish in columns.items():
        if not isinstance(wish, list | tuple):
            single[name] = wish  # type: ignore[assignment]
            continue
        role = next((role for role in roles if role.name == name), None)
        if role is not None and role.further and 0 < len(wish) <= 1 + len(role.further):
            single.update(zip((name, *role.further), wish, strict=False))
            continue
        if role is None or role.type not in _JOIN or not wish:
            raise ConfigError(
                Problem(f"{where}.{name}", "to be one column's name or number", f"got {list(wish)}")
            )
        parts = [f"{name}[{number}]" for number in range(len(wish))]
        at = spread_roles.index(role)
        spread_roles[at : at + 1] = [replace(role, name=part) for part in parts]
        single.update(zip(parts, wish, strict=True))
    return single, spread_roles


def joined(source: Source) -> tuple[Source, Callable[[Cells], Cells]]:
    """Return a source whose parts of roles are roles again, and what joins the cells of a row."""
    parts: dict[str, list[Column]] = {}
    for name, column in source.columns.items():
        if match := _PART.fullmatch(name):
            parts.setdefault(match["role"], []).append(column)
    if not parts:
        return source, lambda cells: cells
    roles: dict[str, Role] = {}
    for role in source.roles:
        match = _PART.fullmatch(role.name)
        name = match["role"] if match else role.name
        roles.setdefault(name, replace(role, name=name))
    columns: Columns = {n: c for n, c in source.columns.items() if not _PART.fullmatch(n)}
    names = {name: ", ".join(map(str, wish)) for name, wish in parts.items()}

    def join(cells: Cells) -> Cells:
        found = dict(cells)
        for name, wish in parts.items():
            given = {column: cells.get(column) for column in wish}
            found[names[name]] = _JOIN[roles[name].type](given)
        return found

    return replace(source, columns={**columns, **names}, roles=tuple(roles.values())), join
