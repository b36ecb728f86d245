"""The figures of each task and split, and how they look in a terminal."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mtl.config.section import Values
from mtl.inspection.corpus import Corpus, Part
from mtl.inspection.findings import Finding

MOST = 8
"""Labels that a table has a line for."""
COLORS = {"error": "bold red", "warning": "yellow", "info": "cyan"}


def facts(corpus: Corpus) -> Values:
    """Return rows, labels and lengths by task and split, as plain JSON values."""
    return {
        task.name: {
            "type": task.type,
            "splits": {split: _facts(part) for split, part in corpus.of(task).items()},
        }
        for task in corpus.tasks
    }


def _facts(part: Part) -> Values:
    lengths = part.store.lengths
    tokens = {"median": int(np.median(lengths)), "p95": int(np.quantile(lengths, 0.95))}
    tokens |= {"longest": int(lengths.max()), "all": int(lengths.sum())}
    return {
        "rows": len(part.rows),
        "labels": dict(part.label_counts.most_common()),
        "tokens": tokens,
        "in_several_windows": int((part.windows > 1).sum()),
    }


def shown(corpus: Corpus, findings: list[Finding]) -> RenderableType:
    """Return what a terminal shows: sizes, labels, and what was found."""
    known = facts(corpus)
    return Group(_sizes(known), *_labels(known), *_lines(corpus.notes, findings))


def _sizes(known: Values) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("task", "split"):
        table.add_column(title)
    for title in ("rows", "labels", "tokens: median", "95%", "longest", "in windows"):
        table.add_column(title, justify="right")
    for task, about in known.items():
        for split, values in about["splits"].items():
            tokens = values["tokens"]
            table.add_row(
                task if split == "train" else "",
                split,
                f"{values['rows']:,}",
                f"{len(values['labels']):,}" if values["labels"] else "",
                f"{tokens['median']:,}",
                f"{tokens['p95']:,}",
                f"{tokens['longest']:,}",
                f"{values['in_several_windows']:,}",
            )
    return table


def _labels(known: Values) -> Iterator[RenderableType]:
    for task, about in known.items():
        splits = about["splits"]
        labels = list(splits["train"]["labels"])
        if not labels:
            continue
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column(f"{task}: rows with")
        for split in splits:
            table.add_column(split, justify="right")
        table.add_column("")
        total = splits["train"]["rows"]
        for label in labels[:MOST]:
            counts = [splits[split]["labels"].get(label, 0) for split in splits]
            bar = "█" * round(20 * counts[0] / max(total, 1))
            table.add_row(Text(label), *(f"{count:,}" for count in counts), Text(bar, "cyan"))
        yield Text()
        yield table
        if len(labels) > MOST:
            yield Text(f"… and {len(labels) - MOST:,} more labels", "dim")


def _lines(notes: list[str], findings: list[Finding]) -> Iterator[RenderableType]:
    yield Text()
    for line in notes:
        yield Text.assemble((f"{'note':<8} ", "dim"), line)
    for finding in findings:
        yield Text.assemble((f"{finding.level:<8} ", COLORS[finding.level]), str(finding))
    if not findings:
        yield Text("Nothing odd was found.")
