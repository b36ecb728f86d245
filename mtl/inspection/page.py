"""What ``mtl data --html`` writes: figures, findings and their example rows as one page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mtl.config.section import Values
from mtl.inspection.corpus import Corpus
from mtl.inspection.findings import LEVELS, Finding
from mtl.inspection.overview import facts
from mtl.reporting.pages.charts import Matrix, histogram, matrix
from mtl.reporting.pages.render import render

TITLES = {"error": "errors", "warning": "warnings", "info": "remarks"}
MOST = 30
"""Labels that a table has a line for."""


def page(corpus: Corpus, findings: Sequence[Finding], command: str) -> str:
    """Return the page of a corpus and of what was found in it.

    Args:
        corpus: The corpus.
        findings: The gravest first.
        command: What was typed.
    """
    counts = {level: sum(found.level == level for found in findings) for level in LEVELS}
    return render(
        "data",
        command=command,
        levels=[{"name": n, "title": TITLES[n], "count": counts[n]} for n in LEVELS],
        findings=findings,
        notes=corpus.notes,
        overlaps=_overlaps(corpus),
        tasks=list(_tasks(corpus)),
    )


def _tasks(corpus: Corpus) -> Iterator[Values]:
    for task in corpus.tasks:
        about = facts(corpus)[task.name]
        parts = corpus.of(task)
        labels = list(_labels(about["splits"]))
        yield {
            "name": task.name,
            "type": about["type"],
            "splits": about["splits"],
            "labels": labels[:MOST],
            "more_labels": len(labels[MOST:]),
            "lengths": {
                split: histogram(part.store.lengths, corpus.encoder.max_length)
                for split, part in parts.items()
            },
        }


def _labels(splits: Values) -> Iterator[Values]:
    rows = max(splits["train"]["rows"], 1)
    for name in dict.fromkeys(label for about in splits.values() for label in about["labels"]):
        counts = [about["labels"].get(name, 0) for about in splits.values()]
        yield {"name": name, "counts": counts, "share": counts[0] / rows}


def _overlaps(corpus: Corpus) -> Matrix | None:
    """Return how many distinct texts each two splits share; None where there is one split alone."""
    if len(corpus.parts) < 2:
        return None
    parts = [part for task in corpus.tasks for part in corpus.of(task).values()]
    keys = [np.unique(part.keys) for part in parts]
    names = [f"{part.task.name} {part.split}" for part in parts]
    counts: list[list[int | None]] = [
        [
            None if column > row else len(np.intersect1d(one, other, assume_unique=True))
            for column, other in enumerate(keys)
        ]
        for row, one in enumerate(keys)
    ]
    return matrix(names, names, counts)
