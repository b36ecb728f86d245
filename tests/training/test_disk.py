"""A full disk is one sentence, and what was there before is still there."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

import mtl.training.model_io as model_io
import mtl.training.run as training
from mtl.errors import CheckpointError
from mtl.training.checkpoint import AtomicCheckpointIO, read_checkpoint
from mtl.training.run import train
from tests.training.resuming import (
    SAVE,
    STEP,
    check_equal,
    kill_at,
    killed,
    names,
    resumed,
    run_config,
)
from tests.training.site import Site

SMALL, LARGE = ({"state_dict": {"w": torch.arange(float(n))}} for n in (5, 200_000))


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let no file grow beyond a size: the system refuses the write, as on a full disk."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def no_space(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_checkpoint_that_the_system_cuts_short(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint(SMALL, path)
    before = path.read_bytes()
    with (
        room_for(100_000),
        pytest.raises(CheckpointError, match=r"last\.ckpt: .*but File too large\. The earlier"),
    ):
        AtomicCheckpointIO().save_checkpoint(LARGE, path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["last.ckpt"]
    assert read_checkpoint(path)["state_dict"]["w"].tolist() == [0, 1, 2, 3, 4]


def test_full_while_a_checkpoint_is_flushed(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third checkpoint finds no room; the second is there, and the run goes on from it."""
    cfg = run_config(site)
    train(cfg, tmp_path / "whole")
    run = tmp_path / "full"
    with monkeypatch.context() as patch:
        kill_at(patch, *SAVE, 3, end=lambda: patch.setattr(torch, "save", no_space))
        with pytest.raises(CheckpointError, match=r"No space left on device\. .*resume=RUN"):
            train(cfg, run)
    assert read_checkpoint(run / "checkpoints" / "last.ckpt")["global_step"] == 2
    assert not list(run.rglob("*.part"))
    train(resumed(cfg, run), run)
    check_equal(run, tmp_path / "whole")


WRITERS: dict[str, tuple[Any, str, Callable[..., None]]] = {
    "weights": (model_io, "save_file", no_space),
    "metrics": (training, "write_whole", no_space),
    "table": (training, "_show", no_space),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_full_at_the_end_of_a_run(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: str
) -> None:
    cfg = site.config("ner", trainer__max_steps=1)
    monkeypatch.setattr(*WRITERS[writer])
    with pytest.raises(CheckpointError) as stopped:
        train(cfg, tmp_path)
    assert str(stopped.value) == (
        f"{tmp_path}: Expected room on the disk, but No space left on device. The checkpoints are "
        f"as they were; free some space and continue with resume={tmp_path}."
    )
    assert names(tmp_path) == ["best-step=0000001.ckpt", "last.ckpt"]
    assert (tmp_path / "model").exists() == (writer != "weights")
    assert not list(tmp_path.rglob("*.part"))


def test_full_while_weights_are_written(site: Site, tmp_path: Path) -> None:
    """By safetensors, whose error is its own; checkpoints are smaller: the trunk is frozen."""
    cfg = site.config("ner", trainer__max_steps=1, tuning__name="frozen")
    train(cfg, tmp_path / "whole")
    run = tmp_path / "whole"
    largest = max(path.stat().st_size for path in (run / "checkpoints").iterdir())
    weights = (run / "model" / "model.safetensors").stat().st_size
    assert largest < weights, "checkpoints leave out what does not learn"
    with room_for(weights - 1), pytest.raises(CheckpointError, match="Expected room on the disk"):
        train(cfg, tmp_path / "full")
    assert not (tmp_path / "full" / "model").exists()


def test_other_errors_stay_what_they_are(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(training, "write_whole", broken)
    with pytest.raises(OSError, match="Input/output"):
        train(site.config("ner", trainer__max_steps=1), tmp_path)


def test_a_resumed_run_removes_it(site: Site, tmp_path: Path) -> None:
    cfg = site.config("ner", callbacks__checkpoint__every_n_train_steps=1)
    with killed(*STEP, 3):
        train(cfg, tmp_path)
    (tmp_path / "checkpoints" / "last.ckpt.part").write_bytes(b"half")
    train(resumed(cfg, tmp_path), tmp_path)
    assert not list(tmp_path.rglob("*.part"))
