"""All checks of a corpus, and the few findings that a run begins with."""

from __future__ import annotations

from collections.abc import Collection

import mtl.inspection.checks  # noqa: F401  Registers them.
from mtl.inspection.corpus import Corpus
from mtl.inspection.findings import CHECKS, LEVELS, Finding

SHOWN, LARGE = 3, 200_000
"""How many findings a run begins with, and beyond how many rows with none."""
NOT_FIRST = ("overlap", "leakage", "remarks", "near_duplicates")
"""Checks that a run does not begin with: what it said when it read the data, or what takes long."""


def inspect(corpus: Corpus, skip: Collection[str] = ()) -> list[Finding]:
    """Return what all checks find, the gravest and then the most frequent first."""
    names = [name for name in CHECKS if name not in skip]
    found = [finding for name in names for finding in CHECKS.get(name)(corpus)]
    return sorted(found, key=lambda f: (LEVELS.index(f.level), -f.count, f.where))


def most_important(corpus: Corpus) -> list[Finding]:
    """Return the few findings that a run begins with; of a large corpus none, which takes time."""
    if sum(len(part.rows) for part in corpus.parts) > LARGE:
        return []
    return [f for f in inspect(corpus, NOT_FIRST) if f.level != "info"][:SHOWN]
