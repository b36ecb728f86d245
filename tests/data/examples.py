"""Encoded examples without text: random ids, one or more windows, branches, places to read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mtl.data.store import ExampleStore, build_store
from mtl.types import Branch, Encoded, IntArray

Random = np.random.Generator


def example(
    rng: Random,
    windows: Sequence[int],
    branches: Sequence[tuple[int, int]] = (),
    *,
    pooled: bool = False,
    mass: float | None = None,
    top: int = 10**6,
) -> Encoded:
    """Return an example with windows and (window, length) branches of random ids below `top`.

    Every token of every part is read; pooled, all of them into one output. Its targets are the
    ids themselves, so that a misplaced read shows.
    """
    documents = [ids(rng, n, top) for n in windows]
    tails = [Branch(w, ids(rng, n, top)) for w, n in branches]
    parts = [*documents, *[b.ids for b in tails]]
    part = np.repeat(np.arange(len(parts)), [len(p) for p in parts]).astype(np.int32)
    offset = np.concatenate([np.arange(len(p)) for p in parts]).astype(np.int32)
    read = np.concatenate(parts)
    count = 1 if pooled else len(read)
    return Encoded(
        documents=documents,
        part=part,
        offset=offset,
        targets={"ids": read[:1] if pooled else read},
        mass=float(count) if mass is None else mass,
        branches=tails,
        group=np.zeros(len(read), dtype=np.int32) if pooled else None,
    )


def ids(rng: Random, count: int, top: int = 10**6) -> IntArray:
    """Return random ids, few of them equal."""
    return rng.integers(5, top, count).astype(np.int32)


def store(name: str, examples: Sequence[Encoded], *, bidirectional: bool = False) -> ExampleStore:
    """Return a store of `examples`; its rows are their numbers."""
    rows = [{"number": i} for i in range(len(examples))]
    return build_store(name, rows, examples, bidirectional=bidirectional)
