"""A balancing inside real steps: passes, tasks that are absent, resuming, several ranks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torchjd.aggregation import UPGrad

from mtl.config.schema import BalancingConfig
from mtl.data.loaders import TrainLoader
from mtl.errors import ConfigError
from mtl.training.balancing import build_balancing
from mtl.training.module import MultiTaskModule
from mtl.training.run import train
from tests.training.balancing.test_scalarizers import METHODS
from tests.training.forked import two_ranks
from tests.training.processes import arguments, logged
from tests.training.resuming import check_equal, killed, resumed, run_config
from tests.training.site import Site, fit, last_weights, module_of, prepared, weights
from tests.training.test_gradients import Gradients, quiet
from train import main

WEIGHTS = {"ner": 0.7, "sentiment": 2.0}


def trained(
    site: Site, folder: Path, name: str, options: dict[str, Any], steps: int = 5, **changes: Any
) -> MultiTaskModule:
    """Take some steps without dropout, on examples of two tasks that differ in number."""
    cfg = site.config(
        *WEIGHTS,
        balancing__name=name,
        balancing__options=options,
        trunk__dropout=0.0,
        tasks__sentiment__data__max_train_examples=5,
        batching__examples=4,
        schedule__warmup=0.0,
        **changes,
    )
    for task, weight in WEIGHTS.items():
        cfg.tasks[task].head["dropout"] = 0.0
        cfg.tasks[task].weight = weight
    ready = prepared(cfg, folder)
    module = module_of(cfg, ready, steps=steps)
    fit(module, ready.data, steps=steps, precision=cfg.trainer.precision)
    return module


def close(found: dict[str, Tensor], wanted: dict[str, Tensor], tolerance: float = 1e-4) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, rtol=tolerance, atol=1e-5, msg=name)


@pytest.mark.parametrize(("name", "options"), METHODS.items(), ids=METHODS)
def test_any_split_into_passes_is_the_same(
    site: Site, tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    large = trained(site, tmp_path, name, options, batching__tokens=4096)
    small = trained(site, tmp_path, name, options, batching__tokens=16)
    close(weights(small.model), weights(large.model))
    for key, value in large.gradients.balancing.shown().items():
        assert small.gradients.balancing.shown()[key] == pytest.approx(value, rel=1e-3)
        assert large.training_logs[f"train/{key}/weight"] == pytest.approx(value)


MEASURED = ["gradnorm", "equal_norms"]
AGGREGATED = ["upgrad", "pcgrad", "nash_mtl", *MEASURED]


@pytest.mark.parametrize("name", AGGREGATED)
def test_any_split_into_passes_gives_the_same_rows(site: Site, tmp_path: Path, name: str) -> None:
    """Tasks are absent from some steps; documents are read by both tasks, or longer than a pass."""
    windows = {"trunk__max_length": 8, "trunk__stride": 2}
    large = trained(site, tmp_path, name, {}, batching__tokens=4096, **windows)
    small = trained(site, tmp_path, name, {}, batching__tokens=16, **windows)
    loader = small.trainer.datamodule.train_dataloader()  # type: ignore[attr-defined]
    assert any(batch.rows is not None for n in range(5) for batch in loader.step(n).micro_batches)
    close(weights(small.model), weights(large.model), 1e-3)


def references(
    site: Site, folder: Path, **changes: Any
) -> tuple[MultiTaskModule, Any, dict[str, dict[str, Tensor]]]:
    """Take one step; returns its module, its gradients, and each task's own of the same examples.

    The reference is one mixed pass whose graph every task's backward pass goes through.
    """
    gradients, changes = Gradients(), {"batching__examples": 12, **changes}
    options = {"trunk__dropout": 0.0, "trainer__gradient_clip_val": None, "batching__tokens": 4096}
    found = []
    for name in (changes.pop("name"), "sum"):
        cfg = site.config(*WEIGHTS, **{**options, **changes, "balancing__name": name})
        ready = quiet(cfg, folder)
        found.append((module_of(cfg, ready, steps=1), ready))
    (module, ready), (plain, mixed) = found
    own: dict[str, dict[str, Tensor]] = {}
    step = TrainLoader(mixed.data.planner, mixed.data._collator(mixed.data.train, "train"), steps=1)
    fit(plain, mixed.data, limit_train_batches=0)
    plain.train()
    parts, _ = plain.gradients.pass_losses(step.step(0).micro_batches[0], step.step(0))
    for task, loss in parts.items():
        plain.zero_grad()
        (WEIGHTS[task] * loss).backward(retain_graph=True)
        named = plain.model.named_parameters()
        own[task] = {n: p.grad.clone() for n, p in named if p.grad is not None}
    fit(module, ready.data, callbacks=[gradients])
    return module, gradients, own


def flat(own: dict[str, Tensor], names: list[str]) -> Tensor:
    return torch.cat([own[name].flatten() for name in names])


@pytest.mark.parametrize("where", ["trunk", "last", "adapters"])
def test_the_gradient_is_torchjds_of_the_tasks_own(site: Site, tmp_path: Path, where: str) -> None:
    changes: dict[str, Any] = {"balancing__parameters": where}
    if where == "adapters":
        changes["tuning__name"] = "lora"
    module, gradients, own = references(site, tmp_path, name="upgrad", **changes)
    assert set(own) == set(WEIGHTS)
    trunk = [n for n in own["ner"] if n.startswith("trunk.")]
    shared = [n for n in trunk if where != "last" or ".layers.0." in n]
    assert (shared == trunk) == (where != "last")
    wanted = UPGrad()(torch.stack([flat(own[task], shared) for task in WEIGHTS]))
    found = flat({n.removeprefix("model."): g for n, g in gradients.found.items()}, shared)
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4 * float(wanted.abs().max()))
    for name in {n for task in WEIGHTS for n in own[task]} - set(shared):
        total = torch.stack([own[t][name] for t in WEIGHTS if name in own[t]]).sum(dim=0)
        torch.testing.assert_close(
            gradients.found[f"model.{name}"], total, rtol=1e-4, atol=1e-5, msg=name
        )
    assert module.gradients.balancing.shown().keys() == WEIGHTS.keys()


def test_conflict_is_that_of_the_tasks_own_gradients(site: Site, tmp_path: Path) -> None:
    logged = {"balancing__conflict": True, "trainer__log_every_n_steps": 1}
    module, gradients, own = references(site, tmp_path, name="sum", **logged)
    names = [n for n in own["ner"] if n.startswith("trunk.")]
    one, two = (flat(own[task], names) for task in WEIGHTS)
    logs = module.training_logs
    cosine = float(torch.nn.functional.cosine_similarity(one, two, dim=0))
    assert logs["train/ner/cosine_sentiment"] == pytest.approx(cosine, rel=1e-3)
    assert logs["train/ner/trunk_grad_norm"] == pytest.approx(float(one.norm()), rel=1e-4)
    assert logs["train/sentiment/trunk_grad_norm"] == pytest.approx(float(two.norm()), rel=1e-4)
    found = flat({n.removeprefix("model."): g for n, g in gradients.found.items()}, names)
    torch.testing.assert_close(found, one + two, rtol=1e-4, atol=1e-5)


def test_conflict_is_looked_at_in_logged_steps_only(site: Site, tmp_path: Path) -> None:
    cfg = site.config(
        *WEIGHTS, balancing__conflict=True, trainer__log_every_n_steps=3, trainer__max_steps=7
    )
    ready = prepared(cfg, tmp_path)
    loader = ready.data.train_dataloader()
    assert [loader.step(n).by_task for n in range(7)] == [False, False, True] * 2 + [True]
    for step in map(loader.step, range(7)):
        most = max(len(batch.heads) for batch in step.micro_batches)
        assert most == (1 if step.by_task else 2)


@pytest.mark.parametrize("parameters", ["last", "adapters"])
def test_parameters_that_there_are_not(site: Site, tmp_path: Path, parameters: str) -> None:
    cfg = site.config(
        *WEIGHTS,
        balancing__name="upgrad",
        balancing__parameters=parameters,
        balancing__layers=2,
    )
    wanted = "`balancing.layers` to be at most 1, the layers of the trunk, but got 2"
    if parameters == "adapters":
        wanted = "`balancing.parameters` to be parameters of the trunk that learn"
    with pytest.raises(ConfigError, match=re.escape(wanted)):
        module_of(cfg, prepared(cfg, tmp_path))


RESUMED: dict[str, list[str]] = {
    "famo": [],
    "uncertainty": ["balancing.conflict=true"],
    "nash_mtl": ["balancing.parameters=last"],
    "gradnorm": [],
    "equal_norms": [],
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "more"), RESUMED.items(), ids=RESUMED)
def test_resumes_bit_for_bit(site: Site, tmp_path: Path, name: str, more: list[str]) -> None:
    changes: dict[str, Any] = {"balancing__name": name}
    for line in more:
        key, _, value = line.partition("=")
        changes[key.replace(".", "__")] = value == "true" or value
    cfg = run_config(site, **changes)
    train(cfg, tmp_path / "whole")
    with killed(MultiTaskModule, "training_step", 6):
        train(cfg, tmp_path / "run")
    train(resumed(cfg, tmp_path / "run"), tmp_path / "run")
    check_equal(tmp_path / "run", tmp_path / "whole")


@pytest.mark.parametrize("name", MEASURED)
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_lengths_need_no_row_for_each_task(
    site: Site, tmp_path: Path, name: str, precision: str
) -> None:
    """Two rows give what a row for each task gives, which logged conflicts keep."""
    changes = {"trainer__precision": precision, "batching__tokens": 16}
    two = trained(site, tmp_path, name, {}, 3, **changes)
    every = trained(site, tmp_path, name, {}, 3, balancing__conflict=True, **changes)
    by_task = [module.gradients.by_task for module in (two, every)]
    assert [own.room(5)[0] for own in by_task if own is not None] == [2, 5]
    for key, value in every.gradients.balancing.shown().items():
        assert two.gradients.balancing.shown()[key] == pytest.approx(value, rel=1e-5)
    close(weights(two.model), weights(every.model), 1e-4)


TWO = [("uncertainty", True), ("famo", True), ("gradvac", True), ("equal_norms", True)]
TWO += [("equal_norms", False)]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "conflict"), TWO)
def test_two_processes_equal_one(site: Site, tmp_path: Path, name: str, conflict: bool) -> None:
    """Tasks have rows on one process only, or on none, and processes differ in their passes."""
    more = [f"balancing={name}", f"balancing.conflict={conflict}", "trainer.test=false"]
    more += ["trainer.max_epochs=1"]
    line = arguments(site, tmp_path / "conf", *more)
    assert main([*line, f"hydra.run.dir={tmp_path / 'one'}"]) == 0
    both = ["trainer=ddp", "trainer.devices=2", f"hydra.run.dir={tmp_path / 'two'}"]
    ended = two_ranks(*line, *both)
    assert ended.returncode == 0, ended.stderr
    one, two = logged(tmp_path / "one"), logged(tmp_path / "two")
    assert len(one) == len(two)
    assert any("cosine" in key for row in one for key in row) == conflict
    for ours, theirs in zip(one, two, strict=True):
        for row in (ours, theirs):
            row.pop("train/padding", None)  # Passes are other ones.
        assert theirs == pytest.approx(ours, rel=2e-3, abs=1e-4)
    close(last_weights(tmp_path / "two"), last_weights(tmp_path / "one"), 1e-3)


@pytest.mark.parametrize("name", [name for name in AGGREGATED if name not in MEASURED])
def test_steps_in_bfloat16_are_balanced_in_float32(
    site: Site, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a method is given and what it makes of it are those of a call outside of autocast."""
    seen: list[tuple[Tensor, Tensor]] = []
    kind = type(build_balancing(WEIGHTS, BalancingConfig(name=name)))
    aggregate = kind.aggregate

    def noted(self: Any, rows: Tensor, moment: Any) -> Tensor:
        found = aggregate(self, rows, moment)
        seen.append((rows @ rows.T, found))
        return found

    monkeypatch.setattr(kind, "aggregate", noted)
    module = trained(site, tmp_path, name, {}, trainer__precision="bf16-mixed")
    assert seen
    assert {part.dtype for pair in seen for part in pair} == {torch.float32}
    assert getattr(module.gradients.balancing, "failed", 0) == 0
