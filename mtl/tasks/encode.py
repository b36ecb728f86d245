"""Encode the rows of a split for one task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from mtl.data.store import ExampleStore, build_store
from mtl.tasks.base import Task
from mtl.trunk.text import TextEncoder
from mtl.types import Encoded, Row

CHUNK = 1000


def encode_split(
    task: Task,
    rows: Sequence[Row],
    encoder: TextEncoder,
    attention: str,
    advance: Callable[[int], None] | None = None,
) -> ExampleStore:
    """Return a split's encoded examples.

    Args:
        task: With its labels learned or loaded.
        rows: The split's rows.
        encoder: The trunk's.
        attention: ``causal`` or ``bidirectional``: how this task's documents are read.
        advance: Called with 1 after each row, for a progress bar.

    Raises:
        DataError: If a row does not fit the task.
    """
    return build_store(
        task.name,
        rows,
        _encode(task, rows, encoder, attention),
        bidirectional=attention == "bidirectional",
        advance=advance,
    )


def _encode(
    task: Task, rows: Sequence[Row], encoder: TextEncoder, attention: str
) -> Iterator[Encoded]:
    for start in range(0, len(rows), CHUNK):
        chunk = [rows[i] for i in range(start, min(start + CHUNK, len(rows)))]
        tokens = encoder.tokenize([task.document(row) for row in chunk])
        for row, found in zip(chunk, tokens, strict=True):
            yield task.encode(row, found, encoder, attention)
