"""Which panels a dashboard has, by what a run logs; knows nothing of W&B.

A section for each task, one that compares tasks, one for optimization, one for throughput and
memory, one for sweeps, and one of tables. Every metric that is logged is on a panel, and only those
are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from mtl.metrics.names import SCORE, STAGES, MetricName, metric_name, parse_metric_name

THROUGHPUT = ("tokens_per_second", "examples_per_second", "padding", "memory_gb")
"""What is measured of a step's speed and room."""
COMPARED = ("loss", "share", "token_share", "weight", "grad_norm", "trunk_grad_norm", "lr")
"""What of training stands side by side for all tasks."""
PAIRED = "cosine_"
"""What metrics of two tasks begin with; the second task's name follows."""
PARAMETERS = ("seed", "trunk.lr", "head.lr", "batching.examples", "trainer.max_epochs")
"""Keys of the configuration that a sweep usually varies."""
LINE, BAR, TABLE, PARALLEL, IMPORTANCE = "line", "bar", "table", "parallel", "importance"


@dataclass(frozen=True)
class Panel:
    """One panel.

    Args:
        title: What it shows.
        kind: ``line``, ``bar``, ``table``, ``parallel`` or ``importance``.
        metrics: Full names of metrics; of a table its name.
        parameters: Keys of the configuration, beside them.
    """

    title: str
    kind: str
    metrics: tuple[str, ...]
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """A section of a dashboard."""

    name: str
    panels: tuple[Panel, ...]


def parts(
    names: Iterable[str],
    primary: Mapping[str, str],
    tables: Sequence[str] = (),
    parameters: Sequence[str] = PARAMETERS,
) -> list[Part]:
    """Return the sections of a dashboard; those without a panel are left out.

    Args:
        names: Full names of the metrics that runs log.
        primary: Task to its primary metric.
        tables: The names of logged tables.
        parameters: What sweeps vary.
    """
    logged = list(dict.fromkeys(names))
    found = [_comparison(logged, primary)]
    found += [Part(task, tuple(_of_task(logged, task))) for task in primary]
    found += [
        _of_training(logged, primary),
        Part("Throughput and memory", tuple(_lines(logged, _throughput))),
        _sweep(logged, primary, parameters),
        Part("Tables", tuple(Panel(name, TABLE, (name,)) for name in tables)),
    ]
    return [part for part in found if part.panels]


def _named(name: str) -> MetricName:
    """Return stage, task and metric of a name; of another name itself as its metric."""
    whole = name.partition("/")[0] in STAGES and name.count("/") in (1, 2)
    return parse_metric_name(name) if whole else MetricName("", None, name)


def _comparison(names: list[str], primary: Mapping[str, str]) -> Part:
    """Return what stands side by side: scores, and of training what all tasks have."""
    panels = []
    for stage, kind, title in (("val", LINE, "validation"), ("test", BAR, "test")):
        wanted = [metric_name(stage, None, "score")]
        wanted += [metric_name(stage, task, metric) for task, metric in primary.items()]
        if shown := tuple(name for name in wanted if name in names):
            panels.append(Panel(f"Scores of {title}", kind, shown))
    for metric in COMPARED:
        wanted = [metric_name("train", task, metric) for task in primary]
        if shown := tuple(name for name in wanted if name in names):
            panels.append(Panel(f"{metric} in training", LINE, shown))
    if pairs := tuple(name for name in names if _named(name)[2].startswith(PAIRED)):
        panels.append(Panel("Cosines of the tasks' gradients", LINE, pairs))
    return Part("Tasks compared", tuple(panels))


def _of_task(names: list[str], task: str) -> list[Panel]:
    """Return a task's panels: a line for each metric, and its test scores as bars."""
    own = [name for name in names if _named(name)[1] == task]
    panels = []
    for stage, title in (("val", "validation"), ("train", "training")):
        panels += [
            Panel(f"{_named(name)[2]} ({title})", LINE, (name,))
            for name in own
            if _named(name)[0] == stage
        ]
    ends = tuple(name for name in own if _named(name)[0] not in ("val", "train"))
    return [*panels, Panel("test", BAR, ends)] if ends else panels


def _throughput(name: str) -> bool:
    return _named(name)[2] in THROUGHPUT


def _lines(names: list[str], wanted: Callable[[str], bool]) -> list[Panel]:
    return [Panel(_named(name)[2], LINE, (name,)) for name in names if wanted(name)]


def _of_training(names: list[str], primary: Mapping[str, str]) -> Part:
    """Return what is of no task: the loss of all, rates and norms of parts, epochs."""

    def wanted(name: str) -> bool:
        stage, task, _ = _named(name)
        return stage in ("train", "") and task not in primary and not _throughput(name)

    panels = [Panel(name.removeprefix("train/"), LINE, (name,)) for name in names if wanted(name)]
    return Part("Optimization", tuple(panels))


def _sweep(names: list[str], primary: Mapping[str, str], parameters: Sequence[str]) -> Part:
    """Return what a sweep is looked at with: what varied, against what came out."""
    ends = [SCORE, *(metric_name("val", task, metric) for task, metric in primary.items())]
    shown = tuple(name for name in ends if name in names)
    panels = [Panel("What varied and what came out", PARALLEL, shown, tuple(parameters))]
    panels += [Panel(f"What moves {name}", IMPORTANCE, (name,)) for name in shown[:1]]
    return Part("Sweeps", tuple(panels) if shown else ())
