"""Evaluation: from batches to scores, for validation, test, baselines and ``mtl evaluate``."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torchmetrics import MetricCollection

from mtl.data.store import ExampleStore
from mtl.errors import ConfigError, Problem
from mtl.metrics.aggregate import aggregate
from mtl.metrics.base import TableMetric, on_this_rank
from mtl.metrics.registry import build_metric, feed, try_metric
from mtl.tasks import Task
from mtl.tasks.base import own_metrics
from mtl.tasks.contract import TRIED
from mtl.training.model import Answered, MultiTaskModel, answers
from mtl.training.samples import Samples
from mtl.trunk.recall import Recall
from mtl.types import Examples, MicroBatch, WriteBatch

CHUNK = 1000
"""Examples that a baseline answers at a time."""


class Evaluation(nn.Module):
    """Running scores of some tasks, each on one store of examples; ranks add up.

    Args:
        tasks: By name, with their labels learned or loaded.
        stores: The examples of each task that is scored.
    """

    def __init__(self, tasks: Mapping[str, Task], stores: Sequence[ExampleStore]) -> None:
        super().__init__()
        self.tasks = {store.task: tasks[store.task] for store in stores}
        self.stores = {store.task: store for store in stores}
        self.scores = nn.ModuleDict({name: scores_of(task) for name, task in self.tasks.items()})
        self.odd: dict[str, Tensor | int] = {}
        """How many logits of each task are not finite."""
        self.samples: Samples | None = None
        """Keeps what a report shows of the answers, where it is wanted."""
        self._recall = Recall()

    def metrics(self, task: str) -> MetricCollection:
        """Return a task's metrics."""
        found = self.scores[task]
        assert isinstance(found, MetricCollection)
        return found

    def reset(self) -> None:
        """Forget all examples."""
        self.odd = {}
        self._recall = Recall()
        if self.samples is not None:
            self.samples.reset()
        for name in self.tasks:
            self.metrics(name).reset()

    def count(self, model: MultiTaskModel, batch: MicroBatch | WriteBatch) -> list[Answered]:
        """Answer a batch, and count its examples, each once."""
        found = list(answers(model, batch, self.stores, self._recall))
        for answered in found:
            self.odd[answered.task] = self.odd.get(answered.task, 0) + answered.odd
            self.update(answered.task, answered.outputs, answered.examples)
            if self.samples is not None:
                self.samples.take(answered, written=isinstance(batch, WriteBatch))
        return found

    def update(self, task: str, outputs: Sequence[Any], examples: Examples) -> None:
        """Count a task's outputs of examples."""
        given = self.tasks[task].feed(outputs, examples)
        for metric in self.metrics(task).values():
            feed(metric, given)

    def forget_tuning(self) -> None:
        """Let tasks answer as if they had not been tuned: what is tuned on must be raw."""
        for task in self.tasks.values():
            task.learned = task.learned.model_copy(update=task.learned.raw)

    def tune(self) -> None:
        """Let tasks take from these scores what predictions need."""
        for name, task in self.tasks.items():
            task.learned = task.learned.tuned(self.metrics(name))

    def compute(self) -> dict[str, dict[str, float]]:
        """Return each task's scores over all ranks; every rank must call it."""
        return {name: computed(self.metrics(name)) for name in self.tasks}

    def tables(self, task: str) -> dict[str, list[Any]]:
        """Return a task's tables by name, each of rows of one type of :mod:`mtl.metrics.tables`."""
        metrics = self.metrics(task).items()
        return {name: m.table() for name, m in metrics if isinstance(m, TableMetric)}

    def score(
        self, scores: Mapping[str, Mapping[str, float]], without: Collection[str] = ()
    ) -> float:
        """Return the weighted mean of the tasks' primary metrics, of all tasks but some."""
        return aggregate(
            {
                name: (task.weight, scores[name][task.primary_metric], higher_is_better(task))
                for name, task in self.tasks.items()
                if name not in without
            }
        )


def computed(metrics: MetricCollection) -> dict[str, float]:
    """Return scores over all ranks."""
    with warnings.catch_warnings():  # A rank may have had no example.
        warnings.filterwarnings("ignore", message=r".*was called before the ``update``")
        return {name: float(value) for name, value in metrics.compute().items()}


def higher_is_better(task: Task, metric: str | None = None) -> bool:
    """Return the direction of a task's metric; of its primary one when None."""
    name = metric or task.primary_metric
    if name in task.metric_names:
        return name not in task.traits.lower_is_better
    return name not in scores_of(task) or scores_of(task)[name].higher_is_better is not False


def lower_is_better(task: Task) -> set[str]:
    """Return a task's metrics whose direction is not up."""
    return {name for name in own_metrics(task) if not higher_is_better(task, name)}


def scores_of(task: Task) -> MetricCollection:
    """Return a task's metrics, with those that its configuration adds.

    Raises:
        ConfigError: If one is unknown, cannot be made, or has the name of another.
    """
    metrics = task.metrics()
    where = f"tasks.{task.name}.metrics"
    for number, spec in enumerate(task.more_metrics):
        name, metric = build_metric(spec, task.learned.facts, f"{where}[{number}]")
        if name in metrics or name in task.metric_names:
            known = "another name than a metric that the task has already"
            raise ConfigError(Problem(f"{where}[{number}]", f"to be {known}", f"got '{name}'"))
        metrics.add_metrics({name: metric})
    return metrics


def check_metrics(task: Task, train: ExampleStore) -> None:
    """Try the metrics that a configuration adds on a task's guesses for training examples.

    Raises:
        ConfigError: If one cannot take what the task feeds it.
    """
    if task.more_metrics:
        some = train.select(range(min(TRIED, len(train))))
        given = task.feed(task.baseline(every(train))(some), some)
        added = scores_of(task)
        for name, metric in added.items():
            if not isinstance(metric, TableMetric):
                try_metric(name, metric, given, f"tasks.{task.name}.metrics")


def every(store: ExampleStore) -> Examples:
    """Return all examples of a store, none of which is read yet."""
    return Examples(store.examples, store.rows)


def baseline_scores(task: Task, train: ExampleStore, store: ExampleStore) -> dict[str, float]:
    """Return the scores of a task's guess, made from training, on other examples."""
    guess = task.baseline(every(train))
    evaluation = Evaluation({task.name: task}, [store])
    on_this_rank(evaluation.metrics(task.name))
    for start in range(0, len(store), CHUNK):
        examples = store.select(range(start, min(start + CHUNK, len(store))))
        evaluation.update(task.name, guess(examples), examples)
    return evaluation.compute()[task.name]
