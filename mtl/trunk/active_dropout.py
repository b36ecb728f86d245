"""Whether a trunk's passes in training are random."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from transformers import PreTrainedModel

HEADS = ("classifier", "seq_classif", "qa_", "summary")
"""How the rates of heads begin that a trunk does not have."""


def active_dropout(model: PreTrainedModel) -> str | None:
    """Return the first setting that makes passes in training random, as ``key=rate``, if any."""
    for key, value in vars(model.config).items():
        rate = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
        if rate and ("drop" in key or key.endswith("pdrop")) and not key.startswith(HEADS):
            return f"{key}={value}"
    for name, module in model.named_modules():
        if isinstance(module, nn.Dropout) and module.p > 0:
            return f"{name}={module.p}"
    return None
