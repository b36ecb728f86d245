"""How the tasks' losses become one update: one file a family, each method under its name."""

from mtl.training.balancing.base import (
    BALANCINGS,
    Balancer,
    Balancing,
    Losses,
    Moment,
    build_balancing,
)
from mtl.training.balancing.checks import refusals
from mtl.training.balancing.famo import Famo
from mtl.training.balancing.scalarizers import (
    DynamicWeightAverage,
    GeometricMean,
    LossScales,
    RandomWeights,
    Uncertainty,
)

__all__ = [
    "BALANCINGS",
    "Balancer",
    "Balancing",
    "DynamicWeightAverage",
    "Famo",
    "GeometricMean",
    "LossScales",
    "Losses",
    "Moment",
    "RandomWeights",
    "Uncertainty",
    "build_balancing",
    "refusals",
]
