"""How the tasks' losses become one update: one file a family, each method under its name."""

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
from mtl.training.balancing.famo import Famo
from mtl.training.balancing.gradients import TaskGradients, steps_by_task
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
    "Famo",
    "GeometricMean",
    "GradNorm",
    "LossScales",
    "Losses",
    "Moment",
    "RandomWeights",
    "TaskGradients",
    "Uncertainty",
    "build_balancing",
    "refusals",
    "steps_by_task",
]
