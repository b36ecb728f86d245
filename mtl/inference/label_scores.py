"""Probabilities of labels that heads give, beside the answers that are made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from mtl.data.store import ExampleStore
from mtl.inference.predictor import RowPredictor
from mtl.tasks import Task
from mtl.types import Encoded, Examples

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class LabelScores:
    """What a head says of one example."""

    probabilities: Floats
    """(G, C): of each label, for each place that is labelled: the text, or a word of it."""
    answer: Any
    """The task's own output."""
    example: Encoded


def choosing(predictor: RowPredictor, names: Sequence[str]) -> list[str]:
    """Return the tasks whose heads give labels probabilities."""
    return [name for name in names if predictor.model.head(name).chooses is not None]


def label_scores(
    predictor: RowPredictor,
    stores: Sequence[ExampleStore],
    advance: Callable[[int], None] | None = None,
) -> dict[str, list[LabelScores]]:
    """Return what the heads of some tasks say of examples, from one pass for all.

    Args:
        predictor: The model.
        stores: One a task, all of which must be :func:`choosing`.
        advance: Called with how many more examples are answered, for a progress bar.
    """

    def decode(name: str, logits: Tensor, examples: Examples) -> list[LabelScores]:
        temperature = getattr(predictor.tasks[name].learned, "temperature", 1.0)
        found = predictor.model.head(name).probabilities(logits.detach().float() / temperature)
        parts = found.cpu().split(examples.sizes) if len(logits) else [found.cpu()] * len(examples)
        outputs = predictor.tasks[name].decode(logits, examples)
        return [
            LabelScores(part.numpy(), output, example)
            for part, output, example in zip(parts, outputs, examples.encoded, strict=True)
        ]

    scores: dict[str, dict[int, LabelScores]] = {store.task: {} for store in stores}
    for answered in predictor.outputs(stores, decode=decode):
        scores[answered.task].update(zip(answered.numbers, answered.outputs, strict=True))
        if advance is not None:
            advance(len(answered.outputs))
    return {name: [own[number] for number in sorted(own)] for name, own in scores.items()}


def labels_of(task: Task) -> list[str]:
    """Return the labels of a task, in the order of its head's outputs."""
    return list(getattr(task.learned, "labels", []))
