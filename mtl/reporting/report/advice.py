"""What to look at first in a report, in a few sentences that follow from its numbers."""

from __future__ import annotations

from collections.abc import Iterator

from mtl.reporting.report.reading import RunFiles

EARLY, LATE = 0.5, 0.95
"""Shares of the steps: a best validation before the first is early, after the second late."""


def advice(run: RunFiles) -> list[str]:
    """Return the weakest task with its commonest mistakes, and what the curves suggest."""
    return [*_weakest(run), *_from_curve(run)]


def _weakest(run: RunFiles) -> Iterator[str]:
    found = []
    for task in run.config.get("tasks") or {}:
        of = run.of(task)
        if of is None:
            continue
        split, own = of
        stage = "val" if split == "validation" else "test"
        value = run.metrics.get(f"{stage}/{task}/{own['metric']}")
        if value is not None:
            guess = run.metrics.get(f"baseline/{task}/{own['metric']}")
            found.append((value, task, own, split, guess))
    if not found:
        return
    value, task, own, split, guess = min(found, key=lambda one: one[0])
    against = "" if guess is None else f", where a guess scores {guess:.4f}"
    lead = "Weakest task" if len(found) > 1 else "Result"
    yield f"{lead}: {task}, with {own['metric']} {value:.4f} on {split}{against}."
    kinds = list(own.get("kinds", {}).items())[:3]
    if kinds:
        told = ", ".join(f"{kind} ({count:,})" for kind, count in kinds)
        yield f"Most frequent mistakes among {own['looked_at']:,} answers: {told}."


def _from_curve(run: RunFiles) -> Iterator[str]:
    curve = run.curves.get("val/score", [])
    steps = run.facts.get("steps")
    if len(curve) < 3 or not steps:
        return
    best = max(curve, key=lambda point: point[1])[0]
    if best >= LATE * steps:
        yield (
            f"Validation was best at step {best:,} of {steps:,}, at the end: more steps "
            "(trainer.max_epochs) may still help."
        )
    elif best <= EARLY * steps:
        yield (
            f"Validation was best at step {best:,} of {steps:,}, early: more data, a lower "
            "trunk.lr, or fewer steps would be next to try."
        )
