"""Which columns of a file a model's tasks read: the run's own, else those named like the role."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, cast

from mtl.config.section import Values
from mtl.data.readers import delimited, xlsx
from mtl.data.readers.base import Column, Source
from mtl.data.readers.dotted import keys_in
from mtl.data.readers.nested import MARK
from mtl.data.readers.several import Wish
from mtl.data.readers.squad import CELLS
from mtl.data.readers.text import lines, whole
from mtl.data.readers.typed import column_names
from mtl.data.rows import Role
from mtl.errors import ConfigError

Columns = dict[str, Wish]


def merged_roles(roles: Iterable[Role]) -> dict[str, Role]:
    """Return roles by name; of several tasks' equal ones the first."""
    merged: dict[str, Role] = {}
    for role in roles:
        merged.setdefault(role.name, role)
    return merged


def fit(
    names: Sequence[str], roles: Iterable[str], columns: Mapping[str, Mapping[str, Wish]]
) -> Columns:
    """Return the column of each role.

    Args:
        names: The columns that the file has; empty where its columns have no names.
        roles: The roles' names.
        columns: By task: role to column, as in training.

    Returns:
        By role: the run's own column if the file has it, else the one that is named like the role
        if it has that; else the run's own, so that reading says what is missing.

    Raises:
        ConfigError: If the tasks read different columns and the file has both.
    """
    chosen: Columns = {}
    for role in roles:
        own = {task: hashed(mapped[role]) for task, mapped in columns.items() if role in mapped}
        here = {task: column for task, column in own.items() if has(names, column)}
        if len(set(here.values())) > 1:
            said = " and ".join(f"'{column}' ({task})" for task, column in here.items())
            raise ConfigError(
                f"Expected the tasks to read one column for `{role}`, but they read {said}; "
                "choose one task with `--task`."
            )
        alike = [role] if role in names else []
        candidates = [*here.values(), *alike, *own.values()]
        if candidates:
            chosen[role] = candidates[0]
    return chosen


def hashed(column: Wish) -> Column | tuple[Column, ...]:
    """Return a column, or several as a tuple, which can be compared and counted."""
    return tuple(column) if isinstance(column, list | tuple) else cast(Column, column)


def has(names: Sequence[str], column: Wish) -> bool:
    """Whether a file has a column, or all of several."""
    return all(one in names for one in column) if isinstance(column, tuple) else column in names


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
