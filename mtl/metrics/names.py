"""Metric names, in one place: ``val/ner/f1`` is stage, task, metric; ``val/score`` has no task."""

from __future__ import annotations

from typing import NamedTuple

from mtl.errors import ConfigError, one_of

STAGES = ("train", "val", "test", "baseline", "before")


class MetricName(NamedTuple):
    """The parts of a metric's name; `task` is None for what is measured over all tasks."""

    stage: str
    task: str | None
    metric: str


def metric_name(stage: str, task: str | None, metric: str) -> str:
    """Return the name under which loggers, checkpoints and ``metrics.json`` know a metric.

    Args:
        stage: One of `STAGES`.
        task: The task's name, or None for an aggregate over tasks.
        metric: The metric's own name, such as ``f1`` or ``loss``.

    Example:
        >>> metric_name("val", "ner", "f1")
        'val/ner/f1'
        >>> metric_name("val", None, "score")
        'val/score'
    """
    assert stage in STAGES, stage
    parts = [stage, metric] if task is None else [stage, task, metric]
    assert all(part and "/" not in part for part in parts), parts
    return "/".join(parts)


def parse_metric_name(name: str) -> MetricName:
    """Return the parts of a name made by `metric_name`.

    Args:
        name: A metric's name, of the key `monitor`.

    Raises:
        ConfigError: If `name` has not two or three non-empty parts, or an unknown stage.

    Example:
        >>> parse_metric_name("test/qa/em")
        MetricName(stage='test', task='qa', metric='em')
    """
    parts = name.split("/")
    if len(parts) not in (2, 3) or not all(parts):
        raise ConfigError(
            f"Expected `monitor` to be a metric's name such as '{SCORE}' or 'val/ner/f1', "
            f"but got '{name}'."
        )
    if parts[0] not in STAGES:
        raise ConfigError(one_of("the stage in monitor", parts[0], STAGES))
    return MetricName(parts[0], parts[1] if len(parts) == 3 else None, parts[-1])


SCORE = metric_name("val", None, "score")
"""The weighted mean of the tasks' primary metrics, each on 0 to 1, over the validation data."""
