"""What was put right, cut or given up while rows became examples, as a run says it, too."""

from __future__ import annotations

from collections.abc import Iterator

from mtl.data.rows import remarked
from mtl.inspection.corpus import Corpus
from mtl.inspection.findings import CHECKS, Finding, Level


@CHECKS.register("remarks")
def remarks(corpus: Corpus) -> Iterator[Finding]:
    """Answers that are too long or in no window, spans that cut words, targets that are cut."""
    for task in corpus.tasks:
        for found in remarked(task.counts):
            level: Level = "info" if found.harmless else "warning"
            yield Finding(level, "remarks", f"tasks.{task.name}", found.text, found.number)
