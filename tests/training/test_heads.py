"""What happens to one head is no business of the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

from mtl.data.loaders import TrainLoader
from mtl.tasks.base import restore
from mtl.training.model import build_heads, build_task
from mtl.training.run import train
from mtl.types import Step
from tests.training.site import Site, Weights, differing, fit, module_of, prepared, saved, weights


@pytest.mark.parametrize("names", [("ner",), ("rating", "ner"), ("sentiment", "rating", "ner")])
def test_a_fresh_head_depends_on_its_own_name_alone(
    site: Site, tmp_path: Path, names: tuple[str, ...]
) -> None:
    alone = prepared(site.config("ner"), tmp_path).model.heads["ner"]
    among = prepared(site.config(*names), tmp_path).model.heads["ner"]
    assert differing(weights(alone), weights(among)) == []


def test_a_fresh_head_depends_on_the_seed_and_its_name(site: Site) -> None:
    cfg = site.config("sentiment")
    task = build_task("sentiment", cfg.tasks["sentiment"])
    restore(task, {"labels": ["a", "b"]})
    other = build_task("mood", cfg.tasks["sentiment"])
    restore(other, {"labels": ["a", "b"]})
    heads = build_heads([task, other], 8, seed=1)
    assert differing(weights(heads["sentiment"]), weights(heads["mood"]))
    again = build_heads([task], 8, seed=2)
    assert differing(weights(heads["sentiment"]), weights(again["sentiment"]))


def test_building_heads_leaves_the_random_state_alone(site: Site, tmp_path: Path) -> None:
    tasks = prepared(site.config("ner"), tmp_path).tasks
    before = torch.get_rng_state()
    build_heads(tasks, 8, seed=3)
    assert torch.equal(torch.get_rng_state(), before)


class Labels(L.Callback):
    """Turns every label of a task into the next one: the task is learned anew."""

    def __init__(self, task: str, classes: int) -> None:
        self.task, self.classes = task, classes

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Step, batch_idx: int
    ) -> None:
        for micro_batch in batch.micro_batches:
            if self.task in micro_batch.heads:
                targets = micro_batch.heads[self.task].targets
                targets["labels"] = (targets["labels"] + 1) % self.classes


def test_retraining_a_head_on_a_frozen_trunk_leaves_the_others(site: Site, tmp_path: Path) -> None:
    found = []
    for callbacks in ([], [Labels("sentiment", 3)]):
        cfg = site.config(
            "ner", "sentiment", tuning__name="frozen", trainer__gradient_clip_val=None
        )
        ready = prepared(cfg, tmp_path)
        start = weights(ready.model.heads["ner"])
        fit(module_of(cfg, ready), ready.data, steps=4, callbacks=callbacks)
        found.append({name: weights(head) for name, head in ready.model.heads.items()})
        assert differing(start, found[-1]["ner"])
    assert differing(found[0]["sentiment"], found[1]["sentiment"])
    assert differing(found[0]["ner"], found[1]["ner"]) == []


def test_adding_and_removing_a_task_keeps_a_runs_other_heads(site: Site, tmp_path: Path) -> None:
    """``init=RUN`` of two tasks into three, and of those into two."""
    stays = {"trunk__lr": 0.0, "head__lr": 0.0, "trainer__max_steps": 1, "trainer__test": False}
    train(site.config("ner", "sentiment", trainer__max_steps=2), tmp_path / "two")
    for names, start, run in (
        (("ner", "rating", "sentiment"), "two", "three"),
        (("sentiment", "rating"), "three", "less"),
    ):
        cfg = site.config(*names, init__run=str(tmp_path / start), **stays)
        train(cfg, tmp_path / run)
        before, after = saved(tmp_path / start), saved(tmp_path / run)
        both = before.keys() & after.keys()
        assert {name.partition(":")[0] for name in both} >= {"head-sentiment.safetensors"}
        assert differing({n: before[n] for n in both}, {n: after[n] for n in both}) == []


class FirstBoth(TrainLoader):
    """Only the first step has rows of both tasks; all others have those of one."""

    def step(self, number: int) -> Step:
        step = super().step(number)
        if number:
            del step.denominators["sentiment"]
            for micro_batch in step.micro_batches:
                micro_batch.heads.pop("sentiment", None)
            step.micro_batches = [m for m in step.micro_batches if m.heads]
        return step


class Watch(L.Callback):
    """Keeps weights and momentum after every step."""

    def __init__(self) -> None:
        self.weights: list[Weights] = []
        self.momentum: list[Weights] = []

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        state = trainer.optimizers[0].state
        self.weights.append(weights(pl_module))
        self.momentum.append(
            {n: state[p]["exp_avg"].clone() for n, p in pl_module.named_parameters()}
        )


def test_a_head_without_rows_in_a_step_is_not_updated(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does its momentum move it, nor weight decay."""
    monkeypatch.setattr("mtl.data.datamodule.TrainLoader", FirstBoth)
    cfg = site.config("ner", "sentiment", optimizer__weight_decay=0.5, schedule__warmup=0.0)
    ready, watch = prepared(cfg, tmp_path), Watch()
    fit(module_of(cfg, ready), ready.data, steps=3, callbacks=[watch])
    (before, *_, after), (momentum, *_, momentum_after) = watch.weights, watch.momentum
    idle = [name for name in momentum if "heads.sentiment" in name]
    assert len(idle) == 2
    assert all(momentum[name].any() for name in idle)
    assert set(differing(momentum, momentum_after)) == momentum.keys() - set(idle)
    moved = differing(before, after)
    assert not set(moved) & set(idle)
    assert {name.split(".")[1] for name in moved} == {"trunk", "heads"}
