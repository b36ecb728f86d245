"""Which columns of a file a model's tasks read: the run's own, else those named like the role."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from mtl.data.readers.base import Column
from mtl.data.readers.several import Wish
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
