"""Lightning's Trainer as a run's configuration wants it, with the callbacks that belong to it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.environments import TorchElasticEnvironment
from lightning.pytorch.callbacks import EarlyStopping, LambdaCallback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from mtl.config.schema import Config, TrainerConfig
from mtl.data.datamodule import MultiTaskData
from mtl.errors import ConfigError
from mtl.launch.place import launcher, place, several
from mtl.reporting.console import note
from mtl.reporting.progress import ProgressReport
from mtl.training.allocator import give_back_regularly
from mtl.training.budget import scale_tokens
from mtl.training.checkpoint import AtomicCheckpointIO, RunCheckpoint
from mtl.training.sharding import strategy_of
from mtl.training.state_cache import StateCache

STATES = "states"
"""Folder that holds a frozen trunk's states: of a run while it trains, or one that runs share."""


def build_trainer(
    cfg: Config,
    run_dir: Path,
    data: MultiTaskData,
    keeper: RunCheckpoint,
    callbacks: Sequence[L.Callback],
    loggers: Sequence[Logger],
    last_step: int,
) -> L.Trainer:
    """Return the Trainer of a run, in whose callbacks `keeper` comes last.

    Raises:
        ConfigError: If Lightning refuses the settings.
    """
    try:
        return L.Trainer(
            **_options(cfg, data, last_step),
            logger=list(loggers) or False,
            callbacks=[*callbacks, *_callbacks(cfg, run_dir, data, keeper), keeper],
            default_root_dir=run_dir,
        )
    except (MisconfigurationException, TypeError, ValueError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise ConfigError(
            f"Expected the settings of `trainer` to fit each other and this machine, but Lightning "
            f"refuses them: {reason}."
        ) from error


def _callbacks(
    cfg: Config, run_dir: Path, data: MultiTaskData, keeper: RunCheckpoint
) -> list[L.Callback]:
    options = cfg.trainer
    progress = ProgressReport(
        data.steps,
        enabled=options.progress,
        monitor=cfg.monitor,
        higher_is_better=keeper.sign > 0,
    )
    callbacks: list[L.Callback] = [progress, give_back_regularly()]
    if options.auto_scale_tokens and cfg.resume is None:
        find: Any = partial(scale_tokens, data)
        callbacks.append(LambdaCallback(on_fit_start=find))
    callbacks += _state_cache(cfg, run_dir, data)  # which depends on the budget
    early = cfg.callbacks.early_stopping
    if early.patience is not None:
        callbacks.append(
            EarlyStopping(
                cfg.monitor,
                patience=early.patience,
                min_delta=early.min_delta,
                mode="max" if keeper.sign > 0 else "min",
                check_on_train_epoch_end=False,
                check_finite=False,  # `trainer.non_finite` says what to do
                verbose=False,
            )
        )
    return callbacks


def _options(cfg: Config, data: MultiTaskData, last_step: int) -> dict[str, Any]:
    options = cfg.trainer
    interval = options.val_check_interval or data.planner.steps_per_epoch
    return {
        "accelerator": options.accelerator,
        **_processes(options),
        "precision": _precision(options.precision, options.accelerator),
        "max_epochs": 1,  # The loader spans the whole run; its steps end it.
        "max_steps": last_step,
        "val_check_interval": min(interval, data.steps),
        "check_val_every_n_epoch": None,
        "num_sanity_val_steps": 0,
        "log_every_n_steps": 1,
        "plugins": [AtomicCheckpointIO(), *([TorchElasticEnvironment()] if several() else [])],
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "use_distributed_sampler": False,
        "inference_mode": options.strategy != "fsdp",  # Whose gathered parameters are used again.
        "deterministic": options.deterministic,
        "profiler": options.profiler,
        "detect_anomaly": options.detect_anomaly,
    }


def _processes(options: TrainerConfig) -> dict[str, Any]:
    """Return the Trainer's `devices`, `num_nodes` and `strategy`; a launcher's numbers hold."""
    here = several()
    if here is None:
        if options.strategy == "fsdp":
            note("trainer.strategy=fsdp: one process has nobody to share the model with.")
        return {"devices": 1, "num_nodes": 1, "strategy": "auto"}
    if launcher() and options.devices not in (1, -1, here.local_world):
        note(
            f"trainer.devices: {launcher()} started {here.local_world} processes on each machine, "
            f"which counts instead of {options.devices}."
        )
    strategy = strategy_of(options.strategy, here.world)
    return {"devices": here.local_world, "num_nodes": here.nodes, "strategy": strategy}


def _state_cache(cfg: Config, run_dir: Path, data: MultiTaskData) -> list[L.Callback]:
    """Return what keeps a frozen trunk's states, where the run reads them more than once."""
    options = cfg.tuning
    if options.name != "frozen" or options.cache == "false":
        return []
    if cfg.trainer.strategy == "fsdp":  # Ranks run every layer together, or none.
        if options.cache == "true":
            raise ConfigError(
                "Expected `tuning.cache` to be auto or false under fsdp, but got true."
            )
        return []
    again = options.cache_dir is not None or data.steps > data.planner.steps_per_epoch
    here = place()
    near = options.cache_dir is not None or here is None or here.nodes == 1
    forced = options.cache == "true"
    if not forced and not (again and near):
        return []
    folder = run_dir if options.cache_dir is None else Path(options.cache_dir).expanduser()
    return [StateCache(folder / STATES, forced=forced)]


def _precision(asked: str, accelerator: str) -> str:
    """Fall back to float32, and say so, where bf16 is asked for and the GPU has none."""
    on_gpu = torch.cuda.is_available() and accelerator in ("auto", "gpu", "cuda")
    if "bf16" in asked and on_gpu and not torch.cuda.is_bf16_supported():
        note(f"trainer.precision: this GPU has no {asked}; training in 32-true instead.")
        return "32-true"
    return asked


def keeper_of(cfg: Config, run_dir: Path, *, higher_is_better: bool) -> RunCheckpoint:
    """Return what saves a run's checkpoints."""
    options = cfg.callbacks.checkpoint
    return RunCheckpoint(
        run_dir / "checkpoints",
        cfg.monitor,
        higher_is_better=higher_is_better,
        every_n_train_steps=options.every_n_train_steps,
        save_top_k=options.save_top_k,
        save_last=options.save_last,
    )


def check_device(asked: str) -> None:
    """Refuse an accelerator that this machine does not have."""
    gpus = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    found = ["auto", "cpu", *(name for name, there in gpus.items() if there)]
    if asked not in found and not (asked == "gpu" and any(gpus.values())):
        raise ConfigError(
            f"Expected `trainer.accelerator` to be one of {{{', '.join(found)}}}, which this "
            f"machine has, but got '{asked}'."
        )
