"""``mtl fork``: a fork without a change is the run, and one without a task differs by it alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from mtl.cli.app import main
from mtl.cli.fork import Fork, check, make
from mtl.config.saved import saved_config
from mtl.config.schema import Config, ForkConfig
from mtl.errors import MtlError
from mtl.training.run import train
from tests.training.site import (
    Site,
    change,
    differing,
    fit,
    last_weights,
    metrics,
    module_of,
    prepared,
    saved,
    weights,
)

TASKS = ("ner", "sentiment", "rating")


def run_config(site: Site, **changes: Any) -> Config:
    options = {
        "batching__tokens": 24,
        "batching__examples": 5,
        "head__lr": 0.1,
        "trunk__lr": 0.01,
        "trainer__max_steps": 6,
        "trainer__val_check_interval": 2,
        "trainer__log_every_n_steps": 1,
        "callbacks__checkpoint__save_top_k": -1,
        "callbacks__early_stopping__patience": 5,
        "logger__names": [],
    }
    return site.config(*TASKS, **{**options, **changes})


@pytest.fixture(scope="module")
def whole(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of six steps that has ended, with a checkpoint after each second step."""
    folder = tmp_path_factory.mktemp("whole")
    cfg = run_config(site)
    train(cfg, folder)
    (folder / ".hydra").mkdir()
    OmegaConf.save(OmegaConf.create(cfg.model_dump()), folder / ".hydra" / "config.yaml")
    return folder


@pytest.fixture(scope="module")
def bare(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is looked at of such a run before it is forked."""
    folder = tmp_path_factory.mktemp("bare")
    cfg = run_config(site).model_dump()
    (folder / ".hydra").mkdir()
    OmegaConf.save(OmegaConf.create(cfg), folder / ".hydra" / "config.yaml")
    (folder / "metrics.json").write_text("{}")
    (folder / "checkpoints").mkdir()
    for step, name in ((2, "best-step=0000002"), (4, "best-step=0000004"), (6, "last")):
        state = {"state_dict": {}, "callbacks": {}, "global_step": step, "mtl": {"config": cfg}}
        torch.save(state, folder / "checkpoints" / f"{name}.ckpt")
    return folder


def forked(run: Path, folder: Path, step: int, *without: str) -> Path:
    cfg, place = make(Fork(run, step, without), str(folder))
    train(cfg, place)
    return place


def heads(run: Path, task: str) -> dict[str, torch.Tensor]:
    return {n: w for n, w in last_weights(run).items() if n.startswith(f"model.heads.{task}.")}


@pytest.mark.slow
@pytest.mark.parametrize("step", [0, 2, 4])
def test_a_fork_without_a_change_ends_as_the_run(whole: Path, tmp_path: Path, step: int) -> None:
    fork = forked(whole, tmp_path / "fork", step)
    assert differing(saved(whole), saved(fork)) == []
    assert differing(last_weights(whole), last_weights(fork)) == []
    assert metrics(whole) == metrics(fork)


@pytest.mark.slow
def test_a_task_that_is_taken_out_teaches_nothing_more(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its head stays as it was at that step, and the other tasks are told what it brought."""
    out = tmp_path / "fork"
    line = ["fork", str(whole), "--without", "sentiment", "--at-step", "2", "--output", str(out)]
    with pytest.raises(SystemExit) as ended:
        main(line)
    assert not ended.value.code
    at_two = torch.load(whole / "checkpoints" / "best-step=0000002.ckpt", weights_only=True)
    then = at_two["state_dict"]
    for name, weight in heads(out, "sentiment").items():
        assert torch.equal(weight, then[name])
    assert all(not torch.equal(w, then[n]) for n, w in heads(out, "rating").items())
    found = json.loads((out / "fork.json").read_text())
    assert found["without"] == ["sentiment"]
    ours, theirs = metrics(whole), metrics(out)
    for one in found["tasks"]:
        wanted = 100 * (ours[one["metric"]] - theirs[one["metric"]])
        assert one["points"] == pytest.approx(wanted)
        assert one["validation"]["step"] == 6
    assert [one["task"] for one in found["tasks"]] == ["ner", "rating"]
    assert "one pair of runs" in " ".join(capsys.readouterr().err.split())
    assert "<svg" in (out / "fork.html").read_text()
    assert saved_config(out).fork.without == ["sentiment"]


@pytest.mark.parametrize("balancing", ["sum", "equal_norms", "dwa"])
def test_a_silent_task_is_one_of_weight_zero(site: Site, tmp_path: Path, balancing: str) -> None:
    """Everything learns alike, but for the head, which weight decay would still make smaller."""
    found = []
    both: tuple[dict[str, Any], ...] = ({"fork__without": ["ner"]}, {"tasks__ner__weight": 0.0})
    for number, changes in enumerate(both):
        cfg = run_config(site, balancing__name=balancing, **changes)
        parts = prepared(cfg, tmp_path / str(number))
        module = module_of(cfg, parts, steps=3)
        before = weights(module)
        fit(module, parts.data, steps=3)
        found.append(weights(module))
    different = differing(*found)
    assert different
    assert not [name for name in different if "heads.ner" not in name]
    assert all(torch.equal(found[0][name], before[name]) for name in different)


@pytest.mark.parametrize(
    ("step", "without", "changes", "says"),
    [
        (2, ["sentimant"], {}, "`--without` to be one of .*Did you mean 'sentiment'"),
        (2, TASKS, {}, "`--without` to leave a task that learns"),
        (3, ["ner"], {}, r"`--at-step` to be a step that .* has a checkpoint of.*: 0, 2, 4"),
        (6, ["ner"], {}, r"`--at-step` to be below 6"),
        (2, ["ner"], {"balancing.conflict": True}, "balancing.conflict=true, which compares"),
        (2, ["ner"], {"mixing.patience": 2}, "mixing.patience, whose data follow"),
        (2, ["ner"], {"mixing.name": "dynamic"}, "mixing=dynamic, whose data follow"),
        (2, ["ner"], {"monitor": "val/ner/f1"}, "monitor=val/ner/f1"),
    ],
)
def test_what_cannot_be_forked(
    site: Site, bare: Path, tmp_path: Path, step: int, without: Any, changes: Any, says: str
) -> None:
    fork = Fork(bare, step, tuple(without))
    cfg = run_config(site)
    for key, value in changes.items():
        change(cfg, key, value)
    refuse: Callable[[], object] = partial(check, fork, cfg)
    if not changes:
        refuse = partial(make, fork, str(tmp_path / "fork"))
    with pytest.raises(MtlError, match=says):
        refuse()
    assert not (tmp_path / "fork").exists()


def test_a_run_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(MtlError, match="'nope' to be a run, but there is no such folder"):
        make(Fork(Path("nope"), 0, ()), str(tmp_path / "fork"))


def test_a_run_that_has_not_ended_is_not_forked(bare: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(bare / ".hydra", run / ".hydra")
    with pytest.raises(MtlError, match=r"a run that has ended.*resume="):
        make(Fork(run, 0, ()), str(tmp_path / "fork"))


def test_a_fork_is_not_asked_for_by_a_key(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    from mtl.cli.train import main as train_py

    assert ForkConfig().without == []
    assert train_py(["task=ner,sentiment", "fork.without=[ner]"]) == 2
    assert "mtl fork RUN" in capsys.readouterr().err
