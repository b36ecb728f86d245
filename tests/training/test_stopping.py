"""A signal ends a run in good order, and the resumed run ends as one that never got any."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mtl.training.run as training
from mtl.errors import Interrupted
from mtl.training.checkpoint import read_checkpoint
from mtl.training.module import MultiTaskModule
from mtl.training.run import train
from tests.training.resuming import (
    STEP,
    VALIDATION,
    check_equal,
    names,
    resumed,
    run_config,
)
from tests.training.site import Site, metrics
from tests.training.test_command import arguments
from train import main

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs signals")


@pytest.fixture(scope="module")
def whole(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    train(run_config(site), folder)
    return folder


def during(
    patch: pytest.MonkeyPatch, owner: Any, name: str, call: int, do: Callable[[], object]
) -> None:
    """Do something in the middle of the given call of a function, counted from 1."""
    original = getattr(owner, name)
    calls = 0

    def counting(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            do()
        return original(*args, **kwargs)

    patch.setattr(owner, name, counting)


def send(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


MOMENTS = {
    "a step": (*STEP, 1, 1),
    "a step whose checkpoint is due": (*STEP, 4, 4),
    "a step whose validation is due": (*STEP, 3, 3),
    "the first pass of a validation": (*VALIDATION, 1, 3),
    "the last pass of a validation": (*VALIDATION, 12, 6),
    "the last step": (*STEP, 7, 7),
    "the final validation": (*VALIDATION, 13, 7),
    "the test": (MultiTaskModule, "test_step", 1, 7),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_nothing_is_lost(
    site: Site,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    moment: str,
) -> None:
    cfg = run_config(site)
    owner, name, call, step = MOMENTS[moment]
    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        during(patch, owner, name, call, send(signal.SIGTERM))
        with pytest.raises(Interrupted) as stopped:
            train(cfg, tmp_path)
    assert stopped.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == before
    said = capsys.readouterr().err
    assert f"stopped by SIGTERM after step {step}, and saved" in said
    assert f"python train.py resume={tmp_path}" in said
    assert read_checkpoint(tmp_path / "checkpoints" / "last.ckpt")["global_step"] == step
    train(resumed(cfg, tmp_path), tmp_path)
    check_equal(tmp_path, whole)


def test_ctrl_c_and_again(
    site: Site, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped twice, the second time at the repetition of the same validation."""
    cfg = run_config(site)
    for call in (2, 1):
        with monkeypatch.context() as patch:
            during(patch, *VALIDATION, call, send(signal.SIGINT))
            with pytest.raises(Interrupted) as stopped:
                train(cfg, tmp_path)
        assert stopped.value.code == 130
        cfg = resumed(run_config(site), tmp_path)
    train(cfg, tmp_path)
    check_equal(tmp_path, whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_second_signal_ends_at_once(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def twice() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), number)

    child = os.fork()
    if not child:  # Nothing of pytest may run on in the child.
        signal.alarm(60)
        monkeypatch.setattr("mtl.training.stopping.REPEAT", 0.0)
        during(monkeypatch, *STEP, 5, twice)
        try:
            train(run_config(site), tmp_path)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -number
    assert read_checkpoint(tmp_path / "checkpoints" / "last.ckpt")["global_step"] == 4


def test_two_at_once_are_one(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal's Ctrl-C reaches the run, and a launcher passes it on as another signal."""

    def both() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)

    during(monkeypatch, *STEP, 3, both)
    with pytest.raises(Interrupted) as stopped:
        train(run_config(site), tmp_path)
    assert stopped.value.code == 130


def test_a_signal_after_training_lets_the_run_finish(
    site: Site, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    during(monkeypatch, training, "save_model", 1, send(signal.SIGTERM))
    train(run_config(site), tmp_path)
    check_equal(tmp_path, whole)


def test_the_last_is_saved_even_if_it_is_not_to_be_kept(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = run_config(site, callbacks__checkpoint__save_last=False)
    during(monkeypatch, *STEP, 2, send(signal.SIGTERM))
    with pytest.raises(Interrupted):
        train(cfg, tmp_path)
    assert names(tmp_path) == ["last.ckpt"]


@pytest.mark.parametrize("stopped_before", [False, True])
def test_what_a_test_cannot_save_is_said(
    site: Site,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stopped_before: bool,
) -> None:
    """Unless the last checkpoint is kept, there is an earlier one, or none."""
    cfg = run_config(site, callbacks__checkpoint__save_last=False)
    if stopped_before:
        with monkeypatch.context() as patch:
            during(patch, *STEP, 2, send(signal.SIGTERM))
            with pytest.raises(Interrupted):
                train(cfg, tmp_path)
        capsys.readouterr()
        cfg = resumed(cfg, tmp_path)
    with monkeypatch.context() as patch:
        during(patch, MultiTaskModule, "test_step", 1, send(signal.SIGTERM))
        with pytest.raises(Interrupted) as stopped:
            train(cfg, tmp_path)
    assert stopped.value.code == 143
    said = capsys.readouterr().err
    assert "after step 7, which is not saved (callbacks.checkpoint.save_last=false)" in said
    assert "and saved" not in said
    assert ("last.ckpt" in names(tmp_path)) == stopped_before
    if stopped_before:
        assert f"but an earlier one is; go on with: python train.py resume={tmp_path}" in said
        train(cfg, tmp_path)
        assert metrics(tmp_path) == metrics(whole)
    else:
        assert "there is nothing to go on from: train anew" in said


@pytest.mark.parametrize("job", ["17", "17; rm -rf x"])
def test_slurm_puts_the_job_back_into_the_queue(
    site: Site,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    job: str,
) -> None:
    """With a stand-in for `scontrol` that writes down how it was called."""
    calls = tmp_path / "calls"
    tool = tmp_path / "bin" / "scontrol"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\necho "$@" > {calls}\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", job)
    during(monkeypatch, *STEP, 2, send(signal.SIGUSR1))
    with pytest.raises(Interrupted) as stopped:
        train(run_config(site), tmp_path / "run")
    assert stopped.value.code == 128 + signal.SIGUSR1
    assert "stopped by SIGUSR1 after step 2" in capsys.readouterr().err
    assert names(tmp_path / "run") == ["last.ckpt"]
    if job == "17":
        assert calls.read_text() == "requeue 17\n"
    else:
        assert not calls.exists()


@pytest.mark.parametrize("sweep", [False, True])
def test_the_command_ends_with_the_signals_exit_code(
    site: Site,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    sweep: bool,
) -> None:
    """A sweep ends with its interrupted job, which can be continued alone."""
    where = f"hydra.{'sweep' if sweep else 'run'}.dir={tmp_path / 'run'}"
    line = arguments(site, "task=[ner]", "monitor=val/ner/f1", where)
    line = [text for text in line if "sentiment" not in text]
    with monkeypatch.context() as patch:
        during(patch, *STEP, 1, send(signal.SIGTERM))
        assert main(["-m", *line, "seed=1,2"] if sweep else line) == 143
    run = tmp_path / "run" / ("job-0" if sweep else "")
    shown = capsys.readouterr()
    assert f"resume={run}" in shown.out + shown.err
    assert (
        f"stopped by SIGTERM after step 1, and saved; go on with: python train.py resume={run}"
        in (shown.err)
    )
    assert "Traceback" not in shown.err
    assert not (tmp_path / "run" / "job-1").exists()
    assert main([f"resume={run}"]) == 0
    assert (run / "metrics.json").exists()
