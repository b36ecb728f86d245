"""Encode the rows of a split for one task."""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import mtl
from mtl.data.cache import ExampleCache, cache_key
from mtl.data.rows import Rows
from mtl.data.store import Chosen, ExampleStore, build_store, document_key, is_range
from mtl.tasks.base import Task, document
from mtl.trunk.text import TextEncoder
from mtl.types import Encoded, Row

CHUNK = 1000
_CODE = (
    "data/columns.py",
    "data/examples.py",
    "data/scripts.py",
    "data/spans.py",
    "data/store.py",
    "data/word_rule.py",
    "data/words.py",
    "labels.py",
    "tasks",
    "trunk",
    "types.py",
)
"""What of this package examples follow from."""

Advance = Callable[[int], None]


def encode_split(
    task: Task,
    rows: Sequence[Row],
    encoder: TextEncoder,
    attention: str,
    advance: Advance | None = None,
    cache: ExampleCache | None = None,
) -> ExampleStore:
    """Return a split's encoded examples; the store's rows are the examples' own, in their order.

    Args:
        task: With its labels learned or loaded.
        rows: The split's rows.
        encoder: The trunk's.
        attention: ``causal`` or ``bidirectional``: how this task's documents are read.
        advance: Called with how many more rows are done, for a progress bar.
        cache: Keeps the examples of large splits on disk; all are in memory when None.

    Raises:
        DataError: If a row does not fit the task.
    """
    if cache is not None and len(rows) >= cache.least and isinstance(rows, Rows):
        return _from_cache(task, rows, encoder, attention, advance, cache)
    owners, examples = [], []
    for number, example in _examples(task, rows, encoder, attention, advance):
        owners.append(number)
        examples.append(example)
    store = build_store(
        task.name,
        rows,
        examples,
        bidirectional=attention == "bidirectional",
        repeats=task.traits.repeats,
    )
    if not is_range(owners, len(rows)):
        store.rows = Chosen(rows, owners)
    return store


def _from_cache(
    task: Task,
    rows: Rows,
    encoder: TextEncoder,
    attention: str,
    advance: Advance | None,
    cache: ExampleCache,
) -> ExampleStore:
    bidirectional = attention == "bidirectional"
    name = fingerprint(task, rows, encoder, attention)
    entry = cache.find(name)
    if entry is not None:
        task.counts.update(entry[1])
        if advance is not None:
            advance(len(rows))
    else:
        before = Counter(task.counts)
        found = (
            (example, number, document_key(example, bidirectional=bidirectional))
            for number, example in _examples(task, rows, encoder, attention, advance)
        )
        entry = cache.keep(name, found, lambda: dict(task.counts - before))
    return build_store(
        task.name, rows, entry[0], bidirectional=bidirectional, repeats=task.traits.repeats
    )


def _examples(
    task: Task,
    rows: Sequence[Row],
    encoder: TextEncoder,
    attention: str,
    advance: Advance | None,
) -> Iterator[tuple[int, Encoded]]:
    """Yield each example with its row's number."""
    number = 0
    for chunk in _chunks(rows):
        tokens = encoder.tokenize([document(row) for row in chunk])
        for row, found in zip(chunk, tokens, strict=True):
            example = task.encode(row, found, encoder, attention)
            for part in windows_apart(example) if task.traits.by_window else (example,):
                yield number, part
            number += 1
            if advance is not None:
                advance(1)


def windows_apart(example: Encoded) -> list[Encoded]:
    """Return the examples of an example's windows, where each output is read in one of them.

    An array of `extra` has a value for each output, or, with two axes, a row for each window.
    """
    count = len(example.documents)
    if count == 1:
        return [example]
    cuts = np.searchsorted(example.part, np.arange(1, count))

    def split(values: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        return np.split(values, np.arange(1, count) if values.ndim == 2 else cuts)

    offsets = split(example.offset)
    targets = {name: split(values) for name, values in example.targets.items()}
    extra = {name: split(values) for name, values in example.extra.items()}
    return [
        Encoded(
            [window],
            np.zeros(len(offsets[number]), dtype=np.int32),
            offsets[number],
            {name: parts[number] for name, parts in targets.items()},
            float(len(offsets[number])),
            extra={name: parts[number] for name, parts in extra.items()},
        )
        for number, window in enumerate(example.documents)
    ]


def _chunks(rows: Sequence[Row]) -> Iterable[list[Row]]:
    if isinstance(rows, Rows):
        return rows.chunks(CHUNK)
    starts = range(0, len(rows), CHUNK)
    return ([rows[i] for i in range(s, min(s + CHUNK, len(rows)))] for s in starts)


def fingerprint(task: Task, rows: Rows, encoder: TextEncoder, attention: str) -> str:
    """Return a hash of all that a split's examples follow from.

    That is what the rows hold, the tokenizer and its settings, the task's options and what it
    learned, how documents are read, and the code; not the task's name, nor where its files are.
    """
    found = {
        "rows": rows.digest(),
        "encoder": encoder.settings(),
        "task": task.type,
        "options": task.options.model_dump(),
        "head": task.head_options.model_dump(),
        "learned": task.learned.model_dump(),
        "attention": attention,
        "code": _code(type(task)),
    }
    return cache_key(found)


@functools.cache
def _code(kind: type[Any]) -> str:
    """Return a hash of the source that encodes: this package's, and a task type's own."""
    package = Path(mtl.__file__).parent
    files = {path for name in _CODE for path in _sources(package / name)}
    for base in kind.__mro__:
        source = inspect.getsourcefile(base) if base.__module__ != "builtins" else None
        files.update([Path(source)] if source else [])
    digest = hashlib.blake2b(mtl.__version__.encode(), digest_size=16)
    for content in sorted(path.read_bytes() for path in files):
        digest.update(content)
    return digest.hexdigest()


def _sources(path: Path) -> Iterable[Path]:
    return path.rglob("*.py") if path.is_dir() else [path]
