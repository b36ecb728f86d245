"""What a run of several processes leaves behind when it has ended well."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch.distributed as dist

from mtl.cli.train import train
from mtl.config.schema import Config, TaskConfig


def test_a_finished_run_has_left_its_process_group(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def join_and_train(cfg: Config, run_dir: Path) -> dict[str, float]:
        dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
        return {"score": float(dist.get_world_size())}

    monkeypatch.setattr("mtl.training.run.train", join_and_train)
    cfg = Config(tasks={"ner": TaskConfig(type="t", columns={"labels": -1})})
    assert train(cfg, tmp_path) == {"score": 1.0}
    assert not dist.is_initialized()
