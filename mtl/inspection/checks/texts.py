"""Texts that are there more than once: in a split, in two splits, in two tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from mtl.inspection.corpus import Corpus
from mtl.inspection.findings import CHECKS, Finding, Level, percent


@CHECKS.register("repeated")
def repeated(corpus: Corpus) -> Iterator[Finding]:
    """Rows that are in a split more than once."""
    for part in corpus.parts:
        if part.labels is None:
            continue
        counts = Counter(zip(part.keys.tolist(), part.labels, strict=True))
        more = sum(counts.values()) - len(counts)
        if more:
            share = percent(more, len(part.rows))
            level: Level = "warning" if more > len(part.rows) / 100 else "info"
            text = f"{more:,} rows ({share}) are there before, with the same labels."
            yield Finding(level, "repeated", part.name, text, more)


@CHECKS.register("overlap")
def overlap(corpus: Corpus) -> Iterator[Finding]:
    """Texts of validation or test that training has too."""
    for part in corpus.parts:
        if part.split == "train":
            continue
        train = corpus.of(part.task)["train"]
        shared = np.flatnonzero(np.isin(part.keys, train.keys))
        if len(shared):
            share = percent(len(shared), len(part.rows))
            text = f"{len(shared):,} rows ({share}) have a text that train has too"
            rows = [part.sample(int(number)) for number in shared[:2]]
            yield Finding("warning", "overlap", part.name, text, len(shared), rows)


@CHECKS.register("shared_texts")
def shared_texts(corpus: Corpus) -> Iterator[Finding]:
    """What two tasks read in common, and what one pass for both saves."""
    for one, other in corpus.pairs():
        first, second = corpus.of(one)["train"], corpus.of(other)["train"]
        both = np.isin(second.store.keys, first.store.keys)
        if both.any():
            tokens = int(second.store.lengths[both].sum())
            total = int(first.store.lengths.sum() + second.store.lengths.sum())
            text = (
                f"shares {int(both.sum()):,} of {len(both):,} documents with {one.name}; one pass "
                f"for both saves {percent(tokens, total)} of the two tasks' tokens."
            )
            yield Finding("info", "shared_texts", second.name, text, int(both.sum()))
