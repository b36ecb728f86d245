"""How Lightning's Trainer is told which process of how many this is."""

from __future__ import annotations

from typing import Any

from lightning.fabric.plugins.environments import ClusterEnvironment, TorchElasticEnvironment
from lightning.pytorch.strategies import DDPStrategy, Strategy

from mtl.config.schema import TrainerConfig
from mtl.launch.place import launcher, place
from mtl.reporting.console import note
from mtl.training.sharding import InParts


def processes(options: TrainerConfig) -> dict[str, Any]:
    """Return the Trainer's `devices`, `num_nodes` and `strategy`.

    Where a launcher has started this process, its numbers hold.
    """
    here = place()
    if here is None or here.world == 1:
        if options.strategy == "fsdp":
            note("trainer.strategy=fsdp: one process has nobody to share the model with.")
        return {"devices": 1, "num_nodes": 1, "strategy": "auto"}
    if launcher() and options.devices not in (1, -1, here.local_world):
        note(
            f"trainer.devices: {launcher()} started {here.local_world} processes on each machine, "
            f"which counts instead of {options.devices}."
        )
    return {
        "devices": here.local_world,
        "num_nodes": here.nodes,
        "strategy": _strategy(options.strategy, here.world),
    }


def environment() -> list[ClusterEnvironment]:
    """Return the Trainer's plugin that says which process this is, if it is one of several."""
    here = place()
    return [] if here is None or here.world == 1 else [TorchElasticEnvironment()]


def _strategy(name: str, world: int) -> Strategy:
    if name == "fsdp":
        return InParts(world)
    # Buffers are the same on every rank and never change: no need to send them in every pass.
    return DDPStrategy(broadcast_buffers=False)
