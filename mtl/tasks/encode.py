"""Encode the rows of a split for one task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from mtl.data.store import Chosen, ExampleStore, build_store
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
    """Return a split's encoded examples; the store's rows are the examples' own, in their order.

    Args:
        task: With its labels learned or loaded.
        rows: The split's rows.
        encoder: The trunk's.
        attention: ``causal`` or ``bidirectional``: how this task's documents are read.
        advance: Called with 1 after each row, for a progress bar.

    Raises:
        DataError: If a row does not fit the task.
    """
    owners: list[int] = []

    def examples() -> Iterator[Encoded]:
        for number, found in enumerate(_encode(task, rows, encoder, attention)):
            owners.extend([number] * len(found))
            yield from found
            if advance is not None:
                advance(1)

    store = build_store(
        task.name,
        rows,
        examples(),
        bidirectional=attention == "bidirectional",
        repeats=task.repeats,
    )
    if owners != list(range(len(rows))):
        store.rows = Chosen(rows, owners)
    return store


def _encode(
    task: Task, rows: Sequence[Row], encoder: TextEncoder, attention: str
) -> Iterator[list[Encoded]]:
    for start in range(0, len(rows), CHUNK):
        chunk = [rows[i] for i in range(start, min(start + CHUNK, len(rows)))]
        tokens = encoder.tokenize([task.document(row) for row in chunk])
        for row, found in zip(chunk, tokens, strict=True):
            yield task.examples(row, found, encoder, attention)
