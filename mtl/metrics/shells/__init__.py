"""torchmetrics shells: counts as state, summed across ranks; the arithmetic is in pure functions.

States are int64 or float64: of fixed size and reduced by ``sum``, or, where a threshold is
searched, a few numbers an example that ranks join. Never logits, never text.
``compute()`` gives scores on 0 to 1 (errors in the data's unit), ``table()`` rows for reports.
"""

from mtl.metrics.shells.answers import SpanMetric
from mtl.metrics.shells.classification import ClassificationMetric, MultiLabelMetric
from mtl.metrics.shells.likelihood import LikelihoodMetric
from mtl.metrics.shells.perplexity import PerplexityMetric
from mtl.metrics.shells.regression import RegressionMetric
from mtl.metrics.shells.tagging import EntityMetric, TokenTable
from mtl.metrics.shells.text import AnswerMetric, RougeMetric
from mtl.metrics.shells.translation import TranslationMetric

__all__ = [
    "AnswerMetric",
    "ClassificationMetric",
    "EntityMetric",
    "LikelihoodMetric",
    "MultiLabelMetric",
    "PerplexityMetric",
    "RegressionMetric",
    "RougeMetric",
    "SpanMetric",
    "TokenTable",
    "TranslationMetric",
]
