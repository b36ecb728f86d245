"""A task's section of a report: curves, tables, confusions, calibration, and mistakes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mtl.reporting.mistakes import comparison_of
from mtl.reporting.pages.charts import Lines, Matrix, lines, matrix, reliability
from mtl.reporting.report.curves import Curve
from mtl.reporting.report.reading import RunFiles

Values = Mapping[str, Any]
LABELS = 25
"""Of a confusion matrix; of more, the most frequent ones."""
ROWS = 100
"""Of a table."""
CONFIDENCE = {"low", "high", "confidence", "accuracy", "examples"}
"""The columns of a reliability diagram."""


def task_names(runs: Sequence[RunFiles]) -> list[str]:
    """Return the tasks of some runs, in their order."""
    configured = [name for run in runs for name in (run.config.get("tasks") or {})]
    measured = [
        n for run in runs for found in run.evidence.values() for n in found.get("tasks", {})
    ]
    return list(dict.fromkeys([*configured, *measured]))


def task_section(
    name: str, runs: Sequence[RunFiles], detailed: Sequence[RunFiles], most: int
) -> Values:
    """Return what a page shows of a task.

    Args:
        name: The task's.
        runs: All runs of the page.
        detailed: Those whose tables and examples are shown.
        most: Examples of each run.
    """
    found = [(run, *of) for run in detailed if (of := run.of(name)) is not None]
    metric = next((own["metric"] for *_, own in found), None)
    examples = [shown for run, _, own in found for shown in _examples(own, run.name, most)]
    kinds: dict[str, int] = {}
    for *_, own in found:
        for kind, count in own.get("kinds", {}).items():
            kinds[kind] = kinds.get(kind, 0) + count
    return {
        "name": name,
        "type": next((own["type"] for *_, own in found), ""),
        "curves": list(_curves(name, metric, runs)),
        "runs": [_details(run, split, own) for run, split, own in found],
        "kinds": [
            (kind, sum(kind in one["kinds"] for one in examples), count)
            for kind, count in sorted(kinds.items(), key=lambda one: (-one[1], one[0]))[:12]
        ],
        "examples": sorted(examples, key=_worst_first),
        "looked_at": sum(own.get("looked_at", 0) for *_, own in found),
        "of": sum(own.get("examples", 0) for *_, own in found),
    }


def _worst_first(example: Values) -> tuple[float, int]:
    """Return what examples are sorted by: how wrong they are, then how many things are wrong."""
    return -example["wrong"], -len(example["kinds"])


def _curves(name: str, metric: str | None, runs: Sequence[RunFiles]) -> Iterator[Values]:
    wanted = [(f"val/{name}/{metric}", f"{metric} on validation")] if metric else []
    wanted.append((f"train/{name}/loss", "loss in training"))
    for full, title in wanted:
        drawn = {run.name: run.curves[full] for run in runs if full in run.curves}
        yield from _drawn(title, drawn)
    yield from _drawn("weight in training", _moving(f"train/{name}/weight", runs))
    cosines = _cosines(name, runs)
    other = next(iter(cosines)) if len(cosines) == 1 else "other tasks"
    yield from _drawn(f"cosine with the gradient of {other}", cosines, with_zero=True)


def _drawn(title: str, curves: Mapping[str, Curve], *, with_zero: bool = False) -> Iterator[Values]:
    chart: Lines | None = lines(curves, with_zero=with_zero)
    if chart is not None:
        yield {"title": title, "chart": chart}


def _moving(full: str, runs: Sequence[RunFiles]) -> dict[str, Curve]:
    """Return the curves of a metric by run, but those that are always the same."""
    found = {run.name: run.curves[full] for run in runs if full in run.curves}
    return {name: curve for name, curve in found.items() if len({value for _, value in curve}) > 1}


def _cosines(name: str, runs: Sequence[RunFiles]) -> dict[str, Curve]:
    """Return how a task's gradient lay to those of the others: curves by the other's name."""
    found = {}
    for run in runs:
        for full, curve in run.curves.items():
            stage, _, rest = full.partition("/")
            one, between, other = rest.partition("/cosine_")
            if stage == "train" and between and name in (one, other):
                pair = other if one == name else one
                found[pair if len(runs) == 1 else f"{run.name}: {pair}"] = curve
    return found


def _details(run: RunFiles, split: str, own: Values) -> Values:
    tables = own.get("tables", {})
    return {
        "name": run.name,
        "split": split,
        "examples": own.get("examples", 0),
        "tables": [
            {
                "title": title,
                "columns": list(rows[0]),
                "rows": [[_cell(value) for value in row.values()] for row in rows[:ROWS]],
                "more": max(len(rows) - ROWS, 0),
            }
            for title, rows in tables.items()
            if rows and set(rows[0]) != CONFIDENCE
        ],
        "confidence": [
            {"title": title, "rows": rows, "bars": reliability(rows)}
            for title, rows in tables.items()
            if rows and set(rows[0]) == CONFIDENCE
        ],
        "confusions": [
            {"title": title, "chart": chart, "more": more}
            for title, pairs in own.get("pairs", {}).items()
            for chart, more in [_confusion(pairs)]
        ],
    }


def _cell(value: object) -> str:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return "" if value is None else str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def _confusion(pairs: Values) -> tuple[Matrix, int]:
    """Return a confusion matrix, and how many labels it leaves out."""
    labels, counts = pairs["labels"], pairs["counts"]
    gold = [sum(row) + sum(other[at] for other in counts) for at, row in enumerate(counts)]
    chosen = sorted(sorted(range(len(labels)), key=lambda at: -gold[at])[:LABELS])
    names = [str(labels[at]) for at in chosen]
    cells: list[list[int | None]] = [[counts[row][column] for column in chosen] for row in chosen]
    return matrix(names, names, cells), len(labels) - len(chosen)


def _examples(own: Values, run: str, most: int) -> Iterator[Values]:
    samples = own.get("samples", [])
    wrong = [sample for sample in samples if sample["wrong"]][:most]
    right = [sample for sample in samples if not sample["wrong"]][: max(1, most // 6)]
    for sample in (*wrong, *right):
        comparison = comparison_of(sample["answer"])
        if comparison is None:
            continue
        yield {
            "run": run,
            "place": "/".join(sample["place"].split("/")[-2:]),
            "kinds": sample["kinds"],
            "wrong": sample["wrong"],
            "blocks": comparison.show(sample["given"], sample["answer"], sample["expected"]),
        }
