"""What is kept, how it reaches the disk, and what is refused."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mtl.errors import CheckpointError
from mtl.training.checkpoint import AtomicCheckpointIO, RunCheckpoint, read_checkpoint
from mtl.training.run import train
from tests.training.site import Site, change


class Disk:
    """Stands for a trainer that saves and removes files."""

    def __init__(self) -> None:
        self.global_step = 0
        self.files: dict[str, int] = {}
        self.strategy = self

    def save_checkpoint(self, path: Path) -> None:
        self.files[path.name] = self.global_step

    def remove_checkpoint(self, path: Path) -> None:
        del self.files[path.name]


def kept_after(values: Sequence[float], **options: Any) -> tuple[RunCheckpoint, dict[str, int]]:
    """Return a keeper, and the files it leaves after validations at steps 10, 20, …"""
    keeper, disk = RunCheckpoint(Path("checkpoints"), "val/score", **options), Disk()
    for number, value in enumerate(values, start=1):
        disk.global_step = 10 * number
        keeper.consider(disk, value)  # type: ignore[arg-type]
    return keeper, disk.files


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=12),
    st.sampled_from([-1, 0, 1, 2, 3]),
    st.booleans(),
)
def test_keeps_the_best_and_the_last(values: list[int], top: int, higher: bool) -> None:
    keeper, files = kept_after(values, save_top_k=top, higher_is_better=higher)
    ranked = sorted(range(len(values)), key=lambda n: (-values[n] if higher else values[n], n))
    best = ranked if top < 0 else ranked[:top]
    expected = {f"best-step={10 * (n + 1):07d}.ckpt": 10 * (n + 1) for n in best}
    assert files == {**expected, "last.ckpt": 10 * len(values)}
    assert keeper.best_score == (max if higher else min)(values)
    if top:
        assert keeper.best_path is not None
        assert expected[keeper.best_path.name] == 10 * (ranked[0] + 1)
    else:
        assert keeper.best_path is None


def test_the_last_need_not_be_kept() -> None:
    _, files = kept_after([0.1, 0.3, 0.2], save_last=False)
    assert list(files) == ["best-step=0000020.ckpt"]


def test_state_round_trip_forgets_files_that_are_gone(tmp_path: Path) -> None:
    keeper, _ = kept_after([0.1, 0.3, 0.2], save_top_k=2)
    (tmp_path / "best-step=0000020.ckpt").touch()
    other = RunCheckpoint(tmp_path, "val/score", save_top_k=2)
    other.load_state_dict(keeper.state_dict())
    assert other.kept == {"best-step=0000020.ckpt": 0.3}
    assert other.best_score == 0.3


def test_the_monitored_metric_drives_the_best(site: Site, tmp_path: Path) -> None:
    """Two monitors, one course of training, two bests; each is what the model folder holds."""
    steps = {}
    for monitor, best in (("val/rating/rmse", min), ("val/ner/accuracy", max), ("val/score", max)):
        cfg = site.config(
            "ner",
            "rating",
            monitor=monitor,
            head__lr=0.1,
            trainer__max_steps=10,
            trainer__val_check_interval=2,
            callbacks__checkpoint__save_top_k=-1,
        )
        run = tmp_path / monitor.replace("/", "-")
        found = train(cfg, run)
        course = {
            path.name: read_checkpoint(path)["mtl"]["results"][monitor]
            for path in sorted((run / "checkpoints").glob("best*"))
        }
        assert len(course) == 5
        assert found[monitor] == best(course.values())
        steps[monitor] = best(course, key=lambda name: course[name])
    assert len(set(steps.values())) > 1


def test_a_save_falls_after_the_validation_that_is_due(site: Site, tmp_path: Path) -> None:
    """At step 4 both are due: the checkpoint knows the validation's results."""
    cfg = site.config(
        "ner",
        trainer__max_steps=4,
        trainer__val_check_interval=4,
        callbacks__checkpoint__every_n_train_steps=2,
    )
    train(cfg, tmp_path)
    last = read_checkpoint(tmp_path / "checkpoints" / "last.ckpt")
    assert last["global_step"] == 4
    assert "val/ner/f1" in last["mtl"]["results"]
    (state,) = [s for s in last["callbacks"].values() if "validated_at" in s]
    assert state["validated_at"] == 4


CONTENT = {"state_dict": {"weight": torch.arange(5.0)}}


def failing_save(message: str) -> Any:
    def save(checkpoint: Any, file: Any) -> None:
        file.write(b"half of it")
        raise RuntimeError(message)

    return save


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint(CONTENT, path)
    before = path.read_bytes()
    monkeypatch.setattr(torch, "save", failing_save("the disk is full"))
    with pytest.raises(CheckpointError, match=r"last\.ckpt: .*the disk is full.*resume=RUN"):
        AtomicCheckpointIO().save_checkpoint(CONTENT, path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["last.ckpt"]
    assert read_checkpoint(path)["state_dict"]["weight"].tolist() == [0, 1, 2, 3, 4]


def test_an_interrupt_while_writing_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", interrupt)
    with pytest.raises(KeyboardInterrupt):
        AtomicCheckpointIO().save_checkpoint(CONTENT, tmp_path / "last.ckpt")
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").touch()
    with pytest.raises(CheckpointError, match="Expected to write a checkpoint"):
        AtomicCheckpointIO().save_checkpoint(CONTENT, tmp_path / "checkpoints" / "last.ckpt")


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return Path.touch, (self.marker,)


def test_code_in_a_checkpoint_is_refused_and_not_run(site: Site, tmp_path: Path) -> None:
    marker = tmp_path / "it-ran"
    cfg = site.config("ner", resume=str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    path = tmp_path / "checkpoints" / "last.ckpt"
    torch.save({**CONTENT, "mtl": {"tasks": {"ner": Payload(marker)}}}, path)
    with pytest.raises(CheckpointError, match=re.escape(str(path))):
        train(cfg, tmp_path)
    assert not marker.exists()
    torch.load(path, weights_only=False)
    assert marker.exists()  # So the payload does what it says.


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "cannot be read"), (b"PK\x03\x04 something", "cannot be read"), (None, "no such file")],
)
def test_files_that_are_no_checkpoints(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "last.ckpt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(path)


@pytest.mark.parametrize("content", [{"weight": torch.zeros(1)}, [1, 2]], ids=["dict", "list"])
def test_another_programs_file(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "last.ckpt"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match="'state_dict'"):
        read_checkpoint(path)


def test_a_checkpoint_holds_the_configuration_as_plain_data(site: Site, tmp_path: Path) -> None:
    cfg = site.config("ner", trainer__max_steps=1)
    change(cfg, "tasks.ner.weight", 0.25)
    train(cfg, tmp_path)
    kept = read_checkpoint(tmp_path / "checkpoints" / "last.ckpt")["mtl"]
    assert kept["config"]["tasks"]["ner"]["weight"] == 0.25
    assert kept["tasks"]["ner"]["labels"][:2] == ["O", "B-LOC"]


def test_equal_scores_are_equal(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The value at the end comes by another way than those during training."""
    tenth = 0.1 + 5e-9  # Above the nearest number in single precision.
    monkeypatch.setattr("mtl.training.evaluation.aggregate", lambda primary: tenth)
    cfg = site.config("ner", trainer__max_steps=3, trainer__val_check_interval=2)
    train(cfg, tmp_path)
    assert [p.name for p in (tmp_path / "checkpoints").glob("best*")] == ["best-step=0000002.ckpt"]
