"""``tuning.adapters=per_task``: each task's documents are read with its own adapter."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from mtl.config.rules import broken_rules
from mtl.config.schema import Config
from mtl.errors import CheckpointError
from mtl.inference.predictor import RowPredictor
from mtl.tasks import TASK_TYPES
from mtl.training.model_io import load_model, start_from
from mtl.training.run import train
from mtl.trunk.tuning import load_adapters, save_adapters
from mtl.types import MicroBatch
from tests import helpers
from tests.training.corpus import rows
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

NAMES = ("ner", "sentiment", "gist")


def run_config(site: Site, *names: str, **changes: Any) -> Config:
    options = {
        "tuning__name": "lora",
        "tuning__adapters": "per_task",
        "tuning__rank": 2,
        "trunk__lr": 0.05,
        "head__lr": 0.05,
        "batching__examples": 5,
        "batching__tokens": 24,
        "schedule__warmup": 0.0,
        "trainer__max_steps": 4,
        "trainer__val_check_interval": 2,
    }
    return site.config(*(names or NAMES), **{**options, **changes})


def own(found: dict[str, torch.Tensor], task: str) -> dict[str, torch.Tensor]:
    return {n: w for n, w in found.items() if f".{task}." in n and "lora_" in n}


def passes(site: Site, folder: Path) -> list[MicroBatch]:
    step = next(iter(prepared(run_config(site), folder).data.train_dataloader()))
    return step.micro_batches


def test_a_pass_is_of_one_task(site: Site, tmp_path: Path) -> None:
    assert all(len(batch.heads) == 1 for batch in passes(site, tmp_path))
    data = prepared(run_config(site), tmp_path).data
    batches = [b for b in data.val_dataloader() if isinstance(b, MicroBatch)]
    assert {len(batch.heads) for batch in batches} == {1}
    assert {name for batch in batches for name in batch.heads} == set(NAMES)


def test_an_adapter_follows_from_its_task_alone(site: Site, tmp_path: Path) -> None:
    """The weights of a task's adapter do not depend on which others there are."""
    both = weights(prepared(run_config(site), tmp_path).model)
    alone = weights(prepared(run_config(site, "sentiment"), tmp_path).model)
    assert own(both, "sentiment")
    assert differing(own(both, "sentiment"), own(alone, "sentiment")) == []
    shared = [n for n, w in own(both, "ner").items() if "lora_A" in n and w.std() > 0]
    assert all(not torch.equal(both[n], both[n.replace("ner", "gist")]) for n in shared)


def test_a_task_alone_learns_as_beside_others(site: Site, tmp_path: Path) -> None:
    """Nothing is shared that learns: one step of a task is the same whatever trains beside it."""
    options = {"batching__examples": 48, "trainer__gradient_clip_val": None, "trunk__dropout": 0.0}
    found = []
    for names in (("ner", "sentiment"), ("sentiment",)):
        cfg = run_config(site, *names, **options)
        for task in cfg.tasks.values():
            task.head["dropout"] = 0.0
        parts = prepared(cfg, tmp_path)
        module = module_of(cfg, parts, steps=2)
        before = weights(module)
        fit(module, parts.data, steps=1)
        found.append(own(weights(module), "sentiment"))
        assert differing(found[-1], own(before, "sentiment"))
    for name, weight in found[0].items():
        torch.testing.assert_close(weight, found[1][name], atol=1e-6, rtol=1e-4)


def test_tasks_that_a_step_lacks_stay(site: Site, tmp_path: Path) -> None:
    cfg = run_config(site, mixing__order="round_robin")
    parts = prepared(cfg, tmp_path)
    (task,) = next(iter(parts.data.train_dataloader())).denominators
    module = module_of(cfg, parts, steps=4)
    before = weights(module)
    fit(module, parts.data, steps=1)
    after = weights(module)
    for name in NAMES:
        changed = differing(own(before, name), own(after, name))
        assert bool(changed) == (name == task)


@pytest.fixture(scope="module")
def whole(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing stopped."""
    folder = tmp_path_factory.mktemp("own")
    train(run_config(site), folder)
    return folder


@pytest.mark.slow
def test_a_run_goes_on_and_its_model_answers(site: Site, whole: Path, tmp_path: Path) -> None:
    """Resumed it ends alike; loaded, each task answers as in training, with its own adapter."""
    shutil.copytree(whole, tmp_path / "run")
    best = sorted((whole / "checkpoints").glob("best-*.ckpt"))[0]
    shutil.copy(best, tmp_path / "run" / "checkpoints" / "last.ckpt")
    (tmp_path / "run" / "metrics.json").unlink()
    cfg = run_config(site).model_copy(update={"resume": str(tmp_path / "run")})
    train(cfg, tmp_path / "run")
    assert differing(saved(whole), saved(tmp_path / "run")) == []
    assert differing(last_weights(whole), last_weights(tmp_path / "run")) == []
    assert metrics(whole) == metrics(tmp_path / "run")

    loaded = load_model(whole)
    assert loaded.model.trunk.readers == NAMES
    assert {p.name for p in (whole / "model" / "adapter").iterdir()} == set(NAMES)
    test = [{"text": row["text"]} for row in rows(9, 22)]
    answers = list(RowPredictor(loaded, "cpu").predict(test, ["ner", "sentiment"]))
    alone = list(RowPredictor(loaded, "cpu").predict(test, ["sentiment"]))
    for both, one in zip(answers, alone, strict=True):
        assert both["sentiment"]["label"] == one["sentiment"]["label"]
    gold = [row["sentiment"] for row in rows(9, 22)]
    right = sum(a["sentiment"]["label"] == g for a, g in zip(answers, gold, strict=True)) / 9
    assert right == pytest.approx(metrics(whole)["test/sentiment/accuracy"])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing")
def test_peft_opens_each_adapter(site: Site, whole: Path) -> None:
    """The states of a task are those of peft's own model over the base trunk."""
    from peft import PeftModel
    from transformers import AutoModel

    loaded = load_model(whole)
    ids = torch.tensor([[5, 9, 30, 7]])
    states = {}
    for name in NAMES:
        base = AutoModel.from_pretrained(site.trunk)
        theirs = PeftModel.from_pretrained(base, str(whole / "model" / "adapter" / name)).eval()
        loaded.model.trunk.read_for(name)
        with torch.inference_mode():
            states[name] = loaded.model.trunk.model(input_ids=ids).last_hidden_state
            want = theirs(input_ids=ids).last_hidden_state
        torch.testing.assert_close(states[name], want, atol=1e-6, rtol=1e-5)
    assert not torch.allclose(states["ner"], states["sentiment"])


@pytest.mark.slow
def test_what_such_a_run_cannot_be(site: Site, whole: Path, tmp_path: Path) -> None:
    ready = prepared(site.config("ner"), tmp_path)
    with pytest.raises(CheckpointError, match="`init` to be a run whose trunk has what it"):
        start_from(ready.model, whole)
    broken = tmp_path / "broken"
    shutil.copytree(whole, broken)
    (broken / "model" / "adapter" / "ner" / "adapter_model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"the adapter of task 'ner', but it cannot be read"):
        load_model(broken)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"tuning.name": "adalora"}, "with tuning=adalora"),
        ({"tuning.name": "full"}, "with tuning=full"),
        ({"trainer.strategy": "fsdp"}, "with trainer.strategy=fsdp"),
        ({"trunk.gradient_checkpointing": True}, "with trunk.gradient_checkpointing=true"),
        ({"init.keep": "distill"}, "with init.keep=distill"),
        ({"balancing.name": "upgrad"}, "with balancing=upgrad, which compares gradients"),
        ({"balancing.conflict": True}, "with balancing.conflict=true, which compares gradients"),
        ({"balancing.name": "dwa"}, "to be sum with tuning.adapters=per_task"),
    ],
)
def test_what_does_not_go_with_it(site: Site, changes: dict[str, Any], says: str) -> None:
    cfg = run_config(site)
    assert broken_rules(cfg, TASK_TYPES, set()) == []
    for key, value in changes.items():
        change(cfg, key, value)
    assert any(says in str(problem) for problem in broken_rules(cfg, TASK_TYPES, set()))


@pytest.mark.parametrize("name", ["dora", "rslora", "ia3"])
def test_other_adapters_can_be_each_tasks_own(site: Site, tmp_path: Path, name: str) -> None:
    """What was saved gives the same states beside the trunk again, of many layers, too."""
    config = helpers.llama_config(num_hidden_layers=4, hidden_size=8)
    deep = str(helpers.save_tiny(tmp_path / "trunk", config, helpers.bpe_tokenizer()))
    cfg = run_config(site, tuning__name=name, trunk__path=deep)
    trunk = prepared(cfg, tmp_path).model.trunk.eval()
    learning = {n: p for n, p in trunk.named_parameters() if p.requires_grad}
    assert all(any(f".{task}" in n for task in NAMES) for n in learning)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in learning.values():
            parameter.add_(torch.randn_like(parameter), alpha=0.5)
    save_adapters(trunk, tmp_path, None)
    bare = prepared(site.config(*NAMES, trunk__path=deep), tmp_path).model.trunk.eval()
    load_adapters(bare, tmp_path, NAMES)
    ids, states = torch.tensor([[5, 9, 30, 7]]), []
    for task in NAMES:
        for one in (trunk, bare):
            one.read_for(task)
            with torch.inference_mode():
                states.append(one.model(input_ids=ids).last_hidden_state)
        torch.testing.assert_close(states[-1], states[-2])
    assert not torch.allclose(states[0], states[2])
