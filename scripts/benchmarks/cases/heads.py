"""Seconds of a step with 1, 4, 16 and 64 classification heads, which read the same documents."""

from __future__ import annotations

from collections.abc import Callable

from scripts.benchmarks.ours import Training
from scripts.benchmarks.runner import Case, Check, Prepared, Ratio, Settings

COUNTS = (1, 4, 16, 64)
DOCUMENTS = 32
"""Of a step; every head reads all of them."""


def line(heads: int, documents: int) -> list[str]:
    """Return what `train.py` is told: the task and copies of it under other names."""
    found = [
        "task=sentiment",
        "balancing=sum",
        "trunk=tiny",
        "tasks.sentiment.head.pooling=last",
        f"tasks.sentiment.data.max_train_examples={documents}",
        f"batching.examples={heads * DOCUMENTS}",
        f"batching.max_branches={heads}",
        "logger=csv",
        "seed=1",
    ]
    for number in range(1, heads):
        name = f"+tasks.sentiment_{number}"
        found += [
            f"{name}.type=text_classification",
            f"{name}.metric=accuracy",
            f"{name}.columns={{text: text, label: sentiment}}",
            f"{name}.head={{dropout: 0.1, pooling: last}}",
            f"{name}.data={{source: 'bundled:newsroom', max_train_examples: {documents}}}",
        ]
    return found


def prepare(settings: Settings) -> Prepared:
    """Build a run for each number of heads; their epochs have the same documents."""
    steps = settings.pick(9, 3)
    runs = {n: Training(line(n, steps * DOCUMENTS), settings.threads) for n in COUNTS}

    def side(run: Training) -> Callable[[], float]:
        def seconds() -> float:
            timing = run.round(steps + 2)
            return timing.seconds / timing.tokens

        return seconds

    def tokens(run: Training) -> int:
        found = [m for n in range(steps) for m in run.step(n).micro_batches]
        return sum(int((m.trunk.unit >= 0).sum()) for m in found)

    counted = {n: tokens(run) for n, run in runs.items()}
    return Prepared(
        unit="seconds a real token",
        sides={f"{n} heads": side(run) for n, run in runs.items()},
        ratios=[
            Ratio(f"{n} heads against 1", f"{n} heads", "1 heads", 1.05 if n == 16 else None, False)
            for n in COUNTS[1:]
        ],
        checks=[
            Check(f"an epoch's tokens, {n} heads", counted[n], counted[1], 0) for n in COUNTS[1:]
        ],
        warm_up=False,  # Every round begins with steps that are not timed.
    )


CASE = Case("heads", "heads on one trunk that read the same documents", prepare)
