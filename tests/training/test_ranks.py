"""Several processes take the steps that one would take."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.training.site import (
    Site,
    fit,
    last_weights,
    metrics,
    module_of,
    prepared,
    weights,
)
from train import main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def _no_group(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave neither a process group behind nor the variables of one."""
    before = dict(os.environ)
    yield
    torch.distributed.destroy_process_group()
    for name in os.environ.keys() - before.keys():
        del os.environ[name]


@pytest.mark.usefixtures("_no_group")
def test_ddp_with_one_process(site: Site, tmp_path: Path) -> None:
    """Every parameter takes part in every pass, so that DDP never waits for one.

    Gradients lie elsewhere in memory under DDP, so that sums may be rounded in another order.
    """
    found = []
    for strategy in ("auto", "ddp"):
        cfg = site.config("ner", "sentiment", batching__tokens=16)
        ready = prepared(cfg, tmp_path)
        fit(module_of(cfg, ready), ready.data, steps=4, strategy=strategy, devices=1)
        found.append(weights(ready.model))
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=1e-6, atol=1e-6)


def test_two_processes_equal_one(site: Site, tmp_path: Path) -> None:
    """Unequal rows, passes and tasks on the ranks; the same weights and metrics in the end."""
    names = ("ner", "sentiment")
    line = [
        f"task={','.join(names)}",
        *(f"tasks.{name}.data.source={site.data}" for name in names),
        *(f"tasks.{name}.head.dropout=0" for name in names),
        "trunk=hf",
        f"trunk.path={site.trunk}",
        "trunk.dropout=0",
        "trainer.accelerator=cpu",
        "trainer.max_steps=6",
        "trainer.val_check_interval=3",
        "trainer.threads=1",
        "trainer.progress=false",
        "batching.examples=5",
        "batching.tokens=24",
        "logger=none",
    ]
    assert main([*line, f"hydra.run.dir={tmp_path / 'one'}"]) == 0
    two = [*line, "trainer=ddp", "trainer.devices=2", f"hydra.run.dir={tmp_path / 'two'}"]
    command = [sys.executable, str(ROOT / "train.py"), *two]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    one, other = last_weights(tmp_path / "one"), last_weights(tmp_path / "two")
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=1e-5, atol=1e-6)
    assert metrics(tmp_path / "two") == pytest.approx(metrics(tmp_path / "one"), abs=1e-6)
