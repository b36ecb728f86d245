"""Examples that lie on disk: two processes read one file, and take the steps that one would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.corpus import rows, write_rows
from tests.training.forked import two_ranks
from tests.training.processes import arguments, logged
from tests.training.site import Site, last_weights, metrics
from train import main

ROWS = 10_000
"""From here on examples lie on disk."""
CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-6}


@pytest.mark.slow
def test_two_processes_resume_in_the_middle_of_an_epoch(site: Site, tmp_path: Path) -> None:
    """One of the two encodes for both; the resumed run finds what was kept."""
    big = [{**row, "text": f"{row['text']} {i}"} for i, row in enumerate(rows(ROWS))]
    file = write_rows(tmp_path / "big.jsonl", big)
    line = arguments(
        site,
        tmp_path / "conf",
        f"tasks.sentiment.data.train={file}",
        "schedule.name=constant",
        "schedule.warmup=0",
        "trainer.val_check_interval=3",
        "trunk.lr=1e-3",
        "head.lr=1e-3",
    )
    one, two, cache = tmp_path / "one", tmp_path / "two", tmp_path / "cache"
    alone = ["cache.examples=false", "trainer.max_steps=8", f"hydra.run.dir={one}"]
    assert main([*line, *alone]) == 0
    both = ["trainer=ddp", "trainer.devices=2", f"cache.dir={cache}", f"hydra.run.dir={two}"]
    ended = two_ranks(*line, *both, "trainer.max_steps=3")
    assert ended.returncode == 0, ended.stderr
    kept = {path: path.stat().st_mtime_ns for path in cache.rglob("ids.bin")}
    assert len(kept) == 1
    more = two_ranks(f"resume={two}", "trainer.max_steps=8")
    assert more.returncode == 0, more.stderr
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("ids.bin")} == kept
    check_losses(one, two)
    found, wanted = last_weights(two), last_weights(one)
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, **CLOSE)
    assert metrics(two) == pytest.approx(metrics(one), rel=1e-4, abs=1e-6)


def check_losses(one: Path, two: Path) -> None:
    """Each of the eight steps, those of the shorter run too."""
    steps = [[row for row in logged(run) if "train/loss" in row] for run in (one, two)]
    assert len(steps[0]) == len(steps[1]) == 8
    for ours, theirs in zip(*steps, strict=True):
        for name in ("train/loss", "train/sentiment/loss"):
            assert theirs[name] == pytest.approx(ours[name], rel=1e-4, abs=1e-6)
