"""A run that is killed anywhere and resumed ends as one that was never stopped, bit for bit."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.strategies import Strategy

import mtl.training.run as training
from mtl.errors import CheckpointError
from mtl.training.module import MultiTaskModule
from mtl.training.run import train
from tests.training.resuming import (
    SAVE,
    STEP,
    VALIDATION,
    check_equal,
    kill_at,
    killed,
    names,
    resumed,
    run_config,
)
from tests.training.site import Site, change, differing, last_weights, metrics


@pytest.fixture(scope="module")
def whole(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    train(run_config(site), folder)
    return folder


def test_the_run_is_worth_resuming(site: Site, whole: Path, tmp_path: Path) -> None:
    """Dropout, several passes a step, a best that is not the last."""
    assert names(whole) == ["best-step=0000006.ckpt", "last.ckpt"]
    without = run_config(site)
    for task in without.tasks.values():
        task.head["dropout"] = 0.0
    change(without, "trunk.dropout", 0.0)
    train(without, tmp_path)
    assert differing(last_weights(whole), last_weights(tmp_path))


POINTS = {
    "the first step after a checkpoint": (*STEP, 3),
    "the first step after a validation": (*STEP, 4),
    "a step after a checkpoint between validations": (*STEP, 5),
    "the first step after a checkpoint at a validation": (*STEP, 7),
    "the first validation": (*VALIDATION, 2),
    "a validation at which a checkpoint is due": (*VALIDATION, 10),
    "before the first validation's best is written": (*SAVE, 2),
    "between the best and the last checkpoint": (*SAVE, 3),
    "before a better best is written": (*SAVE, 5),
    "between a better best and the last checkpoint": (*SAVE, 6),
    "before the former best is removed": (Strategy, "remove_checkpoint", 1),
    "before the final checkpoint": (*SAVE, 7),
    "the test": (MultiTaskModule, "test_step", 1),
    "before the model is saved": (training, "save_model", 1),
    "before the metrics are written": (training, "write_whole", 1),
}


@pytest.mark.parametrize("where", POINTS)
def test_killed_and_resumed(site: Site, whole: Path, tmp_path: Path, where: str) -> None:
    cfg = run_config(site)
    owner, name, call = POINTS[where]
    with killed(owner, name, call):
        train(cfg, tmp_path)
    assert not (tmp_path / "metrics.json").exists()
    train(resumed(cfg, tmp_path), tmp_path)
    check_equal(tmp_path, whole)


def test_killed_again_and_again(site: Site, whole: Path, tmp_path: Path) -> None:
    cfg = run_config(site)
    for call in (4, 2, 2, 1):
        with killed(*STEP, call):
            train(cfg, tmp_path)
        cfg = resumed(cfg, tmp_path)
    train(cfg, tmp_path)
    check_equal(tmp_path, whole)


SETTINGS: dict[str, dict[str, Any]] = {
    "uniform": {"mixing__name": "uniform"},
    "temperature": {"mixing__name": "temperature", "mixing__temperature": 5.0},
    "one pass a step": {"batching__tokens": 4096},
    "frozen": {"tuning__name": "frozen"},
    "last layers": {"tuning__name": "last", "tuning__layers": 1},
    "lora": {"tuning__name": "lora", "tuning__dropout": 0.1},
    "cosine": {"schedule__name": "cosine", "trainer__gradient_clip_val": None},
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_settings(site: Site, tmp_path: Path, setting: str) -> None:
    """Killed in a step between two logs, at a validation, and while a checkpoint is written."""
    first = run_config(site, **SETTINGS[setting])
    train(first, tmp_path / "whole")
    cfg, run = first, tmp_path / "killed"
    for point in ((*STEP, 6), (*VALIDATION, 1), (*SAVE, 2)):
        with killed(*point):
            train(cfg, run)
        cfg = resumed(first, run)
    train(cfg, run)
    check_equal(run, tmp_path / "whole")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("point", [(*STEP, 5), (*VALIDATION, 5)], ids=["step", "validation"])
def test_a_process_that_is_really_gone(
    site: Site, whole: Path, tmp_path: Path, point: tuple[Any, str, int]
) -> None:
    cfg = run_config(site)
    child = os.fork()
    if not child:  # Nothing of pytest may run on in the child.
        signal.alarm(60)
        kill_at(pytest.MonkeyPatch(), *point, end=lambda: os.kill(os.getpid(), signal.SIGKILL))
        try:
            train(cfg, tmp_path)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    train(resumed(cfg, tmp_path), tmp_path)
    check_equal(tmp_path, whole)


STOPS_EARLY = {"callbacks__early_stopping__patience": 1, "trainer__max_steps": 12}


@pytest.mark.parametrize(
    "point",
    [
        (*STEP, 6),
        (*VALIDATION, 5),
        (MultiTaskModule, "test_step", 1),
        (training, "save_model", 1),
    ],
    ids=["last step", "last validation", "test", "saving"],
)
def test_early_stopping_stops_at_the_same_step(
    site: Site,
    tmp_path: Path,
    point: tuple[Any, str, int],
) -> None:
    cfg = run_config(site, **STOPS_EARLY)
    train(cfg, tmp_path / "whole")
    with killed(*point):
        train(cfg, tmp_path / "killed")
    train(resumed(cfg, tmp_path / "killed"), tmp_path / "killed")
    check_equal(tmp_path / "killed", tmp_path / "whole")


def test_nothing_to_resume_from(site: Site, tmp_path: Path) -> None:
    cfg = run_config(site)
    with killed(*STEP, 2):
        train(cfg, tmp_path)
    with pytest.raises(CheckpointError, match=r"last\.ckpt"):
        train(resumed(cfg, tmp_path), tmp_path)


def test_a_checkpoint_of_other_tasks(site: Site, whole: Path) -> None:
    cfg = resumed(run_config(site), whole)
    del cfg.tasks["ner"]
    with pytest.raises(CheckpointError, match=r"last\.ckpt.*\{rating\}.*\{ner, rating\}"):
        train(cfg, whole)


def test_a_finished_run_says_so_and_changes_nothing(
    site: Site, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {p: p.read_bytes() for p in whole.rglob("*") if p.is_file()}
    capsys.readouterr()
    found = train(resumed(run_config(site), whole), whole)
    assert "finished after 7 steps" in "".join(capsys.readouterr())
    assert found == metrics(whole)
    assert {p: p.read_bytes() for p in whole.rglob("*") if p.is_file()} == before
