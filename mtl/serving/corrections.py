"""Corrections that people make on the page, kept as JSON lines that ``train.py`` reads.

A file a task, whose columns are named like the task's roles::

    {"text": "Ines Talbot left.", "spans": [{"start": 0, "end": 11, "label": "PER"}]}
    {"text": "The soup was cold.", "label": "negative"}
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mtl.data.value_types import VALUE_TYPES
from mtl.errors import MtlError, Problem, one_of, printable
from mtl.serving.errors import Refused
from mtl.tasks import Task
from mtl.tasks.base import asks, row_check

Kept = dict[str, Any]


class Corrections:
    """The folder of a server's corrections.

    Args:
        folder: Made when the first one comes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()

    def keep(self, model: str, task: Task, labels: list[str], row: Mapping[str, Any]) -> Path:
        """Add a row to the file of a task.

        Args:
            model: Whose task it is.
            task: The task.
            labels: Those that it knows; empty where it knows none.
            row: By role, targets included.

        Returns:
            The file.

        Raises:
            Refused: If it is no row of the task.
        """
        checked(task, labels, row)
        path = self.folder / model / f"{task.name}.jsonl"
        try:
            line = json.dumps(dict(row), ensure_ascii=False, allow_nan=False).encode() + b"\n"
        except ValueError as error:
            found = "it has half a character, or a number that JSON has not"
            raise Refused(422, str(Problem("row", "to be JSON in Unicode", found))) from error
        try:
            with self._lock:
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("ab") as file:
                    file.write(line)
                    file.flush()
                    os.fsync(file.fileno())
        except OSError as error:
            raise Refused(503, f"'{path}' cannot be written: {error.strerror}.") from error
        return path


def checked(task: Task, labels: list[str], row: Mapping[str, Any]) -> None:
    """Look at a row as training would.

    Raises:
        Refused: If a role is missing or none of the task's, or a value is not one of its kind.
    """
    roles = {role.name: role for role in task.roles(task.options)}
    for name in row:
        if name not in roles:
            raise Refused(422, printable(one_of("row", name, roles)))
    missing = [name for name in ("text", *asks(task)) if not row.get(name)]
    targets = [name for name, role in roles.items() if role.target]
    if not any(name in row for name in targets):
        missing.append(" or ".join(targets))
    if missing:
        raise Refused(422, str(Problem("row", f"to have `{missing[0]}`", "it has not")))
    try:
        values = {n: VALUE_TYPES.get(roles[n].type).convert(v) for n, v in row.items()}
        for label in _labels(task, values):
            if labels and label not in labels:
                raise Refused(422, printable(one_of("label", label, labels)))
        for span in values.get("spans", ()):
            if not 0 <= span["start"] < span["end"] <= len(values["text"]):
                raise ValueError(f"{span['start']} to {span['end']} is no part of its text")
        check, _ = row_check(task)
        check({"_file": "row", "_line": 0, **values})
    except (ValueError, TypeError, MtlError) as error:
        reason = printable(error).rstrip(".")
        raise Refused(422, f"The row is none of task '{task.name}': {reason}.") from error


def _labels(task: Task, values: Mapping[str, Any]) -> Iterable[str]:
    """Return the labels that a row gives."""
    if "spans" in values:
        return [str(span["label"]) for span in values["spans"]]
    given = values.get("label")
    if given is None or not getattr(task.learned, "labels", None):
        return []
    return map(str, given) if isinstance(given, list | tuple) else [str(given)]
