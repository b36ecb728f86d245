"""Rows as they are given: what is wrong with one, what a task may see, which go together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mtl.data.rows import where
from mtl.data.words import join_words
from mtl.errors import DataError
from mtl.inference.questions import ERROR
from mtl.tasks import Task
from mtl.types import Row

CHUNK = 2000
"""Rows that are encoded, sorted by length and answered together."""
CHARACTERS = 2_000_000
"""Of texts, after which a chunk has no further row."""


def chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield rows that are answered together."""
    chunk: list[Row] = []
    characters = 0
    for row in rows:
        chunk.append(row)
        characters += len(row.get("text") or "")
        if len(chunk) >= CHUNK or characters >= CHARACTERS:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


def without_targets(task: Task, row: Row) -> Row:
    """Return a row without what a task predicts."""
    targets = {role.name for role in task.roles(task.options) if role.target}
    return {name: value for name, value in row.items() if name not in targets}


def prepare(row: Row, number: int, *, mark: bool = False) -> Row:
    """Return a row with its place and a text.

    Args:
        row: As the user gives it.
        number: Its number, counted from 1, for messages where the row has no place of its own.
        mark: Whether a row without a text is marked with the reason.

    Raises:
        DataError: If it has neither text nor words, or they are empty, and it is not marked.
    """
    whole = {"_file": "row", "_line": number, **row}
    if "text" not in row and row.get("tokens"):
        whole["text"] = join_words(row["tokens"])
    wrong = None if ERROR in whole else _no_text(whole.get("text"))
    if wrong is not None:
        if not mark:
            raise DataError(f"{where(whole)}: {wrong}.")
        whole[ERROR] = wrong
    return whole


def _no_text(text: object) -> str | None:
    """Return what is wrong with a text, in a sentence without its full stop; None if nothing is."""
    if not isinstance(text, str) or not text.strip():
        found = "an empty one" if isinstance(text, str) else f"{text!r}"
        return f"Expected a text, but got {found}"
    try:
        _ = text.isascii() or text.encode("utf-8")
    except UnicodeEncodeError:
        return "Expected Unicode text, but half a character"
    return None
