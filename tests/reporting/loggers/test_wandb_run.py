"""Runs of W&B without a login, read back with W&B's own reader."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mtl.config.schema import WandbConfig
from mtl.reporting.loggers import build_loggers, finish_loggers
from tests.reporting.loggers.conftest import LOGGED, TASKS, Build, isolate, log_all

STEP = "trainer/global_step"
CONFIG = {"trunk": {"lr": 1e-5, "path": None}, "names": ["a", "b"], "hub": {"api_key": "abc"}}


class Finished(NamedTuple):
    folder: Path
    terminal: str


@functools.cache
def inspect(run: Path, *options: str) -> str:
    command = [sys.executable, "-m", "wandb", "leet", "inspect", *options, "--json", str(run)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def records(run: Path, kind: str) -> list[dict[str, Any]]:
    found = map(json.loads, inspect(run).splitlines())
    return [record[kind] for record in found if record["type"] == kind]


def runs(folder: Path) -> list[Path]:
    return sorted((folder / "wandb").glob("offline-run-*"))


@pytest.fixture(scope="module")
def finished(build: Build, tmp_path_factory: pytest.TempPathFactory) -> tuple[Finished, Finished]:
    """Two jobs of a sweep, one after the other in one process; the second fails."""
    sweep = tmp_path_factory.mktemp("sweep")
    jobs = []
    for number in ("0", "1"):
        folder = sweep / number
        folder.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            out: list[str] = []
            patch.setattr("mtl.reporting.loggers.wandb_run.note", out.append)
            loggers = build(
                ["wandb"],
                folder,
                config={**CONFIG, "job": number},
                wandb=WandbConfig(project="tests", tags=["a tag"]),
                sweep="lr-sweep",
                job=number,
            )
            log_all(loggers)
            finish_loggers(loggers, failed=number == "1")
        jobs.append(Finished(folder, "\n".join(out)))
    first, second = jobs
    return first, second


@pytest.fixture(scope="module")
def summaries(finished: tuple[Finished, Finished]) -> list[dict[str, Any]]:
    return [json.loads(inspect(runs(job.folder)[0], "--summary")) for job in finished]


def test_each_job_has_its_own_run_in_its_own_folder(
    finished: tuple[Finished, Finished], summaries: list[dict[str, Any]]
) -> None:
    assert [len(runs(job.folder)) for job in finished] == [1, 1]
    assert len({summary["run_id"] for summary in summaries}) == 2
    assert [s["name"] for s in summaries] == ["lr-sweep/0", "lr-sweep/1"]
    assert [s["state"] for s in summaries] == ["finished", "failed"]
    assert [s["project"] for s in summaries] == ["tests", "tests"]
    (run,) = records(runs(finished[0].folder)[0], "run")
    assert run["run_group"] == "lr-sweep"
    assert run["tags"] == ["a tag"]


def test_the_resolved_configuration_is_there_without_secrets(
    summaries: list[dict[str, Any]],
) -> None:
    for number, summary in enumerate(summaries):
        expected = {**CONFIG, "hub": {"api_key": "(hidden)"}, "job": str(number)}
        assert {k: v for k, v in summary["config"].items() if k != "_wandb"} == expected


def test_history_has_every_name_step_and_value(finished: tuple[Finished, Finished]) -> None:
    for job in finished:
        history = records(runs(job.folder)[0], "history")
        rows = [values(row) for row in history]
        assert rows == [{**metrics, STEP: step} for step, metrics in LOGGED]


def values(row: dict[str, Any]) -> dict[str, float]:
    items = row.get("item", row)
    return {name: value for name, value in items.items() if not name.startswith("_")}


def test_metrics_have_their_axis_and_direction(finished: tuple[Finished, Finished]) -> None:
    found = {m["name"]: m for m in records(runs(finished[0].folder)[0], "metric") if "name" in m}
    best = {name: metric["summary"] for name, metric in found.items() if name != STEP}
    up, down = {"max": True, "last": True}, {"min": True, "last": True}
    assert best["val/score"] == best["test/score"] == best["val/ner/f1"] == up
    assert best["test/rating/pearson"] == up
    assert best["val/rating/rmse"] == best["test/rating/rmse"] == down
    assert best["train/loss"] == best["train/ner/loss"] == best["train/rating/loss"] == down
    assert {metric["step_metric"] for name, metric in found.items() if name != STEP} == {STEP}


def test_the_summary_keeps_the_best(summaries: list[dict[str, Any]]) -> None:
    summary = summaries[0]["summary"]
    assert summary["val/ner/f1"] == {"max": 0.625, "last": 0.5}
    assert summary["val/rating/rmse"] == {"min": 0.25, "last": 0.25}
    assert summary["train/loss"] == {"min": 0.75, "last": 0.875}


def test_one_line_says_how_to_see_and_upload_it(finished: tuple[Finished, Finished]) -> None:
    folder = finished[0].folder / "wandb"
    assert finished[0].terminal == (
        f"W&B: offline (no login). See it: wandb leet {folder} · "
        f"upload it: wandb sync {folder}/offline-run-*"
    )


def test_a_resumed_run_has_the_same_id(
    build: Build, finished: tuple[Finished, Finished], tmp_path: Path
) -> None:
    folder = finished[0].folder
    loggers = build(["wandb"], folder, wandb=WandbConfig(project="tests"))
    loggers[0].log_metrics({"train/loss": 0.25}, step=50)
    finish_loggers(loggers, failed=False)
    parts = runs(folder)
    assert len(parts) == 2
    assert len({part.name.rpartition("-")[2] for part in parts}) == 1
    assert [values(row) for row in records(parts[1], "history")] == [{"train/loss": 0.25, STEP: 50}]


def test_nothing_is_printed_but_our_line(
    build: Build, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    finish_loggers(build(["wandb"], tmp_path, wandb=WandbConfig(mode="offline")), failed=False)
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("W&B: offline. See it: ")


def test_other_ranks_start_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    isolate(monkeypatch, tmp_path)
    monkeypatch.setenv("LOCAL_RANK", "1")
    folder = tmp_path / "run"
    folder.mkdir()
    loggers = build_loggers(["wandb"], folder, config={}, tasks=TASKS)
    finish_loggers(loggers, failed=False)
    assert list(folder.iterdir()) == []


def test_disabled_by_the_environment(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    loggers = build(["wandb"], tmp_path)
    log_all(loggers)
    finish_loggers(loggers, failed=False)
    assert runs(tmp_path) == []


def test_under_an_agent_the_id_is_the_servers(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_RUN_ID", "given123")
    (tmp_path / "alone").mkdir()
    finish_loggers(build(["wandb"], tmp_path / "alone"), failed=False)
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep12")
    (tmp_path / "swept").mkdir()
    finish_loggers(build(["wandb"], tmp_path / "swept"), failed=False)
    ids = [(tmp_path / f / "wandb" / "run_id").read_text().strip() for f in ("alone", "swept")]
    assert ids[0] != "given123"
    assert ids[1] == "given123"
    (run,) = runs(tmp_path / "swept")
    assert run.name.endswith("-given123")
