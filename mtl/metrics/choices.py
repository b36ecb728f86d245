"""How often the right one of several choices has the highest score."""

from __future__ import annotations

import torch
from torch import Tensor

from mtl.metrics.scores import ValueScores
from mtl.metrics.tables import ratio


class ChoiceScores(ValueScores):
    """Accuracy where each row has choices of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.count("sums", 1, dtype=torch.float64)
        self.count("rows_and_choices", 2)

    def update(self, probabilities: Tensor, sizes: Tensor, target: Tensor) -> None:
        """Count rows.

        Args:
            probabilities: (G,) of the choices of all rows.
            sizes: (n,) how many choices each row has; their sum is G.
            target: (n,) the number of each row's right choice.
        """
        parts = torch.split(probabilities, sizes.tolist())
        right = [credit(part, at) for part, at in zip(parts, target.tolist(), strict=True)]
        self.add("sums", [sum(right)])
        self.add("rows_and_choices", [len(parts), len(probabilities)])

    def compute(self) -> dict[str, float]:
        """Return ``accuracy``; of several equally good choices each counts for its part."""
        return {"accuracy": ratio(float(self.counts("sums")[0]), self.over()["rows"])}

    def over(self) -> dict[str, int]:
        """Return the number of rows and of their choices."""
        rows, choices = self.counts("rows_and_choices").tolist()
        return {"rows": rows, "choices": choices}


def credit(scores: Tensor, right: int) -> float:
    """Return 1 if the right choice scores best, its part if it is one of several that do, or 0."""
    best = scores == scores.max()
    return float(best[right]) / float(best.sum())
