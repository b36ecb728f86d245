"""The comparison finds what differs, and a run is killed in what it was to be killed in."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from mtl.config.compose import compose_checked
from mtl.config.schema import Config
from mtl.training.checkpoint import AtomicCheckpointIO
from scripts.reliability import kill_resume
from scripts.reliability.kill_resume import BASE, ROOT, WRITING, Board, Kill, configurations

CONF = ROOT / "conf"
CONTENT = {"state_dict": {"w": torch.arange(3.0)}, "global_step": 4}
TABLE = "step,train/loss,train/tokens_per_second\n5,0.5,120.0\n"


def finished(run: Path) -> Path:
    """Write what stands for a finished run."""
    (run / "model").mkdir(parents=True)
    (run / "model" / "model.safetensors").write_bytes(b"weights")
    AtomicCheckpointIO().save_checkpoint(CONTENT, run / "checkpoints" / "last.ckpt")
    (run / "metrics.json").write_text("{}")
    (run / "metrics.csv").write_text(TABLE)
    return run


def found(tmp_path: Path, run: Path) -> list[str]:
    return list(kill_resume.differences(run, finished(tmp_path / "whole")))


@pytest.mark.slow
def test_every_mixing_is_there_and_composes() -> None:
    names = configurations(CONF)
    assert {f"mixing={file.stem}" for file in (CONF / "mixing").iterdir()} <= names.keys()
    for changes in names.values():
        compose_checked([*BASE, "trunk.path=x", *changes], [CONF])


def test_equal_runs_may_differ_in_speed(tmp_path: Path) -> None:
    run = finished(tmp_path / "run")
    (run / "metrics.csv").write_text(TABLE.replace("120.0", "60.0"))
    assert found(tmp_path, run) == []


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        ("model/model.safetensors", b"weighty", "model/model.safetensors"),
        ("model/head-ner.safetensors", b"", "model/head-ner.safetensors"),
        ("metrics.json", b'{"test/ner/f1": 0.5}', "metrics.json"),
        ("metrics.csv", TABLE.replace("0.5", "0.25").encode(), "metrics.csv"),
        ("metrics.csv", TABLE.replace("5,", "6,").encode(), "metrics.csv"),
        ("checkpoints/last.ckpt.part", b"", "checkpoints: last.ckpt, last.ckpt.part"),
    ],
)
def test_what_differs_is_named(tmp_path: Path, file: str, content: bytes, expected: str) -> None:
    run = finished(tmp_path / "run")
    (run / file).write_bytes(content)
    assert found(tmp_path, run) == [expected]


def test_the_smallest_difference_of_a_weight_is_one(tmp_path: Path) -> None:
    run = finished(tmp_path / "run")
    weights = torch.nextafter(torch.arange(3.0), torch.tensor(9.0))
    content = {**CONTENT, "state_dict": {"w": weights}}
    AtomicCheckpointIO().save_checkpoint(content, run / "checkpoints" / "last.ckpt")
    assert found(tmp_path, run) == ["last.ckpt: w"]


def test_a_checkpoint_that_does_not_load_after_a_kill(tmp_path: Path) -> None:
    run, kill = finished(tmp_path / "run"), Kill("x", WRITING)
    (run / "checkpoints" / "best-step=0000002.ckpt").write_bytes(b"PK half")
    (run / "checkpoints" / "last.ckpt.part").touch()
    kill_resume.inspect(kill, run)
    assert kill.saved == 4
    assert kill.half_written == ["last.ckpt.part"]
    assert len(kill.differences) == 1
    assert kill.differences[0].startswith("best-step=0000002.ckpt after the kill: ")


@pytest.mark.skipif(not hasattr(kill_resume.os, "fork"), reason="needs fork")
@pytest.mark.parametrize("reaches", [True, False])
def test_a_run_is_killed_where_it_was_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reaches: bool
) -> None:
    def save(io: Any, checkpoint: Any, path: Path) -> None:
        path.touch()
        if path.name == "2":
            kill_resume.time.sleep(60)

    def train(cfg: Config, run: Path) -> None:
        for number in (1, 2) if reaches else (1,):
            AtomicCheckpointIO().save_checkpoint(CONTENT, run / str(number))

    monkeypatch.setattr(AtomicCheckpointIO, "save_checkpoint", save)
    monkeypatch.setattr(kill_resume, "train", train)
    run, whole, kill = tmp_path / "run", Board(), Kill("x", WRITING)
    run.mkdir()
    whole.count(WRITING, 0.001)
    whole.count(WRITING, 0.001)
    chance = random.Random(0)
    monkeypatch.setattr(chance, "randint", lambda low, high: high)
    assert kill_resume.killed(Config(), run, kill, whole, chance) == reaches
    assert (run / "1").exists()
    if reaches:
        assert kill.phase == WRITING
