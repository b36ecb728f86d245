"""torchmetrics shells: counts as state, summed across ranks; the arithmetic is in pure functions.

Every state is of fixed size, int64 or float64, and reduced by ``sum``: never logits, never text.
``compute()`` gives scores on 0 to 1 (errors in the data's unit), ``table()`` rows for reports.
"""

from mtl.metrics.shells.classification import ClassificationMetric, MultiLabelMetric
from mtl.metrics.shells.likelihood import LikelihoodMetric
from mtl.metrics.shells.regression import RegressionMetric
from mtl.metrics.shells.tagging import EntityMetric, TokenTable
from mtl.metrics.shells.text import AnswerMetric, RougeMetric

__all__ = [
    "AnswerMetric",
    "ClassificationMetric",
    "EntityMetric",
    "LikelihoodMetric",
    "MultiLabelMetric",
    "RegressionMetric",
    "RougeMetric",
    "TokenTable",
]
