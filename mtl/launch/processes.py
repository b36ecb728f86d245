"""How many processes a run is, and its start in several of them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mtl.config.schema import Config
from mtl.errors import CheckpointError, ConfigError
from mtl.launch.place import launcher, place

METRICS_FILE = "metrics.json"
SWEEP, SWEEP_JOB = "MTL_SWEEP", "MTL_SWEEP_JOB"


def own_processes(cfg: Config) -> int:
    """Return how many processes a run has to start: 1 where it trains in this one.

    Raises:
        ConfigError: If this machine has too few devices, or other machines are asked for.
    """
    if place() is not None:
        return 1
    options = cfg.trainer
    if options.num_nodes > 1:
        raise ConfigError(
            f"Expected a launcher to start a run on {options.num_nodes} machines, but there is "
            "none; use torchrun or srun on each (docs/many-devices.md), or `trainer.num_nodes=1`."
        )
    if options.devices == 1 or options.accelerator == "mps":
        return 1
    gpus = _gpus(options.accelerator)
    if options.devices == -1:
        return max(1, gpus)
    if gpus and options.devices > gpus:
        raise ConfigError(
            f"Expected `trainer.devices` to be at most {gpus}, the number of GPUs here, but got "
            f"{options.devices}."
        )
    return options.devices


def _gpus(accelerator: str) -> int:
    if accelerator == "cpu":
        return 0
    import torch

    return torch.cuda.device_count()


def train_in_processes(cfg: Config, run_dir: Path, worker: Sequence[str]) -> dict[str, float]:
    """Train in several processes of this machine and return the metrics.

    Args:
        cfg: The whole configuration.
        run_dir: The run's folder.
        worker: What Python is given to be one of them.

    Raises:
        MtlError: What a process raised.
        ProcessError: If a process crashed or was killed.
    """
    from mtl.launch.parent import run_processes

    count, restarts = own_processes(cfg), cfg.trainer.max_restarts
    run_processes(cfg.model_dump(), run_dir, count, worker, _sweep_variables(), restarts)
    return read_metrics(run_dir)


def read_metrics(run_dir: Path) -> dict[str, float]:
    """Return the metrics that a finished run wrote.

    Raises:
        CheckpointError: If they are not there.
    """
    file = run_dir / METRICS_FILE
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file}: Expected the run's metrics, but {error}.") from error


def sweep_job() -> tuple[str | None, str | None]:
    """Return the sweep's name and the job's number, if this run is a job of one."""
    if SWEEP in os.environ:
        return os.environ[SWEEP], os.environ[SWEEP_JOB]
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    if not HydraConfig.initialized():
        return None, None
    hydra = HydraConfig.get()
    if hydra.mode != RunMode.MULTIRUN:
        return None, None
    return Path(hydra.sweep.dir).name, str(hydra.job.num)


def _sweep_variables() -> dict[str, str]:
    sweep, job = sweep_job()
    return {} if sweep is None or job is None else {SWEEP: sweep, SWEEP_JOB: job}


def check_no_launcher() -> None:
    """Refuse a sweep that a launcher started in several processes.

    Raises:
        ConfigError: If one did.
    """
    name = launcher()
    if name is not None:
        raise ConfigError(
            f"Expected a sweep to start the processes of its jobs, but {name} has started this "
            f"one; leave {name} out and set `trainer.devices`."
        )


def leave_group() -> None:
    """Leave the process group of a finished run, if there is one.

    Left to the interpreter's end, threads of Gloo may outlive what they use, and abort the process.
    """
    if "torch.distributed" in sys.modules:
        import torch.distributed as dist

        if dist.is_available() and dist.is_initialized():
            dist.destroy_process_group()
