"""Mixtures that follow validations: resumed exactly, tasks that leave, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from mtl.config.schema import Config, MixingConfig, StageConfig
from mtl.errors import ConfigError
from mtl.training.checkpoint import read_checkpoint
from mtl.training.mixture import FollowValidations, check_stages, following
from mtl.training.model import make_task
from mtl.training.module import MultiTaskModule
from mtl.training.run import train
from mtl.training.setup import prepare
from tests.data.tables import planner as planner_of
from tests.data.tables import table
from tests.training.forked import two_ranks
from tests.training.processes import arguments
from tests.training.resuming import (
    SAVE,
    STEP,
    VALIDATION,
    check_equal,
    killed,
    resumed,
)
from tests.training.site import Site, last_weights
from train import main

MIXTURES: dict[str, dict[str, Any]] = {
    "annealed": {"mixing__name": "annealed", "trainer__max_steps": None, "trainer__max_epochs": 2},
    "round robin": {"mixing__name": "uniform", "mixing__order": "round_robin"},
    "every step": {"mixing__order": "every_step"},
    "dynamic": {"mixing__name": "dynamic"},
    "patience": {"mixing__patience": 1, "mixing__min_delta": 0.5},
    "stages": {
        "mixing__stages": [
            StageConfig(tasks=["ner"], epochs=1),
            StageConfig(tasks=["sentiment"], epochs=1),
            StageConfig(tasks=["ner", "sentiment"]),
        ],
        "trainer__max_steps": 12,
    },
}


def config(site: Site, **changes: Any) -> Config:
    options = {
        "seed": 7,
        "batching__tokens": 24,
        "trainer__max_steps": 7,
        "trainer__val_check_interval": 2,
        "callbacks__checkpoint__every_n_train_steps": 3,
        "logger__names": ["csv"],
        "trainer__log_every_n_steps": 5,
    }
    return site.config("ner", "sentiment", **{**options, **changes})


def checkpoint(run: Path) -> dict[str, Any]:
    return read_checkpoint(run / "checkpoints" / "last.ckpt")


QUICK = ("patience",)
"""Without a mark: all others take longer."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "mixture", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in MIXTURES]
)
def test_resumed_as_if_never_stopped(site: Site, tmp_path: Path, mixture: str) -> None:
    """Killed in a step after a validation, in a validation, and while a checkpoint is written."""
    first = config(site, **MIXTURES[mixture])
    train(first, tmp_path / "whole")
    cfg, run = first, tmp_path / "killed"
    for point in ((*STEP, 4), (*VALIDATION, 2), (*SAVE, 2)):
        with killed(*point):
            train(cfg, run)
        cfg = resumed(first, run)
    train(cfg, run)
    check_equal(run, tmp_path / "whole")


@pytest.mark.slow
def test_a_task_leaves_and_its_head_stays_as_it_is(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = iter([(0.5, 0.1), (0.4, 0.2), (0.5, 0.3), (0.6, 0.4)])
    seen: list[set[str]] = []
    after_4: dict[str, torch.Tensor] = {}
    original = MultiTaskModule.training_step

    def step(module: MultiTaskModule, batch: Any, index: int) -> None:
        seen.append(set(batch.denominators))
        original(module, batch, index)
        if index == 3:
            head = module.model.heads["ner"].state_dict()
            after_4.update({name: value.clone() for name, value in head.items()})

    decide = FollowValidations.on_validation_end

    def scored(follow: FollowValidations, trainer: Any, module: MultiTaskModule) -> None:
        ner, sentiment = next(scores)
        module.results.update({"val/ner/f1": ner, "val/sentiment/accuracy": sentiment})
        decide(follow, trainer, module)

    monkeypatch.setattr(MultiTaskModule, "training_step", step)
    monkeypatch.setattr(FollowValidations, "on_validation_end", scored)
    cfg = config(site, mixing__patience=1, trainer__max_steps=8, trainer__test=False)
    train(cfg, tmp_path)
    assert all("ner" in step for step in seen[:4])
    assert seen[4:] == [{"sentiment"}] * 4
    said = capsys.readouterr().err
    assert "ner leaves the mixture after step 4: val/ner/f1 has not been better than 0.5000" in said
    assert "its part goes to sentiment (mixing.patience=1)" in said
    weights = last_weights(tmp_path)
    for name, value in after_4.items():
        (found,) = [w for n, w in weights.items() if n.endswith(f"heads.ner.{name}")]
        assert torch.equal(found, value)
    states = checkpoint(tmp_path)["callbacks"]
    (state,) = [s for s in states.values() if "history" in s]
    assert state["left"] == ["ner"]


def test_a_run_ends_where_every_task_has_left(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg = config(site, mixing__patience=2, mixing__min_delta=2.0, trainer__max_steps=40)
    train(cfg, tmp_path)
    assert checkpoint(tmp_path)["global_step"] == 6  # The first counts as better than nothing.
    assert "every task has left the mixture: training ends after step 6." in capsys.readouterr().err
    train(resumed(cfg, tmp_path), tmp_path)
    assert "finished after 6 steps" in capsys.readouterr().err


def test_annealing_needs_a_second_epoch(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "mixing.name=annealed changes shares from epoch to epoch, and this run has no second"
    prepare(site.config("ner", "sentiment", mixing__name="annealed"), tmp_path)
    assert said in capsys.readouterr().err
    longer = {"trainer__max_steps": None, "trainer__max_epochs": 2}
    prepare(site.config("ner", "sentiment", mixing__name="annealed", **longer), tmp_path)
    assert said not in capsys.readouterr().err


def test_tasks_that_are_not_trained_are_not_waited_for() -> None:
    tables = [table("ner", 40), table("sentiment", 0)]
    planner = planner_of(tables, epochs=3, every=2)
    tasks = {n: make_task(n, "text_classification", options={}, head={}) for n in ("ner", "x")}
    named = {"ner": tasks["ner"], "sentiment": tasks["x"]}
    (follow,) = following(MixingConfig(patience=1), planner, named)
    assert isinstance(follow, FollowValidations)
    assert list(follow.tasks) == ["ner"]
    stages = [StageConfig(tasks=["sentiment"], epochs=1), StageConfig(tasks=["ner", "sentiment"])]
    with pytest.raises(ConfigError, match=r"`mixing.stages\[0\].tasks` to name a task that is"):
        check_stages(MixingConfig(stages=stages), {"sentiment"})


def test_shares_by_scores_need_scores(site: Site, tmp_path: Path) -> None:
    cfg = site.config("ner", "rating", mixing__name="dynamic")
    cfg.tasks["rating"].metric = "rmse"
    with pytest.raises(ConfigError, match=r"rmse of task 'rating' is better the lower it is"):
        prepare(cfg, tmp_path)
    cfg = site.config("ner", "sentiment", mixing__name="dynamic")
    cfg.mixing.options = {"targets": {"nerd": 0.9}}
    with pytest.raises(ConfigError, match=r"Did you mean 'ner'\?"):
        prepare(cfg, tmp_path)


@pytest.mark.slow
def test_two_processes_decide_as_one_does(site: Site, tmp_path: Path) -> None:
    mixture = ["mixing=dynamic", "mixing.order=every_step", "mixing.patience=1"]
    line = arguments(site, tmp_path / "conf", *mixture, "trainer.test=false")
    assert main([*line, f"hydra.run.dir={tmp_path / 'one'}"]) == 0
    two = [*line, "trainer=ddp", "trainer.devices=2", f"hydra.run.dir={tmp_path / 'two'}"]
    ended = two_ranks(*two)
    assert ended.returncode == 0, ended.stderr
    found = []
    for name in ("one", "two"):
        states = checkpoint(tmp_path / name)["callbacks"].values()
        (state,) = [state for state in states if "history" in state]
        found.append(state)
        assert state["left"]
    assert [d["left"] for d in found[1]["history"]] == [d["left"] for d in found[0]["history"]]
    for mine, theirs in zip(found[0]["history"], found[1]["history"], strict=True):
        assert theirs["scores"] == pytest.approx(mine["scores"], abs=1e-4)
    one, other = last_weights(tmp_path / "one"), last_weights(tmp_path / "two")
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=1e-4, atol=1e-6)
