"""Runs in this process, past Hydra: a tiny trunk, a small corpus, and configurations for both."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from safetensors.torch import load_file
from torch import Tensor

from mtl.config.schema import Config, DataConfig, TaskConfig
from mtl.data.datamodule import MultiTaskData
from mtl.training.checkpoint import read_checkpoint
from mtl.training.module import MultiTaskModule
from mtl.training.setup import Prepared, prepare

Weights = dict[str, Tensor]

TASKS: dict[str, Callable[[], TaskConfig]] = {
    "ner": lambda: TaskConfig(
        type="token_classification",
        columns={"text": "text", "tokens": "tokens", "labels": "ner_tags"},
    ),
    "sentiment": lambda: TaskConfig(
        type="text_classification", columns={"text": "text", "label": "sentiment"}
    ),
    "rating": lambda: TaskConfig(
        type="text_classification",
        columns={"text": "text", "label": "stars"},
        options={"problem": "regression"},
    ),
    "gist": lambda: TaskConfig(
        type="generation",
        columns={"text": "text", "target": "sentiment"},
        options={"prompt": " So:", "max_new_tokens": 4, "max_target_tokens": 12},
    ),
}


@dataclass(frozen=True)
class Site:
    """Where the trunk and the corpus lie."""

    trunk: Path
    data: Path

    def config(self, *names: str, **changes: Any) -> Config:
        """Return a configuration of some of `TASKS`.

        Args:
            names: The tasks.
            changes: Keys, with two underscores for each dot.
        """
        cfg = Config(tasks={name: TASKS[name]() for name in names})
        for task in cfg.tasks.values():
            task.data = DataConfig(source=str(self.data))
        quick = {
            "trunk.name": "hf",
            "trunk.path": str(self.trunk),
            "trunk.lr": 1e-2,
            "balancing.name": "sum",  # Composed, it would be chosen.
            "head.lr": 5e-2,
            "batching.examples": 6,
            "batching.tokens": 40,
            "trainer.accelerator": "cpu",
            "trainer.max_steps": 4,
            "trainer.threads": 1,
            "trainer.progress": False,
            "logger.names": [],
        }
        for key, value in {**quick, **changes}.items():
            change(cfg, key.replace("__", "."), value)
        return cfg


def change(cfg: Config, key: str, value: Any) -> None:
    """Set one dotted key."""
    *parents, last = key.split(".")
    node: Any = cfg
    for name in parents:
        node = node[name] if isinstance(node, dict) else getattr(node, name)
    if isinstance(node, dict):
        node[last] = value
    else:
        assert hasattr(node, last), key
        setattr(node, last, value)


def module_of(cfg: Config, prepared: Prepared, steps: int | None = None) -> MultiTaskModule:
    """Return the module that trains what was prepared."""
    data = prepared.data
    cfg = cfg.model_copy(deep=True)
    cfg.trainer.log_every_n_steps = 1
    return MultiTaskModule(
        prepared.model,
        cfg,
        steps=steps or data.steps,
        stores={"val": data.validation, "test": data.test},
    )


def fit(
    module: L.LightningModule,
    data: MultiTaskData,
    *,
    steps: int = 1,
    callbacks: Sequence[L.Callback] = (),
    **options: Any,
) -> L.Trainer:
    """Train some steps, without files, and without validation unless `options` ask for it."""
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=1,
        max_steps=steps,
        **{"limit_val_batches": 0, **options},
        num_sanity_val_steps=0,
        logger=False,
        callbacks=list(callbacks),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )
    trainer.fit(module, datamodule=data)
    return trainer


def prepared(cfg: Config, folder: Path) -> Prepared:
    """Prepare a run in a folder."""
    return prepare(cfg, folder)


def weights(module: torch.nn.Module) -> Weights:
    """Return a copy of a module's weights."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def saved(run: Path) -> Weights:
    """Return all weights of a run's `model/` folder, by file and name."""
    return {
        f"{file.name}:{name}": value
        for file in sorted((run / "model").glob("*.safetensors"))
        for name, value in load_file(file).items()
    }


def last_weights(run: Path) -> Weights:
    """Return the weights of a run's latest checkpoint."""
    found: Weights = read_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"]
    return found


def metrics(run: Path) -> dict[str, float]:
    """Return a run's `metrics.json`."""
    found: dict[str, float] = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    return found


def differing(some: Weights, others: Weights) -> list[str]:
    """Return the names whose values are not equal bit for bit."""
    assert some.keys() == others.keys()
    return [name for name, value in some.items() if not torch.equal(value, others[name])]
