"""Texts that are there more than once: in a split, in two splits, in two tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from mtl.data.store import ExampleStore
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


@CHECKS.register("leakage")
def leakage(corpus: Corpus) -> Iterator[Finding]:
    """Texts of a task's validation or test that another task trains the trunk on."""
    for part in corpus.parts:
        for task in corpus.tasks if part.split != "train" else ():
            train = corpus.of(task).get("train")
            if train is None or task is part.task:
                continue
            shared = np.flatnonzero(np.isin(part.keys, train.keys))
            if len(shared):
                share = percent(len(shared), len(part.rows))
                text = f"{len(shared):,} rows ({share}) have a text that train of {task.name} has"
                rows = [part.sample(int(number)) for number in shared[:2]]
                yield Finding("warning", "leakage", part.name, text, len(shared), rows)


@CHECKS.register("shared_texts")
def shared_texts(corpus: Corpus) -> Iterator[Finding]:
    """What two tasks read in common, and what one pass for both saves."""
    for one, other in corpus.pairs():
        train = corpus.of(other)["train"]
        count, text = shared_by(corpus.of(one)["train"].store, train.store)
        if count:
            yield Finding("info", "shared_texts", train.name, f"{text}.", count)


def shared_by(one: ExampleStore, other: ExampleStore) -> tuple[int, str]:
    """Return how many documents of a task another one reads too, and what that saves, in words."""
    both = np.isin(other.keys, one.keys)
    count = int(both.sum())
    tokens = int(other.lengths[both].sum())
    total = int(one.lengths.sum() + other.lengths.sum())
    text = (
        f"shares {count:,} of {len(both):,} documents with {one.task}; one pass "
        f"for both saves {percent(tokens, total)} of the two tasks' tokens"
    )
    return count, text
