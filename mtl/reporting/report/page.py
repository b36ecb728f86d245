"""The page of a run or of several: what they scored, how they got there, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mtl.files import write_whole
from mtl.reporting.console import note, short_path
from mtl.reporting.report.advice import advice
from mtl.reporting.report.files import PAGE
from mtl.reporting.report.ranks import ranks_of
from mtl.reporting.report.reading import RunFiles, name_apart, read_run
from mtl.reporting.report.sections import task_names, task_section
from mtl.reporting.report.sweep import sweep_section

Values = Mapping[str, Any]
MEGABYTE = 1_000_000
LARGEST = 8 * MEGABYTE
"""Bytes of a page, beyond which it shows fewer examples."""
EXAMPLES = 240
"""Answers of a task that a page shows, of all its runs together."""
BASELINE = "baseline/score"
DETAILED = 8
"""Runs that are shown with their tables and examples; of more, the best ones."""


def write_report(folder: Path, runs: Sequence[Path]) -> None:
    """Write the page of some runs into a folder; where that fails, a line says so, and no more."""
    try:
        write_whole(folder / PAGE, page([read_run(run) for run in runs], sweep_section(folder)))
    except Exception as error:  # Whatever it is, runs are done and their numbers are saved.
        note(f"{folder / PAGE}: not written: {type(error).__name__}: {error}")


def page(runs: Sequence[RunFiles], sweep: Values | None = None, examples: int = EXAMPLES) -> str:
    """Return the page of some runs.

    Args:
        runs: One or more; of many, the best are shown with their tables and examples.
        sweep: Of the sweep whose runs they are, if they are one's.
        examples: Of answers of each task, over all runs; fewer where the page would be too large.
    """
    from mtl.reporting.pages.render import render

    name_apart(runs)
    ranked = sorted(runs, key=_score, reverse=True)
    detailed = [run for run in runs if run in ranked[:DETAILED]]
    most = max(2, examples // max(len(detailed), 1))
    text = render(
        "report",
        title=_title(runs),
        runs=[_about(run) for run in runs],
        best=ranked[0].name if len(runs) > 1 and ranked[0].ended else None,
        table=_table(ranked) if len(runs) > 1 else None,
        sweep=sweep,
        beside=[run.name for run in detailed],
        score=[run.metrics.get("test/score", run.metrics.get("val/score")) for run in detailed],
        baseline=next((r.metrics[BASELINE] for r in detailed if BASELINE in r.metrics), None),
        before=any(name.startswith("before/") for run in detailed for name in run.metrics),
        summary=list(_summary(detailed)),
        advice=advice(ranked[0]),
        tasks=[task_section(name, runs, detailed, most) for name in task_names(runs)],
        left_out=len(runs) - len(detailed),
        detailed=len(detailed),
        several=len(runs) > 1,
    )
    if len(text.encode()) > LARGEST and most > 2:
        return page(runs, sweep, examples // 2)
    return text


def _score(run: RunFiles) -> float:
    found = run.metrics.get("val/score", float("-inf"))
    return found if isinstance(found, int | float) else float("-inf")


def _title(runs: Sequence[RunFiles]) -> str:
    tasks = ", ".join(task_names(runs)) or "a run"
    return f"{tasks}: {runs[0].name}" if len(runs) == 1 else f"{tasks}: {len(runs)} runs"


def _about(run: RunFiles) -> Values:
    steps = max((curve[-1][0] for curve in run.curves.values() if curve), default=0)
    state = run.state if run.status or run.ended else f"{run.state}; {steps:,} steps so far"
    return {
        "name": run.name,
        "folder": short_path(run.folder),
        "state": state,
        "varied": run.varied,
        "command": run.command,
        "facts": list(_facts(run)),
        "missing": run.missing,
        "ranks": ranks_of(run.tuning),
    }


def _facts(run: RunFiles) -> Iterator[tuple[str, str]]:
    """Yield what a run was trained on and with."""
    facts, config = run.facts, run.config
    for task, sizes in facts.get("tasks", {}).items():
        data = (config.get("tasks", {}).get(task) or {}).get("data") or {}
        source = ", ".join(str(data[k]) for k in ("train", "source") if data.get(k))[:200]
        splits = zip(("train", "validation", "test"), sizes, strict=False)
        counts = ", ".join(f"{count:,} {split}" for split, count in splits if count)
        yield task, f"{counts} ({source})"
    trunk = config.get("trunk") or {}
    if facts:
        size = f"{facts['parameters']:,} parameters"
        yield "trunk", f"{facts['trunk']} ({facts['architecture']}), {size}"
        learning = facts.get("learning")
        share = f", {learning:,} weights of the trunk learn" if learning is not None else ""
        yield "tuning", f"{facts['tuning']}{share}"
        device = f"{facts['device']}, {facts['precision']}"
        yield "device", device + (f", {facts['processes']} processes" * (facts["processes"] > 1))
        yield "steps", f"{facts['steps']:,} of {facts['examples']:,} examples"
    for key in ("attention", "lr"):
        if trunk.get(key) is not None:
            yield f"trunk.{key}", str(trunk[key])
    if config.get("seed") is not None:
        yield "seed", str(config["seed"])


def _table(ranked: Sequence[RunFiles]) -> Values:
    """Return the table over runs, best first: what each varied, and its tasks' primary metrics."""
    found = [(name, run.of(name)) for name in task_names(ranked) for run in ranked]
    primary = {name: of[1]["metric"] for name, of in found if of is not None}
    rows = []
    for run in ranked:
        cells = [run.metrics.get("val/score")]
        cells += [_best_stage(run, task, metric)[1] for task, metric in primary.items()]
        rows.append({"name": run.name, "varied": run.varied, "cells": cells, "state": run.state})
    columns = ["val/score", *(f"{task}/{metric}" for task, metric in primary.items())]
    return {"columns": columns, "rows": rows}


def _summary(runs: Sequence[RunFiles]) -> Iterator[Values]:
    """Yield a row for each metric of each task: each run's value, and what the baseline scores."""
    for task in task_names(runs):
        names = dict.fromkeys(
            name.split("/")[2]
            for run in runs
            for name in run.metrics
            if name.count("/") == 2 and name.split("/")[1] == task
        )
        primary = next((found[1]["metric"] for run in runs if (found := run.of(task))), None)
        ordered = sorted(names, key=lambda name: name != primary)
        for metric in ordered:
            values = [_best_stage(run, task, metric) for run in runs]
            beside = {
                stage: [run.metrics.get(f"{stage}/{task}/{metric}") for run in runs]
                for stage in ("baseline", "before")
            }
            stages = {stage for stage, value in values if value is not None}
            yield {
                "task": task,
                "metric": metric,
                "primary": metric == primary,
                "stage": " / ".join(sorted(stages)),
                "values": [value for _, value in values],
                **{
                    stage: next((value for value in found if value is not None), None)
                    for stage, found in beside.items()
                },
            }


def _best_stage(run: RunFiles, task: str, metric: str) -> tuple[str, float | None]:
    for stage, title in (("test", "test"), ("val", "validation")):
        value = run.metrics.get(f"{stage}/{task}/{metric}")
        if value is not None:
            return title, value
    return "", None
