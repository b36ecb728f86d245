"""Labels: rare ones, ones that look alike or that training lacks, and targets that are all one."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator

from mtl.errors import few
from mtl.inspection.corpus import Corpus, Part, show_target
from mtl.inspection.findings import CHECKS, Finding

RARE = 5
"""Training rows below which a label counts as rare."""


@CHECKS.register("rare_labels")
def rare_labels(corpus: Corpus) -> Iterator[Finding]:
    """Labels with very few training rows, or with none."""
    for task in corpus.tasks:
        parts = corpus.of(task)
        train = parts["train"].label_counts
        rare = [label for label, count in train.items() if count < RARE]
        if rare and len(parts["train"].rows) >= RARE * 10:
            text = f"{len(rare):,} labels have fewer than {RARE} training rows: {few(rare)}."
            yield Finding("warning", "rare_labels", parts["train"].name, text, len(rare))
        for split in parts.keys() - {"train"}:
            unseen = [label for label in parts[split].label_counts if label not in train]
            if unseen:
                text = f"{len(unseen):,} labels have no training row: {few(unseen)}."
                yield Finding("error", "unseen_labels", parts[split].name, text, len(unseen))


@CHECKS.register("similar_labels")
def similar_labels(corpus: Corpus) -> Iterator[Finding]:
    """Labels that people cannot tell apart, or that differ by capitals and white space alone."""
    for task in corpus.tasks:
        counts: Counter[str] = Counter()
        for part in corpus.of(task).values():
            counts += part.label_counts
        alike: dict[str, list[str]] = defaultdict(list)
        for label in sorted(counts, key=lambda name: (-counts[name], name)):
            alike[_seen(label)].append(label)
        for group in (labels for labels in alike.values() if len(labels) > 1):
            told = ", ".join(f"{_spelled(label, group)} ({counts[label]:,})" for label in group)
            text = (
                f"labels look alike, and are different labels: {told}. If they are one, spell them "
                "alike in the data."
            )
            fewer = sum(counts[label] for label in group[1:])
            yield Finding("warning", "similar_labels", f"tasks.{task.name}", text, fewer)


def _seen(label: str) -> str:
    """Return what people see of a label: no accents' forms, invisible characters or capitals."""
    visible = "".join(c for c in label if unicodedata.category(c) != "Cf")
    return " ".join(unicodedata.normalize("NFKC", visible).casefold().split())


def _spelled(label: str, others: list[str]) -> str:
    """Return a label in quotes, with escapes where another one would look the same."""
    folded = Counter(" ".join(other.split()).casefold() for other in others)
    return ascii(label) if len(folded) > 1 else f"'{label}'"


@CHECKS.register("contradictions")
def contradictions(corpus: Corpus) -> Iterator[Finding]:
    """Equal texts with different labels."""
    for part in corpus.parts:
        if part.labels is None:
            continue
        given: dict[int, dict[tuple[str, ...], int]] = defaultdict(dict)
        for number, (key, labels) in enumerate(zip(part.keys.tolist(), part.labels, strict=True)):
            given[key].setdefault(labels, number)
        odd = [numbers for numbers in given.values() if len(numbers) > 1]
        if odd:
            rows = [part.sample(number) for number in list(odd[0].values())[:2]]
            text = f"{len(odd):,} texts have different labels in different rows"
            yield Finding("warning", "contradictions", part.name, text, len(odd), rows)


@CHECKS.register("constant_targets")
def constant_targets(corpus: Corpus) -> Iterator[Finding]:
    """A validation split whose rows all want the same answer, so that its metric tells nothing."""
    for part in corpus.parts:
        if part.split != "validation":
            continue
        value = _only_target(part)
        if value is None:
            continue
        text = (
            f"all {len(part.rows):,} rows want the same answer ({value or 'nothing'}), so that "
            f"{part.task.primary_metric} cannot tell a good model from a constant guess, and the "
            "best checkpoint would be the first. Give it rows that differ: "
            f"`tasks.{part.task.name}.data.validation`."
        )
        yield Finding("warning", "constant_targets", part.name, text, len(part.rows))


def _only_target(part: Part) -> str | None:
    """Return the only value that all targets of a split have; None if there are several."""
    tags = [r.name for r in part.task.roles(part.task.options) if r.type == "tags"]
    seen: set[str] = set()
    for name in part.targets:
        for value in part.rows.column(name):
            cells = value if name in tags else [value]
            seen.update(json.dumps(cell, ensure_ascii=False) for cell in cells or ())
            if len(seen) > 1:
                return None
    return show_target(json.loads(seen.pop())) if seen else None
