"""Where metrics go: W&B, TensorBoard, CSV, MLflow; under the same names, in the run's folder."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

from lightning.pytorch.loggers import Logger

from mtl.config.schema import WandbConfig
from mtl.errors import ConfigError
from mtl.reporting.console import note
from mtl.reporting.loggers import csv_file, mlflow_run, tensorboard_events, wandb_run
from mtl.reporting.loggers.base import LOGGERS, RunFacts, RunLogger, TaskMetricNames, directions
from mtl.secrets import hide_secrets

__all__ = [
    "LOGGERS",
    "RunFacts",
    "RunLogger",
    "build_loggers",
    "csv_file",
    "finish_loggers",
    "mlflow_run",
    "tensorboard_events",
    "wandb_run",
]


def build_loggers(
    names: Sequence[str],
    run_dir: Path,
    *,
    config: Mapping[str, object],
    tasks: TaskMetricNames,
    wandb: WandbConfig | None = None,
    sweep: str | None = None,
    job: str | None = None,
) -> list[Logger]:
    """Return a run's loggers, started; :func:`finish_loggers` must end them.

    Args:
        names: Any of ``wandb``, ``tensorboard``, ``csv``, ``mlflow``.
        run_dir: The run's folder; all files go there.
        config: The resolved configuration as plain values; secrets in it are not logged.
        tasks: Each task's metrics, and those of them that are lower when better.
        wandb: What W&B is told.
        sweep: The name of the sweep that the run is a job of.
        job: The job's number in it.

    Raises:
        ConfigError: If a logger is unknown, not installed, or W&B must be online and cannot be.
    """
    kinds = [LOGGERS.get(name, "logger.names") for name in dict.fromkeys(names)]
    for kind in kinds:
        _check_installed(kind)
    shown = WandbConfig(**hide_secrets((wandb or WandbConfig()).model_dump()))
    facts = RunFacts(run_dir, hide_secrets(config), directions(tasks), shown, sweep, job)
    loggers: list[Logger] = []
    try:
        for kind in kinds:
            loggers.append(kind(facts))  # noqa: PERF401  (those before a failing one must end)
    except BaseException:
        finish_loggers(loggers, failed=True)
        raise
    return loggers


def finish_loggers(loggers: Sequence[Logger], failed: bool) -> None:
    """End every logger, whatever happened to the run or to another logger; never raises."""
    for logger in loggers:
        assert isinstance(logger, RunLogger)
        try:
            logger.finish(failed=failed)
        except Exception as error:
            note(f"{logger.name}: its last records may be missing: {error}")


def _check_installed(kind: type[RunLogger]) -> None:
    if kind.package is not None and importlib.util.find_spec(kind.package) is None:
        raise ConfigError(
            f"logger.names: Expected the package {kind.package} to be installed, but it is not; "
            f"pip install {kind.install}, or choose another logger."
        )
