"""What a run says when it begins to train."""

from __future__ import annotations

from pathlib import Path

import lightning as L
import torch

from mtl.config.schema import Config
from mtl.reporting.console import console
from mtl.reporting.opening import Opening, opening_lines
from mtl.training.setup import Prepared


class TellOpening(L.Callback):
    """Says what the run is made of, on the first rank.

    Args:
        cfg: The run's configuration.
        run_dir: The run's folder.
        prepared: What was built of it.
    """

    def __init__(self, cfg: Config, run_dir: Path, prepared: Prepared) -> None:
        self.cfg = cfg
        self.run_dir = run_dir
        self.prepared = prepared

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Print the lines."""
        if not trainer.is_global_zero:
            return
        data, trunk = self.prepared.data, self.prepared.model.trunk
        device = trainer.strategy.root_device
        searches = self.cfg.trainer.auto_scale_tokens and self.cfg.resume is None
        on_cpu = device.type == "cpu"
        stores = (data.train, data.validation, data.test)
        sizes = [{store.task: len(store) for store in found} for found in stores]
        facts = Opening(
            tasks={t.name: [split.get(t.name, 0) for split in sizes] for t in self.prepared.tasks},
            trunk=self.cfg.trunk.path or self.cfg.trunk.name,
            kind=trunk.config.model_type,
            parameters=sum(p.numel() for p in trunk.parameters()),
            tuning=self.cfg.tuning.name,
            device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
            processes=trainer.world_size,
            threads=torch.get_num_threads() if on_cpu else None,
            precision=str(trainer.precision),
            steps=data.steps,
            steps_per_epoch=data.planner.steps_per_epoch,
            examples=self.cfg.batching.examples,
            tokens=None if searches else data.batching.tokens,
            folder=self.run_dir,
            bf16_units=on_cpu and multiplies_bf16(),
        )
        for line in opening_lines(facts):
            console().print(line, soft_wrap=True)


def multiplies_bf16() -> bool:
    """Return whether this CPU has units for products of bf16 numbers, and PyTorch uses them."""
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in names)
