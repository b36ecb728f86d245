"""What classes weigh in a loss, by name or by how often training has them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from mtl.config.section import Field, Lower, Number, Section
from mtl.errors import ConfigError, Problem, one_of, truth_advice
from mtl.tasks.base import HeadOptions, Task


class Counts(Section):
    """How often training has each label; empty where nothing asks."""

    labels: dict[str, int] = Field(default_factory=dict)
    targets: int = 0
    """Rows or words in all; with any number of labels a row, not their sum."""


class FocalOptions(HeadOptions):
    """Which loss a head has."""

    loss: Annotated[Literal["cross_entropy", "focal"], Lower] = "cross_entropy"
    """``cross_entropy``, or ``focal``: what is right already counts less (Lin et al. 2017)."""
    focal_gamma: Number = Field(2.0, ge=0)
    """For ``focal``: how much less; 0 is cross-entropy."""

    own: ClassVar[tuple[str, ...]] = (*HeadOptions.own, "loss", "focal_gamma")


class WeightOptions(FocalOptions):
    """Which loss a head of labels has, and what each label weighs in it."""

    label_smoothing: Number = Field(0.0, ge=0, lt=1)
    """Share of the target that is spread evenly over all labels. For one label of several, by
    cross-entropy."""
    class_weights: dict[str, Annotated[Number, Field(ge=0)]] | None = None
    """Weight of each label in the loss; labels not named weigh what `class_weighting` says."""
    class_weighting: Annotated[Literal["equal", "balanced", "effective"], Lower] = "equal"
    """``equal``: labels weigh 1; ``balanced``: less, the more often training has them;
    ``effective``: the same by the effective number of rows (Cui et al. 2019)."""
    effective_beta: Number = Field(0.999, ge=0, lt=1)
    """For ``effective``: the nearer to 1, the more like ``balanced``."""

    own: ClassVar[tuple[str, ...]] = (
        *FocalOptions.own,
        "label_smoothing",
        "class_weights",
        "class_weighting",
        "effective_beta",
    )


def count(task: Task, labels: Callable[[], Iterable[str]], targets: int | None = None) -> Counts:
    """Return how often labels occur, where the task's head asks for it.

    Args:
        task: Whose head has :class:`WeightOptions`.
        labels: Returns those of training, each as often as it occurs.
        targets: How many rows have them, if any number of labels may be of one row.
    """
    if task.head_options.class_weighting == "equal":
        return Counts()
    found = Counter(labels())
    return Counts(labels=dict(found), targets=found.total() if targets is None else targets)


def pool_counts(tasks: Sequence[Task]) -> None:
    """Give tasks that share a head what all of them counted together, so that weights are one."""
    counts = [getattr(task.learned, "counts", None) for task in tasks]
    found = [one for one in counts if isinstance(one, Counts)]
    if len(found) < len(tasks):
        return
    labels = sum((Counter(one.labels) for one in found), Counter[str]())
    pooled = Counts(labels=dict(labels), targets=sum(one.targets for one in found))
    for task in tasks:
        task.learned = task.learned.model_copy(update={"counts": pooled})


def loss_of(task: Task, labels: Sequence[str], *, several: bool = False) -> dict[str, Any]:
    """Return what a head of labels is told of its loss: ``class_weights`` and ``gamma``.

    Args:
        task: Whose head has :class:`WeightOptions`.
        labels: In the order of the head's outputs.
        several: Whether a row may have any number of labels.

    Raises:
        ConfigError: If a label is named that there is not, or options do not go together.
    """
    name, head = task.name, task.head_options
    by_rows = head.class_weighting == "effective"
    _refuse_idle(name, head, "effective_beta", not by_rows, "head.class_weighting=effective")
    _refuse_idle(name, head, "label_smoothing", head.loss == "focal", "head.loss=cross_entropy")
    weights = label_weights(task, labels, several=several)
    return {"class_weights": weights, "gamma": gamma_of(name, head)}


def label_weights(task: Task, labels: Sequence[str], *, several: bool = False) -> list[float]:
    """Return the weight of each label in the loss, as the head's options say.

    ``balanced`` is what scikit-learn means by it: the mean number of rows of a label over the
    label's own; with any number of labels a row, the rows without a label over those with it.
    Labels that no row has, or every row, weigh 1.

    Raises:
        ConfigError: If a label is named that there is not.
    """
    head = task.head_options
    named = head.class_weights or {}
    for label in named:
        if label not in labels:
            problem = one_of(f"tasks.{task.name}.head.class_weights", label, labels)
            advice = truth_advice(label) or problem.advice
            raise ConfigError(replace(problem, advice=advice))
    if head.class_weighting == "equal":
        return [float(named.get(label, 1.0)) for label in labels]
    counts = task.learned.counts  # type: ignore[attr-defined]
    beta = head.effective_beta if head.class_weighting == "effective" else 1.0
    rows = [counts.labels.get(label, 0) for label in labels]
    amounts = [effective(n, beta) for n in rows]
    if several:
        others = [effective(counts.targets - n, beta) for n in rows]
    else:
        others = [sum(amounts) / max(1, sum(n > 0 for n in rows))] * len(rows)
    weights = [o / a if a and o else 1.0 for o, a in zip(others, amounts, strict=True)]
    return [float(named.get(label, w)) for label, w in zip(labels, weights, strict=True)]


def effective(rows: int, beta: float) -> float:
    """Return the effective number of rows, ``(1 - beta ** n) / (1 - beta)``.

    Cui et al. 2019, "Class-Balanced Loss Based on Effective Number of Samples", proposition 1. With
    a beta of 1 it is the number itself, and with 0 it is 1.
    """
    if beta == 1 or rows == 0:
        return float(rows)
    return -math.expm1(rows * math.log(beta)) / (1 - beta) if beta else 1.0


def gamma_of(name: str, head: FocalOptions) -> float:
    """Return the exponent of a head's focal loss; 0 where its loss is another one.

    Raises:
        ConfigError: If it is set and has no effect.
    """
    _refuse_idle(name, head, "focal_gamma", head.loss == "cross_entropy", "head.loss=focal")
    return head.focal_gamma if head.loss == "focal" else 0.0


def refuse_weights(name: str, head: WeightOptions, loss: str) -> None:
    """Refuse options of losses of single labels for a loss that is another one.

    Raises:
        ConfigError: If one is set.
    """
    for key in ("loss", "label_smoothing", "class_weights", "class_weighting"):
        given = getattr(head, key)
        if given != type(head).model_fields[key].default:
            expected = f"to be unset, because {loss} is of whole texts"
            raise ConfigError(Problem(f"tasks.{name}.head.{key}", expected, f"got {given}"))


def _refuse_idle(name: str, head: HeadOptions, key: str, idle: bool, wants: str) -> None:
    """Refuse an option that would have no effect.

    Raises:
        ConfigError: If it is not as it is by default.
    """
    given = getattr(head, key)
    if idle and given != type(head).model_fields[key].default:
        expected = f"to be unset, because it is for {wants}"
        raise ConfigError(Problem(f"tasks.{name}.head.{key}", expected, f"got {given}"))
