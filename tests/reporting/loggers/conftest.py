from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.loggers import Logger

from mtl.reporting.loggers import build_loggers, finish_loggers

Build = Callable[..., list[Logger]]

TASKS: dict[str, tuple[list[str], set[str]]] = {
    "ner": (["f1", "precision"], set()),
    "rating": (["pearson", "rmse"], {"rmse"}),
}
LOGGED: list[tuple[int, dict[str, float]]] = [
    (10, {"train/loss": 1.5, "train/ner/loss": 1.25, "epoch": 0.5}),
    (20, {"train/loss": 0.75, "train/ner/loss": 0.5, "epoch": 1.0}),
    (20, {"val/ner/f1": 0.625, "val/rating/rmse": 0.5, "val/score": 0.5}),
    (30, {"train/loss": 0.875, "epoch": 1.5}),
    (40, {"val/ner/f1": 0.5, "val/rating/rmse": 0.25, "val/score": 0.625}),
    (40, {"test/ner/f1": 0.375, "test/score": 0.375}),
]


def isolate(patch: pytest.MonkeyPatch, home: Path) -> None:
    """Take every login and W&B setting of this machine away."""
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_MODE", "WANDB_BASE_URL"):
        patch.delenv(name, raising=False)
    for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"):
        patch.delenv(name, raising=False)
    patch.setenv("NETRC", str(home / "no-netrc"))
    patch.setenv("HOME", str(home))


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Build]:
    """Build loggers without a login; each is finished, if only at the end."""
    made: list[Logger] = []

    def start(names: list[str], folder: Path, **options: Any) -> list[Logger]:
        options = {"config": {}, "tasks": TASKS, **options}
        made.extend(found := build_loggers(names, folder, **options))
        return found

    with pytest.MonkeyPatch.context() as patch:
        isolate(patch, tmp_path_factory.mktemp("home"))
        yield start
    finish_loggers(made, failed=False)


def log_all(loggers: list[Logger]) -> None:
    for step, metrics in LOGGED:
        for logger in loggers:
            logger.log_metrics(metrics, step=step)
