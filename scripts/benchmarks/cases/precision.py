"""Real tokens a second in float32 and in bfloat16 mixed precision, MiniLM on CoNLL-2003."""

from __future__ import annotations

from collections.abc import Callable

from scripts.benchmarks.cases.ner_tokens import settings_of
from scripts.benchmarks.ours import Training
from scripts.benchmarks.runner import Case, Check, Prepared, Ratio, Settings

PRECISIONS = ("32-true", "bf16-mixed")


def prepare(settings: Settings) -> Prepared:
    """Build both runs; they begin with the same weights."""
    runs = {
        name: Training(settings_of(settings, f"trainer.precision={name}"), settings.threads)
        for name in PRECISIONS
    }
    steps = settings.pick(16, 5)

    def side(run: Training) -> Callable[[], float]:
        def rate() -> float:
            timing = run.round(steps)
            return timing.tokens / timing.seconds

        return rate

    full, mixed = (runs[name] for name in PRECISIONS)
    return Prepared(
        unit="real tokens/s",
        sides={name: side(run) for name, run in runs.items()},
        ratios=[Ratio("bf16-mixed against float32", "bf16-mixed", "32-true")],
        checks=[Check("the loss, computed in float32", mixed.loss(), full.loss(), 1e-6)],
        warm_up=False,
    )


CASE = Case("precision", "float32 and bfloat16, MiniLM", prepare, ("conll2003",))
