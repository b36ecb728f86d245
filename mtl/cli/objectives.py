"""What the jobs of a sweep are compared by: metrics, with their directions."""

from __future__ import annotations

from collections.abc import Mapping

from mtl.config.schema import Config


def objectives_of(config: Config) -> list[str]:
    """Return the metrics that are to be best: those of a search, or the monitored one."""
    return list(config.search.objectives) or [config.monitor]


def higher_is_better(config: Config, name: str) -> bool:
    """Return the direction of ``val/<task>/<metric>``, or of the score."""
    from mtl.metrics.registry import METRICS
    from mtl.tasks import TASK_TYPES

    _, _, rest = name.partition("/")
    task, _, metric = rest.partition("/")
    if task not in config.tasks:
        return True
    task_type = TASK_TYPES.get(config.tasks[task].type)
    if metric in task_type.metric_names:
        return metric not in task_type.traits.lower_is_better
    added = METRICS.get(metric) if metric in METRICS else None
    return getattr(added, "higher_is_better", None) is not False


def primary_metrics(config: Config, metrics: Mapping[str, float]) -> dict[str, str]:
    """Return each task's primary metric by task: the one that it names, or the first it has."""
    from mtl.tasks import TASK_TYPES

    found = {}
    for name, spec in config.tasks.items():
        own = TASK_TYPES.get(spec.type).metric_names
        logged = (metric for metric in own if f"val/{name}/{metric}" in metrics)
        found[name] = spec.metric or next(logged, own[0])
    return found
