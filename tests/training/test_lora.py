"""Runs with adapters: what moves, what is kept, how they go on, and what is saved."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from mtl.errors import CheckpointError
from mtl.training.checkpoint import read_checkpoint
from mtl.training.model_io import load_model, start_from
from mtl.training.module import MultiTaskModule
from mtl.training.run import train
from tests import helpers
from tests.training.resuming import check_equal, killed, resumed, run_config
from tests.training.site import (
    Site,
    differing,
    fit,
    last_weights,
    metrics,
    module_of,
    prepared,
    saved,
    weights,
)

LORA: dict[str, Any] = {"tuning__name": "lora", "tuning__rank": 2, "tuning__dropout": 0.1}


@pytest.fixture
def _no_group() -> Iterator[None]:
    """Leave neither a process group behind nor the variables of one."""
    before = dict(os.environ)
    yield
    torch.distributed.destroy_process_group()
    for name in os.environ.keys() - before.keys():
        del os.environ[name]


@pytest.fixture(scope="module")
def run(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of seven steps that nothing stopped; not to be changed."""
    folder = tmp_path_factory.mktemp("lora")
    train(run_config(site, **LORA), folder)
    return folder


def test_adapters_and_heads_move_and_nothing_else(site: Site, tmp_path: Path) -> None:
    cfg = site.config("ner", "sentiment", schedule__warmup=0.0, **LORA)
    ready = prepared(cfg, tmp_path)
    before = weights(ready.model)
    fit(module_of(cfg, ready), ready.data, steps=2)
    moved = differing(before, weights(ready.model))
    assert {name for name in moved if name.startswith("trunk.")} == {
        name for name in before if "lora_" in name
    }
    assert len([name for name in moved if name.startswith("heads.")]) == 4


def test_it_begins_with_the_loss_of_a_frozen_trunk(site: Site, tmp_path: Path) -> None:
    losses = []
    for name in ("frozen", "lora"):
        cfg = site.config("ner", "sentiment", tuning__name=name)
        ready = prepared(cfg, tmp_path)
        module = module_of(cfg, ready)
        fit(module, ready.data)
        losses.append({k: v for k, v in module.training_logs.items() if k.endswith("loss")})
    assert losses[0] == losses[1]
    assert len(losses[0]) == 3


def test_rates_and_decay(site: Site, tmp_path: Path) -> None:
    cfg = site.config("ner", trunk__lr=0.25, optimizer__weight_decay=0.5, **LORA)
    ready = prepared(cfg, tmp_path)
    module = module_of(cfg, ready)
    optimizer: Any = module.configure_optimizers()
    groups = {g["name"]: g for g in optimizer["optimizer"].param_groups if g["weight_decay"]}
    assert groups["trunk"]["initial_lr"] == 0.25
    assert groups["trunk"]["weight_decay"] == 0.5
    adapters = [p for n, p in ready.model.named_parameters() if "lora_" in n]
    assert {id(p) for p in groups["trunk"]["params"]} == {id(p) for p in adapters}


def test_the_seed_draws_the_adapters(site: Site, tmp_path: Path) -> None:
    found = [
        weights(prepared(site.config("ner", seed=seed, **LORA), tmp_path).model)
        for seed in (1, 1, 2)
    ]
    assert differing(found[0], found[1]) == []
    assert any("lora_A" in name for name in differing(found[0], found[2]))


def test_a_checkpoint_holds_what_learns(run: Path) -> None:
    names = [n for n in last_weights(run) if n.startswith("model.")]
    assert all(".lora_" in n or n.startswith("model.heads.") for n in names)
    assert len([n for n in names if ".lora_" in n]) == 2 * 7
    held = read_checkpoint(run / "checkpoints" / "last.ckpt")["optimizer_states"][0]["state"]
    assert len(held) == len(names)


@pytest.mark.parametrize("step", [3, 6])
def test_killed_and_resumed(site: Site, run: Path, tmp_path: Path, step: int) -> None:
    cfg = run_config(site, **LORA)
    with killed(MultiTaskModule, "training_step", step):
        train(cfg, tmp_path)
    train(resumed(cfg, tmp_path), tmp_path)
    check_equal(tmp_path, run)


def test_another_trunk_than_the_run_began_with(site: Site, tmp_path: Path) -> None:
    """Of the same shape, so that its digest alone tells."""
    config = helpers.llama_config(num_hidden_layers=1, hidden_size=8)
    trunk = helpers.save_tiny(tmp_path / "trunk", config, helpers.bpe_tokenizer())
    cfg = run_config(site, trunk__path=str(trunk), **LORA)
    with killed(MultiTaskModule, "training_step", 5):
        train(cfg, tmp_path / "run")
    helpers.save_tiny(trunk, config, helpers.bpe_tokenizer(), seed=1)
    with pytest.raises(CheckpointError, match=r"last\.ckpt.*do not learn.*the trunk.*changed"):
        train(resumed(cfg, tmp_path / "run"), tmp_path / "run")


@pytest.mark.slow
def test_the_model_folder_is_plain(site: Site, run: Path) -> None:
    """The adapters are in its weights, and it is opened without their library."""
    names = load_file(site.trunk / "model.safetensors").keys()
    here = load_file(run / "model" / "model.safetensors")
    assert here.keys() == names
    before = load_file(site.trunk / "model.safetensors")
    changed = differing(before, here)
    assert changed
    assert all("_proj" in name for name in changed)
    code = (
        "import sys; from pathlib import Path; from mtl.training.model_io import load_model; "
        f"load_model(Path({str(run)!r})); print('peft' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split()[-1] == "False"


def test_the_saved_model_answers_as_the_trained_one(site: Site, run: Path, tmp_path: Path) -> None:
    cfg = run_config(site, **LORA)
    ready = prepared(cfg, tmp_path)
    module = module_of(cfg, ready)
    (best,) = (run / "checkpoints").glob("best-*.ckpt")
    module.load_state_dict(module.frozen.put_back(read_checkpoint(best)["state_dict"]))
    module.eval()
    loaded = load_model(run).model
    for batch in ready.data.val_dataloader():
        with torch.no_grad():
            found, wanted = loaded(batch), module.model(batch)
        for name, logits in wanted.items():
            torch.testing.assert_close(found[name], logits, rtol=1e-4, atol=1e-5)


def test_a_full_run_starts_from_one_with_adapters_and_back(
    site: Site, run: Path, tmp_path: Path
) -> None:
    there = {n: v for n, v in saved(run).items() if n.startswith("model.")}
    plain = prepared(run_config(site, seed=7), tmp_path)
    assert start_from(plain.model, run) == ["ner", "rating"]
    here = {f"model.safetensors:{n}": v for n, v in weights(plain.model.trunk.model).items()}
    assert differing(there, {name: here[name] for name in there}) == []
    cfg = run_config(site, init__run=str(run), **LORA)
    train(cfg, tmp_path / "second")
    assert any(name.endswith("embed_tokens.weight") for name in last_weights(tmp_path / "second"))
    assert metrics(tmp_path / "second")


@pytest.mark.usefixtures("_no_group")
def test_ddp_with_one_process(site: Site, tmp_path: Path) -> None:
    """Every adapter has a gradient in every pass, or DDP would refuse the next."""
    found = []
    for strategy in ("auto", "ddp"):
        cfg = site.config("ner", "gist", batching__tokens=30, **LORA)
        ready = prepared(cfg, tmp_path)
        fit(module_of(cfg, ready), ready.data, steps=4, strategy=strategy, devices=1)
        found.append(weights(ready.model))
    for name, weight in found[0].items():  # DDP's buckets lie elsewhere in memory: last digits.
        torch.testing.assert_close(found[1][name], weight, rtol=0, atol=1e-6)
