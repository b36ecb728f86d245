"""What to look at first in a report, and what to try next: sentences from its numbers."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from typing import Any

from mtl.reporting.report.reading import RunFiles

EARLY, LATE = 0.5, 0.95
"""Shares of the steps: a best validation before the first is early, after the second late."""
SMALL = 0.2
"""Share of all training rows below which a task is small beside the others."""
OFTEN = 0.4
"""Share of the mistakes from which on one kind is what there is to say."""
MORE = 5
"""Tasks beside the weakest of which something is said."""
TINY = 20_000_000
"""Parameters below which a trunk is small."""
Values = Mapping[str, Any]


def advice(run: RunFiles) -> list[str]:
    """Return the weakest task with its commonest mistakes, the others, and what to try for it."""
    ranked = _weakest_first(run)
    if not ranked:
        return []
    (task, split, own), *others = ranked
    tried = [*_steps(run), *_edges(run, task, own), *_labels(own, split), *_share(run, task)]
    tried += _trunk(run)
    lead = "Weakest task" if others else "Result"
    said = [f"{lead}: {_score(run, task, split, own)}.", *_kinds(own)]
    said += [f"{_score(run, *other)}{_commonest(other[2])}." for other in others[:MORE]]
    if len(others) > MORE:
        said.append(f"{len(others) - MORE} more tasks are further above their baselines.")
    return [*said, *(f"To try{f' for {task}' if others else ''}: {line}" for line in tried)]


def _weakest_first(run: RunFiles) -> list[tuple[str, str, Values]]:
    """Return each task, its split and its evidence; first what gains least over its baseline."""
    known = [(n, *of) for n, of in _tasks(run).items() if _value(run, n, *of) is not None]
    return sorted(known, key=lambda one: _gain(run, *one))


def _gain(run: RunFiles, task: str, split: str, own: Values) -> float:
    """Return the share of the baseline's error that a task is without."""
    value = _value(run, task, split, own) or 0.0
    baseline = run.metrics.get(f"baseline/{task}/{own['metric']}", 0.0)
    if not own.get("higher_is_better", True):
        return (baseline - value) / baseline if baseline else 0.0
    return (value - baseline) / (1 - baseline) if baseline < 1 else 0.0


def _tasks(run: RunFiles) -> dict[str, tuple[str, Values]]:
    names = run.config.get("tasks") or {}
    return {name: of for name in names if (of := run.of(name)) is not None}


def _value(run: RunFiles, task: str, split: str, own: Values) -> float | None:
    stage = "val" if split == "validation" else "test"
    return run.metrics.get(f"{stage}/{task}/{own['metric']}")


def _score(run: RunFiles, task: str, split: str, own: Values) -> str:
    baseline = run.metrics.get(f"baseline/{task}/{own['metric']}")
    worse = _gain(run, task, split, own) <= 0
    told = "no better than the baseline's" if worse else "where the baseline has"
    against = "" if baseline is None else f", {told} {baseline:.4f}"
    value = _value(run, task, split, own)
    return f"{task}, with {own['metric']} {value:.4f} on {split}{against}"


def _commonest(own: Values) -> str:
    """Return the most frequent kind of mistake of a task, behind its score."""
    kind = next(iter(own.get("kinds", {})), None)
    return "" if kind is None else f"; most frequent mistake: {kind} ({own['kinds'][kind]:,})"


def _kinds(own: Values) -> Iterator[str]:
    kinds = list(own.get("kinds", {}).items())[:3]
    if kinds:
        told = ", ".join(f"{kind} ({count:,})" for kind, count in kinds)
        yield f"Most frequent mistakes among {own['looked_at']:,} answers: {told}."


def _labels(own: Values, split: str) -> Iterator[str]:
    """Say which label is found least, if it is a rare one."""
    every = [row for table in own.get("tables", {}).values() for row in table if "f1" in row]
    rows = [row for row in every if "type" in row] or every
    counts = {
        str(name): (row["f1"], row.get("support", row.get("gold", 0)))
        for row in rows
        if (name := row.get("type", row.get("label"))) not in (None, "overall", "O")
        and not str(name).endswith(" avg")
    }
    known = {name: found for name, found in counts.items() if found[1]}
    if len(known) < 2:
        return
    name, (f1, count) = min(known.items(), key=lambda one: one[1])
    if count <= statistics.median(count for _, count in known.values()):
        seen = f"f1 {f1:.2f}, {count:,} in {split}"
        yield f"more training rows with {name}, which is found least ({seen})."


def _edges(run: RunFiles, task: str, own: Values) -> Iterator[str]:
    kinds = own.get("kinds", {})
    edges = sum(n for kind, n in kinds.items() if kind.startswith("edge") or "in pieces" in kind)
    if not edges or edges < OFTEN * sum(kinds.values()):
        return
    where = f"{edges / sum(kinds.values()):.0%} of the mistakes are at the edges of spans"
    head = ((run.config.get("tasks") or {}).get(task) or {}).get("head") or {}
    chain = own["type"] == "token_classification" and head.get("decoding") != "crf"
    key = f"tasks.{task}.head.decoding=crf, or " if chain else ""
    yield f"{key}one rule for where spans begin and end: {where}."


def _share(run: RunFiles, task: str) -> Iterator[str]:
    sizes = {name: counts[0] for name, counts in run.facts.get("tasks", {}).items()}
    total = sum(sizes.values())
    if len(sizes) > 1 and total and sizes.get(task, total) < SMALL * total:
        share = sizes[task] / total
        yield f"tasks.{task}.weight=2, because it has {share:.0%} of all training rows."


def _steps(run: RunFiles) -> Iterator[str]:
    curve = run.curves.get("val/score", [])
    steps = run.facts.get("steps")
    if len(curve) < 2 or not steps:
        return
    best = max(curve, key=lambda point: point[1])[0]
    if best >= LATE * steps:
        limit = (run.config.get("trainer") or {}).get("max_steps")
        key = "trainer.max_steps" if limit else "trainer.max_epochs"
        yield f"more steps ({key}): the score of all tasks was best at the end, at step {best:,}."
    elif best <= EARLY * steps:
        yield (
            "a lower trunk.lr, or more data: the score of all tasks was best at step "
            f"{best:,} of {steps:,}, early."
        )


def _trunk(run: RunFiles) -> Iterator[str]:
    size = run.facts.get("parameters", TINY)
    if size < TINY:
        yield f"a larger pretrained trunk (trunk=hf trunk.path=...): this one has {size:,} weights."
