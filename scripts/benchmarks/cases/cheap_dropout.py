"""What dropout's own random numbers save of a MiniLM step; 5% on two cores is why they are kept."""

from __future__ import annotations

import contextlib
from unittest import mock

from scripts.benchmarks.cases.ner_tokens import settings_of
from scripts.benchmarks.ours import Training
from scripts.benchmarks.runner import Case, Prepared, Ratio, Settings


def prepare(settings: Settings) -> Prepared:
    """Build one run for both sides."""
    training = Training(settings_of(settings, "trunk.dropout=0.1"), settings.threads)
    steps = settings.pick(42, 8)

    def rate() -> float:
        timing = training.round(steps)
        return float(timing.tokens / timing.seconds)

    nothing = contextlib.nullcontext()

    def plain() -> float:
        with mock.patch("mtl.training.module.cheap_dropout", return_value=nothing):
            return rate()

    return Prepared(
        unit="real tokens/s",
        sides={"mtl": rate, "PyTorch's dropout": plain},
        ratios=[Ratio("against PyTorch's dropout", "mtl", "PyTorch's dropout", 1.05)],
    )


CASE = Case("cheap_dropout", "CoNLL-2003, MiniLM, dropout 0.1", prepare, ("conll2003",))
