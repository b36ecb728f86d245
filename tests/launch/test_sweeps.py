"""Sweeps whose jobs are several processes, under every launcher of Hydra."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mtl.cli.outcomes import read_outcomes

SCRIPT = Path(__file__).with_name("sweep.py")
ROOT = SCRIPT.parents[2]
LAUNCHERS = {
    "basic": [],
    "joblib": ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
    "submitit": ["hydra/launcher=submitit_local", "hydra.launcher.timeout_min=5"],
}


def sweep(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Run a sweep whose jobs are of two processes, into ``s/`` in a folder."""
    line = [
        "-m",
        "task=[ner]",
        "trainer=ddp",
        "trainer.devices=2",
        "trainer.accelerator=cpu",
        "hydra.sweep.dir=s",
        *more,
    ]
    return subprocess.run(
        [sys.executable, str(SCRIPT), *line],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_jobs_of_two_processes(launcher: str, tmp_path: Path) -> None:
    """Own folders and ports; jobs that fail leave the others alone and are in the summary."""
    if launcher != "basic":
        pytest.importorskip(f"hydra_plugins.hydra_{launcher}_launcher")
    ended = sweep(tmp_path, "seed=1,2,3", *LAUNCHERS[launcher])
    outcomes = read_outcomes(tmp_path / "s")
    assert [o.status for o in outcomes] == ["done", "error", "crash"], ended.stderr
    assert ended.returncode == 1
    assert "1 of 3 jobs done" in ended.stdout
    assert "x.tsv:3: Expected a label." in ended.stdout
    assert "Process 2 of 2 was ended by SIGABRT" in ended.stdout
    notes = [(tmp_path / "s" / f"job-{job}" / "1.txt").read_text().split() for job in range(3)]
    assert [(sweep, job, seed) for _, sweep, job, seed in notes] == [
        ("s", str(job), str(job + 1)) for job in range(3)
    ]
    assert len({port for port, *_ in notes}) == 3
    assert outcomes[0].score == 0.5
    assert not list((tmp_path / "s").glob("job-*/.processes-*"))


@pytest.mark.slow
def test_a_job_that_is_killed_is_in_the_table(tmp_path: Path) -> None:
    """Its process cannot say so any more; the launcher ends the others."""
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    ended = sweep(tmp_path, "seed=1,9", *LAUNCHERS["joblib"])
    outcomes = read_outcomes(tmp_path / "s")
    assert [o.job for o in outcomes] == [0, 1]
    assert outcomes[1].status == "killed"
    assert ended.returncode == 1
    assert "of 2 jobs done" in ended.stdout
    assert "killed" in ended.stdout
    assert "error: Expected every job to end by itself" in ended.stderr
    assert "Traceback" not in ended.stderr
