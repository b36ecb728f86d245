"""The clock of the first step stops at the step's line; a command without one is an error."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from scripts.benchmarks.cases.startup import FirstStep

STEPS = """
import os, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
folder.mkdir()
pathlib.Path(sys.argv[2]).write_text(str(os.getpid()))
(folder / "metrics.csv").write_text("step,train/loss")
time.sleep(60)
"""


def test_the_command_ends_at_its_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = tmp_path / "pid"
    first = FirstStep(threads=1)
    monkeypatch.setattr(
        first, "command", lambda folder: [sys.executable, "-c", STEPS, str(folder), str(pid)]
    )
    assert 0 < first.seconds() < 60
    assert first.cpu > 0
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_a_command_without_a_step_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    first = FirstStep(threads=1)
    monkeypatch.setattr(first, "command", lambda folder: [sys.executable, "-c", "pass"])
    with pytest.raises(RuntimeError, match="no step of"):
        first.seconds()
    assert first.cpu > 0


def test_what_is_typed_is_the_bundled_run(tmp_path: Path) -> None:
    _, script, *overrides = FirstStep(threads=2).command(tmp_path)
    assert script == "train.py"
    keys = {text.partition("=")[0] for text in overrides}
    assert keys == {"logger", "trainer.log_every_n_steps", "trainer.threads", "hydra.run.dir"}
