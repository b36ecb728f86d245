"""A run that is a trial of a search: it reports each validation, and ends where it is pruned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtl.config.schema import SearchConfig
from mtl.search.study import Reports, open_study, tell, trials_of
from mtl.training.run import train
from tests.training.processes import train_py
from tests.training.site import Site, metrics

LINE = ["trainer.max_steps=8", "trainer.val_check_interval=2"]


def study_of(file: Path, values: list[float]) -> SearchConfig:
    """Return the settings of a second trial, after one with these values."""
    settings = SearchConfig(study=str(file), trial=0, startup=1)
    study = open_study(file, {}, ["maximize"], settings)
    for number in range(2):
        study.ask()
        own = Reports(settings.model_copy(update={"trial": number}))
        if number == 0:
            for validation, value in enumerate(values, start=1):
                assert not own.add(validation * 2, 8, validation, value)
            tell(study, 0, "done", values[-1:])
    return settings.model_copy(update={"trial": 1})


def config(site: Site, search: SearchConfig) -> object:
    cfg = site.config("sentiment", trainer__max_steps=8, trainer__val_check_interval=2)
    cfg.search = search
    return cfg


def test_a_trial_that_is_worse_than_earlier_ones_ends(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At its second validation, because the first is for warming up; nothing is tested."""
    search = study_of(tmp_path / "study.log", [2.0, 2.0, 2.0, 2.0])
    found = train(config(site, search), tmp_path / "run")  # type: ignore[arg-type]
    assert found == metrics(tmp_path / "run")
    assert {name.split("/")[0] for name in found} == {"val"}
    assert "pruned after step 4 of 8" in capsys.readouterr().err
    said = trials_of(Reports(search).study)[1]
    assert said.user_attrs == {"steps": 4, "planned": 8, "pruned": True}
    assert list(said.intermediate_values) == [1, 2]
    assert said.intermediate_values[2] == pytest.approx(found["val/score"])


def test_a_trial_that_is_as_good_goes_on_to_its_end(site: Site, tmp_path: Path) -> None:
    search = study_of(tmp_path / "study.log", [-1.0, -1.0, -1.0, -1.0])
    found = train(config(site, search), tmp_path / "run")  # type: ignore[arg-type]
    assert "test/sentiment/accuracy" in found
    said = trials_of(Reports(search).study)[1]
    assert said.user_attrs == {"steps": 8, "planned": 8, "pruned": False}
    assert list(said.intermediate_values) == [1, 2, 3, 4]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trials", "more"),
    [
        (3, ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "search.workers=2"]),
        (2, ["trainer=ddp", "trainer.devices=2"]),
    ],
    ids=["two at once", "two processes each"],
)
def test_a_search_trains(site: Site, tmp_path: Path, trials: int, more: list[str]) -> None:
    ended = train_py(
        "-m", "sweep=optuna", "task=[sentiment]", f"search.trials={trials}", "search.startup=1",
        "search.warmup=0", f"tasks.sentiment.data.source={site.data}", "trunk=hf",
        "trunk.lr=tag(log, interval(1e-9, 1e-1))", f"trunk.path={site.trunk}", *LINE,
        "trainer.accelerator=cpu", "trainer.threads=1", "trainer.progress=false", "logger=none",
        *more, f"hydra.sweep.dir={tmp_path / 's'}",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    report = json.loads((tmp_path / "s" / "sweep.json").read_text())
    assert sorted(job["job"] for job in report["jobs"]) == list(range(trials))
    assert {job["status"] for job in report["jobs"]} <= {"done", "pruned"}
    assert all(job["planned"] == 8 for job in report["jobs"])
    assert report["command"] in ended.stdout
