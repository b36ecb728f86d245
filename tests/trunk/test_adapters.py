"""Every method with adapters: what learns, what merging leaves, and files that peft opens."""

from __future__ import annotations

import copy
import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import IA3Config, LoraConfig, PeftModel, VeraConfig, get_peft_model
from peft.utils.constants import TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING as IA3_LAYERS

from mtl.config.schema import TuningConfig
from mtl.errors import ConfigError
from mtl.trunk.trunk import Trunk
from mtl.trunk.tuning import TUNINGS, adapters, merged, save_adapters, without_adapters
from tests.trunk.conftest import Load
from tests.trunk.families import FAMILIES
from tests.trunk.test_lora import quiet, states

METHODS = ["lora", "rslora", "dora", "adalora", "ia3", "vera"]
USUAL = ("llama", "bert")
OTHERS = [pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES if name not in USUAL]


def tune(trunk: Trunk, method: str, **options: Any) -> Trunk:
    torch.manual_seed(0)
    trunk.tuning = TUNINGS.get(method)(trunk, TuningConfig(**options)) or trunk.tuning
    return trunk


def stir(trunk: Trunk) -> Trunk:
    """Give what learns other values."""
    generator = torch.Generator().manual_seed(1)
    for parameter in trunk.model.parameters():
        if parameter.requires_grad:
            with torch.no_grad():
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return trunk


def learning(module: Any) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def by_hand(trunk: Trunk, method: str, rank: int, initial: int) -> int:
    """Return how many weights learn, by each method's own paper."""
    count = 0
    for layer in adapters(trunk.model).values():
        weight: Any = layer.get_base_layer().weight
        rows, columns = weight.shape
        inputs, outputs = (rows, columns) if "Conv1D" in repr(layer) else (columns, rows)
        count += {
            "lora": rank * (inputs + outputs),
            "rslora": rank * (inputs + outputs),
            "dora": rank * (inputs + outputs) + outputs,
            "adalora": initial * (inputs + outputs + 1),
            "ia3": inputs if getattr(layer, "is_feedforward", False) else outputs,
            "vera": rank + outputs,
        }[method]
    return count


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", USUAL)
def test_what_learns_is_what_papers_count(load: Load, name: str, method: str) -> None:
    trunk = tune(load(name), method, rank=3, initial_rank=5)
    assert learning(trunk) == by_hand(trunk, method, 3, 5) > 0


@pytest.mark.parametrize("method", ["lora", "dora", "ia3", "vera"])
def test_peft_counts_as_many(load: Load, method: str) -> None:
    trunk = tune(load("llama"), method, rank=3, target_modules=["k_proj", "v_proj", "down_proj"])
    layers: Any = {"target_modules": ["k_proj", "v_proj", "down_proj"]}
    config = {
        "lora": LoraConfig(r=3, **layers),
        "dora": LoraConfig(r=3, use_dora=True, **layers),
        "ia3": IA3Config(feedforward_modules=["down_proj"], **layers),
        "vera": VeraConfig(r=3, **layers),
    }[method]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = get_peft_model(copy.deepcopy(load("llama").model), config)
    assert learning(trunk) == theirs.get_nb_trainable_parameters()[0]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", [*USUAL, *OTHERS])
def test_merged_layers_give_the_same(load: Load, name: str, method: str) -> None:
    plain = load(name)
    if method == "ia3" and plain.config.model_type not in IA3_LAYERS:
        pytest.skip("its layers have to be named")
    start = quiet(plain)
    trunk = tune(load(name), method, rank=3, initial_rank=4)
    torch.testing.assert_close(quiet(trunk), start, rtol=1e-4, atol=1e-5)
    stir(trunk)
    found, before = quiet(trunk), {n: v.clone() for n, v in trunk.state_dict().items()}
    assert not torch.allclose(found, start, atol=1e-3)
    with merged(trunk.model):
        assert trunk.state_dict().keys() == plain.state_dict().keys()
        plain.load_state_dict(trunk.state_dict())
    torch.testing.assert_close(quiet(plain), found, rtol=1e-4, atol=1e-5)
    after = trunk.state_dict()
    assert all(torch.equal(after[n], value) for n, value in before.items())
    assert torch.equal(quiet(trunk), found)
    with without_adapters(trunk.model):
        assert torch.equal(quiet(trunk), quiet(load(name)))


@pytest.mark.parametrize("method", METHODS)
def test_adapters_learn_and_nothing_else(load: Load, method: str) -> None:
    trunk = stir(tune(load("llama"), method))
    states(trunk).square().sum().backward()
    learned = {n for n, p in trunk.named_parameters() if p.grad is not None and p.grad.any()}
    assert learned == {n for n, p in trunk.named_parameters() if p.requires_grad}
    start = ("lora_", "ia3_", "vera_lambda_")
    assert all(any(f".{s}" in name for s in start) for name in learned)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["llama", "gpt2", "bert"])
def test_peft_opens_the_files(load: Load, tmp_path: Path, name: str, method: str) -> None:
    trunk = stir(tune(load(name), method, rank=3, initial_rank=4))
    with merged(trunk.model):
        pass
    save_adapters(trunk, tmp_path, "a/name")
    about = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert about["base_model_name_or_path"] == "a/name"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        opened: Any = PeftModel.from_pretrained(load(name).model, str(tmp_path / "adapter")).eval()
    body = opened.base_model.model
    own = Trunk(body, trunk.architecture, trunk.capabilities, trunk.attention, trunk.tokenizer)
    torch.testing.assert_close(quiet(own), quiet(trunk), rtol=1e-5, atol=1e-5)


def test_a_trunk_without_adapters_has_no_files(load: Load, tmp_path: Path) -> None:
    save_adapters(load("bert"), tmp_path, None)
    assert list(tmp_path.iterdir()) == []


def test_scales_of_rslora(load: Load) -> None:
    layers: Any = adapters(tune(load("bert"), "rslora", rank=4, alpha=6.0).model)
    assert {layer.scaling["default"] for layer in layers.values()} == {6.0 / 4**0.5}


def test_layers_of_ia3_have_to_be_known(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    trunk = load("llama")
    monkeypatch.setattr(trunk.model.config, "model_type", "unheard", raising=False)
    with pytest.raises(ConfigError, match=r"`tuning\.target_modules` to name.*not known.*unheard"):
        tune(trunk, "ia3")
    with pytest.raises(ConfigError, match=r"`tuning\.feedforward_modules`.*but got 'q_proj'"):
        tune(trunk, "ia3", target_modules=["k_proj"], feedforward_modules=["q_proj"])
    tune(trunk, "ia3", target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"])
    assert learning(trunk)


@pytest.mark.parametrize("method", METHODS)
def test_a_layer_that_there_is_not(load: Load, method: str) -> None:
    with pytest.raises(ConfigError, match=r"^Expected `tuning\.target_modules`.*'qery'"):
        tune(load("bert"), method, target_modules=["qery"])


def test_ranks_that_leave_nothing_to_choose(load: Load) -> None:
    with pytest.raises(ConfigError, match=r"`tuning\.initial_rank` to be above.*8.*got 8"):
        tune(load("bert"), "adalora", rank=8, initial_rank=8)
