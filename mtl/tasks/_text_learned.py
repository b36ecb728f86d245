"""What training shows of texts' labels and numbers, and validation of their probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
import torch
from torchmetrics import MetricCollection

from mtl.config.section import Field, Values
from mtl.metrics.calibration import Calibration, Thresholds
from mtl.metrics.ranking import NAMES as RANKED
from mtl.tasks._weights import Counts
from mtl.tasks.base import Learned


class TextLearned(Learned):
    """Whether what training showed are pairs, and belongs to queries."""

    later: ClassVar[Values] = {"pair": False, "query": False, "least": None}
    pair: bool = False
    """Whether there is a second text beside each text."""
    query: bool = False
    """Whether rows belong to queries, and are ranked."""
    least: float | None = None
    """The grade from which on a row is relevant to its query; above 0 when None."""

    @property
    def without(self) -> dict[str, str]:
        """The numbers of a ranking where there are no queries."""
        return {} if self.query else dict.fromkeys(RANKED, "its rows belong to no queries")

    @property
    def wants(self) -> tuple[str, ...]:
        """The second text, where training had one."""
        return ("second",) if self.pair else ()


class LabelSet(TextLearned):
    """The labels of training, in the order of the head's outputs."""

    later: ClassVar[Values] = {**TextLearned.later, "temperature": 1.0, "counts": {}}
    labels: list[str] = Field(default_factory=list)
    counts: Counts = Field(default_factory=Counts)
    temperature: float = 1.0
    """What logits are divided by, so that probabilities mean what they say in validation."""

    @property
    def raw(self) -> Values:
        """No temperature."""
        return {"temperature": 1.0}

    def tuned(self, metrics: MetricCollection) -> Self:
        """Take the temperature that makes validation most likely."""
        found = metrics["calibration"]
        assert isinstance(found, Calibration)
        return self.model_copy(update={"temperature": found.temperature()})

    def shared(self, others: Sequence[LabelSet]) -> Values:
        """Return the labels of all."""
        return {"labels": sorted({n for o in (self, *others) for n in o.labels}, key=natural)}


class OneLabel(LabelSet):
    """Labels of which a text has one."""

    @property
    def facts(self) -> Values:
        """How many labels there are."""
        return {"task": "multiclass", "num_classes": len(self.labels)}


class ManyLabels(LabelSet):
    """Labels of which a text has any number."""

    later: ClassVar[Values] = {**LabelSet.later, "thresholds": []}
    thresholds: list[float] = Field(default_factory=list)
    """Above which probability each label is given; a half for all where there are none."""

    @property
    def raw(self) -> Values:
        """Neither temperature nor thresholds."""
        return {**super().raw, "thresholds": []}

    def tuned(self, metrics: MetricCollection) -> Self:
        """Take each label's best threshold, of probabilities as the temperature makes them."""
        learned = super().tuned(metrics)
        if "thresholds" not in metrics:
            return learned
        found = metrics["thresholds"]
        assert isinstance(found, Thresholds)
        raw = torch.tensor(found.best(), dtype=torch.float64)
        thresholds = (raw.logit() / learned.temperature).sigmoid().tolist()
        return learned.model_copy(update={"thresholds": thresholds})

    @property
    def facts(self) -> Values:
        """How many labels there are."""
        return {"task": "multilabel", "num_labels": len(self.labels)}


class Numbers(TextLearned):
    """Mean and spread of training's numbers, by which targets are standardised."""

    mean: float = 0.0
    spread: float = 1.0

    def shared(self, others: Sequence[Numbers]) -> Values:
        """Return the mean of both."""
        everyone = (self, *others)
        return {n: float(np.mean([getattr(o, n) for o in everyone])) for n in ("mean", "spread")}


def natural(label: str) -> tuple[int, float, str]:
    """Sort numbers by value, before words; a word such as ``nan`` is no number."""
    try:
        value = float(label)
    except ValueError:
        value = math.nan
    return (0, value, label) if math.isfinite(value) else (1, 0.0, label)
