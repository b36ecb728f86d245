"""``train.py`` itself, in this process: joint runs, sweeps, and resuming by command."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.training.resuming import STEP, kill_at, killed
from tests.training.site import Site, differing, last_weights, metrics
from train import main


def arguments(site: Site, *more: str) -> list[str]:
    """Return a command line that trains two steps."""
    return [
        *(f"tasks.{name}.data.source={site.data}" for name in ("ner", "sentiment")),
        "trunk=hf",
        f"trunk.path={site.trunk}",
        "batching.examples=6",
        "trainer.max_steps=2",
        "trainer.threads=1",
        "trainer.progress=false",
        "trainer.accelerator=cpu",
        "schedule.name=constant",
        "logger=none",
        *more,
    ]


def test_two_tasks_train_jointly_and_go_on(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(["task=ner,sentiment", *arguments(site, f"hydra.run.dir={run}")]) == 0
    shown = capsys.readouterr().out
    assert "ner" in shown
    assert "mtl predict" in shown
    assert "steps    2 of 6 examples" in shown
    assert shown.index("ner, sentiment: ") < shown.index(f"resume={run}") < shown.index("baseline")
    assert {name.split("/")[1] for name in metrics(run)} == {"ner", "sentiment", "score"}
    made = {".hydra", "checkpoints", "metrics.json", "model", "report", "report.html"}
    assert {p.name for p in run.iterdir()} == made
    hydra = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in (run / ".hydra").iterdir()}
    before = last_weights(run)

    assert main([f"resume={run}"]) == 0
    assert "finished after 2 steps" in "".join(capsys.readouterr())
    assert differing(last_weights(run), before) == []

    assert main([f"resume={run}", "trainer.max_steps=4"]) == 0
    assert len(differing(last_weights(run), before)) == len(before)
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in (run / ".hydra").iterdir()} == hydra


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_a_signal_and_the_command_that_it_names(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        kill_at(patch, *STEP, 1, after=True, end=lambda: os.kill(os.getpid(), signal.SIGTERM))
        assert main(["task=ner,sentiment", *arguments(site, f"hydra.run.dir={run}")]) == 143
    (said,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("stopped")]
    assert said.startswith(
        "stopped by SIGTERM after step 1, and saved; go on with: python train.py "
    )
    assert {p.name for p in run.iterdir()} == {".hydra", "checkpoints", "report"}
    assert main(said.partition(" train.py ")[2].split()) == 0
    assert (run / "metrics.json").is_file()


def test_a_failing_job_leaves_the_rest_of_a_sweep(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = tmp_path / "sweep"
    line = arguments(site, f"hydra.sweep.dir={sweep}", "trainer.test=false")
    sources = f"tasks.sentiment.data.source=/nowhere,{site.data}"
    line = [sources if text.startswith("tasks.sentiment") else text for text in line]
    assert main(["-m", "task=[ner,sentiment]", *line]) == 2
    error = capsys.readouterr().err
    assert "job 0: error: " in error
    assert "/nowhere" in error
    files = [sweep / f"job-{n}" / ".hydra" / f"job-{n}.json" for n in range(2)]
    assert [json.loads(file.read_text())["status"] for file in files] == ["error", "done"]
    assert not (sweep / "job-0" / "metrics.json").exists()
    assert {"val/ner/f1", "val/sentiment/mcc"} <= metrics(sweep / "job-1").keys()


def test_one_command_line_begins_a_run_and_goes_on(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a scheduler repeats it: before anything is saved, after that, and when all is done."""
    run = tmp_path / "run"
    line = ["task=ner,sentiment", *arguments(site, f"hydra.run.dir={run}", "resume=auto")]
    every = "callbacks.checkpoint.every_n_train_steps=1"
    for call in (1, 2):
        with killed(*STEP, call):
            main([*line, every])
        if call == 1:  # As if killed in the writing of the first.
            for name in ("last.ckpt.part", "best-step=0000001.ckpt"):
                (run / "checkpoints").mkdir(exist_ok=True)
                (run / "checkpoints" / name).write_bytes(b"half of it")
        assert (run / "checkpoints" / "last.ckpt").exists() == (call == 2)
    assert main([*line, every]) == 0
    assert (
        main(["task=ner,sentiment", *arguments(site, f"hydra.run.dir={tmp_path / 'other'}")]) == 0
    )
    assert metrics(run) == metrics(tmp_path / "other")
    capsys.readouterr()
    assert main([*line, every]) == 0
    assert "finished after 2 steps" in capsys.readouterr().err

    assert main([*line, every, "trunk.lr=0.5", "head.lr=0.5"]) == 2
    said = capsys.readouterr().err
    assert f"the run in {run}, but `head.lr` is 0.5 instead of" in said
    assert "`trunk.lr` is 0.5 instead of" in said


def test_resume_auto_needs_a_folder_and_no_sweep(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["task=ner", "resume=auto"]) == 2
    assert "add hydra.run.dir=FOLDER" in capsys.readouterr().err
    assert main(["-m", "task=ner", "resume=auto", "hydra.run.dir=x"]) == 2
    assert "without -m" in capsys.readouterr().err
