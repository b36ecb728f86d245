"""Official scores of files of predictions, without a model: what ``mtl score`` prints."""

from mtl.inference.score.spans import score_spans
from mtl.inference.score.tagging import TaggingScore, score_tagging
from mtl.inference.score.texts import score_texts

__all__ = ["TaggingScore", "score_spans", "score_tagging", "score_texts"]
