"""What a task type promises, looked at once, so that a mistake in one is a sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mtl.data.store import ExampleStore
from mtl.errors import ConfigError, Problem
from mtl.heads.base import Head
from mtl.metrics.base import on_this_rank
from mtl.metrics.registry import feed
from mtl.tasks.base import Learned, Task
from mtl.types import Examples, Row, concatenate

TRIED = 16
"""Training examples that are looked at."""


def check_metric_names(task: Task, train: ExampleStore) -> None:
    """Refuse a type whose `metric_names` are not what its metrics compute for some guesses.

    Raises:
        ConfigError: With the names that one has and the other has not.
    """
    said = {name for name in task.metric_names if name not in task.learned.without}
    some, metrics = _some(train), task.metrics()
    fed = task.feed(task.baseline(some)(some), some)
    on_this_rank(metrics)
    for metric in metrics.values():
        feed(metric, fed)
    given = set(metrics.compute())
    lacking = said - given - set(metrics)  # A guess may leave one without a number.
    for names, fault in ((lacking, "do not give"), (given - said, "alone give")):
        if names:
            expected = "to be a type whose `metric_names` are what `metrics()` give"
            fault = f"has `metrics()` that {fault}"
            raise _broken(task, expected, fault, sorted(names))


def learn(task: Task, rows: Sequence[Row]) -> Learned:
    """Return what a task learns from its training rows.

    Raises:
        ConfigError: If that is no object of the class that the type names.
        DataError: If the rows do not fit the type.
    """
    learned = task.learn(rows)
    if not isinstance(learned, task.learns):
        expected = f"to be a type whose `learn` returns what `learns` names, {task.learns.__name__}"
        raise _broken(task, expected, "returns", [type(learned).__name__])
    return learned


def check_masses(task: Task, head: Head, train: ExampleStore) -> None:
    """Compare what some examples add to the loss's denominator with what their head counts.

    Raises:
        ConfigError: If they differ.
    """
    for example in _some(train).encoded:
        given = {**example.inputs, **example.targets}
        counted = head.mass({name: concatenate([values]) for name, values in given.items()})
        if not math.isclose(example.mass, counted, rel_tol=1e-4, abs_tol=1e-6):
            raise ConfigError(
                Problem(
                    f"tasks.{task.name}.type",
                    "to be a type whose `Encoded.mass` is the head's `mass` of the same targets",
                    f"'{task.type}' encodes {example.mass:g} where its head counts {counted:g}",
                    "The loss is divided by the former: mend `encode`, or `mass`.",
                )
            )


def _some(train: ExampleStore) -> Examples:
    return train.select(range(min(TRIED, len(train))))


def _broken(task: Task, expected: str, fault: str, names: Sequence[str]) -> ConfigError:
    listed = ", ".join(f"`{one}`" for one in names)
    file = type(task).__module__.replace(".", "/")
    key, found = f"tasks.{task.name}.type", f"'{task.type}' {fault} {listed}"
    return ConfigError(Problem(key, expected, found, f"See {file}.py."))
