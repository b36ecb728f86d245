"""What tracking costs: a step with all loggers on, and with none."""

from __future__ import annotations

import os

from scripts.benchmarks.ours import Training
from scripts.benchmarks.runner import Case, Check, Prepared, Ratio, Settings

LINE = ["task=[ner,sentiment]", "trunk=tiny", "balancing=sum", "seed=1"]
SIDES = {
    "tracked": ["logger=[csv,tensorboard,wandb]", "logger.wandb.mode=offline"],
    "not tracked": ["logger=none"],
}
"""Every ten steps, as runs log by default."""


def prepare(settings: Settings) -> Prepared:
    """Build both runs, which take the same steps from the same weights."""
    os.environ.setdefault("WANDB_SILENT", "true")
    steps = settings.pick(60, 20)
    runs = {name: Training([*LINE, *more], settings.threads) for name, more in SIDES.items()}
    losses = [run.loss() for run in runs.values()]
    return Prepared(
        unit="seconds",
        sides={name: lambda run=run: run.round(steps).seconds for name, run in runs.items()},
        ratios=[Ratio("a step that is tracked", "tracked", "not tracked", 1.03, False)],
        checks=[Check("loss of the first step", losses[0], losses[1], 0)],
    )


CASE = Case("tracking", "a step with every logger against one with none", prepare)
