"""How the tasks' losses become one update: one file a family, each method under its name.

Gradients of single tasks are in :mod:`mtl.training.balancing.gradients`, not imported here: a
configuration is checked without Lightning.
"""

from mtl.training.balancing.aggregators import AGGREGATORS, Aggregation
from mtl.training.balancing.base import (
    BALANCINGS,
    Balancer,
    Balancing,
    Losses,
    Moment,
    build_balancing,
)
from mtl.training.balancing.checks import refusals
from mtl.training.balancing.equal_norms import EqualNorms
from mtl.training.balancing.famo import Famo
from mtl.training.balancing.gradnorm import GradNorm
from mtl.training.balancing.scalarizers import (
    DynamicWeightAverage,
    GeometricMean,
    LossScales,
    RandomWeights,
    Uncertainty,
)

__all__ = [
    "AGGREGATORS",
    "BALANCINGS",
    "Aggregation",
    "Balancer",
    "Balancing",
    "DynamicWeightAverage",
    "EqualNorms",
    "Famo",
    "GeometricMean",
    "GradNorm",
    "LossScales",
    "Losses",
    "Moment",
    "RandomWeights",
    "Uncertainty",
    "build_balancing",
    "refusals",
]
