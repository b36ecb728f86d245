"""torchmetrics shells: counts as state, summed across ranks; the arithmetic is in pure functions.

Every state is of fixed size, int64 or float64, and reduced by ``sum``: never logits, never text.
``compute()`` gives scores on 0 to 1 (errors in the data's unit), ``table()`` rows for reports.
"""

from mtl.metrics.shells.classification import ClassificationMetric, MultiLabelMetric
from mtl.metrics.shells.perplexity import PerplexityMetric
from mtl.metrics.shells.regression import RegressionMetric
from mtl.metrics.shells.tagging import EntityMetric, TokenTable
from mtl.metrics.shells.text import AnswerMetric, RougeMetric
from mtl.metrics.shells.translation import TranslationMetric

__all__ = [
    "AnswerMetric",
    "ClassificationMetric",
    "EntityMetric",
    "MultiLabelMetric",
    "PerplexityMetric",
    "RegressionMetric",
    "RougeMetric",
    "TokenTable",
    "TranslationMetric",
]
