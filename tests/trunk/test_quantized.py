"""Trunks in four bits: what is refused, what is asked of transformers, and what is saved.

The package that multiplies four bits needs a GPU; a layer of its name stands for it here, whose
"four bits" are a scale and whole numbers.
"""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mtl.config.rules import broken_rules
from mtl.config.schema import Config, TrunkConfig, TuningConfig
from mtl.errors import ConfigError
from mtl.tasks import TASK_TYPES
from mtl.training.run import train
from mtl.trunk import quantized
from mtl.trunk.quantized import check_quantization, compute_in, four_bits, loading, whole
from mtl.trunk.trunk import Trunk
from mtl.trunk.tuning import adapters
from tests.trunk.conftest import Load
from tests.trunk.test_adapters import tune


def options(kind: str = "nf4") -> TrunkConfig:
    return TrunkConfig(name="hf", path="M", quantization=kind)


def test_without_a_gpu_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    check_quantization(options("none"), "auto")
    with pytest.raises(ConfigError) as refused:
        check_quantization(options(), "auto")
    assert str(refused.value) == (
        "Expected `trunk.quantization` to be none without a CUDA GPU, on which weights of four "
        "bits are multiplied, but got nf4. Leave trunk.quantization out; tuning=lora alone needs "
        "a fraction of full tuning's memory, too."
    )
    cfg = Config(trunk=options(), tuning=TuningConfig(name="lora"))
    with pytest.raises(ConfigError, match=r"trunk\.quantization"):  # Before anything is read.
        train(cfg, Path("nowhere"))


def test_a_gpu_that_is_not_used_or_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(ConfigError, match=r"got nf4 with trainer\.accelerator=cpu"):
        check_quantization(options(), "cpu")
    monkeypatch.setattr(quantized, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'mtl\[quantization\]'"):
        check_quantization(options(), "gpu")
    monkeypatch.setattr(quantized, "find_spec", lambda name: object())
    check_quantization(options(), "gpu")


@pytest.mark.parametrize("kind", ["nf4", "fp4"])
def test_what_transformers_is_asked(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "3")
    asked = loading(options(kind))
    assert asked["device_map"] == {"": 3}
    config = asked["quantization_config"].to_dict()
    assert config["load_in_4bit"] is True
    assert config["bnb_4bit_quant_type"] == kind
    assert config["bnb_4bit_use_double_quant"] is True
    assert four_bits(kind).bnb_4bit_compute_dtype == torch.float32
    assert loading(options("none")) == {}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"tuning": {"name": "full"}}, "with tuning=full, but got nf4. Weights of four bits"),
        ({"tuning": {"name": "dora"}}, "with tuning=dora"),
        ({"trunk": {"name": "hf", "path": "M", "pretrained": False}}, "trunk.pretrained=false"),
        ({"trainer": {"strategy": "fsdp"}}, "with trainer.strategy=fsdp"),
        ({"init": {"run": "R"}}, "trunk.path=RUN/model"),
    ],
)
def test_what_does_not_go_with_it(changes: dict[str, Any], says: str) -> None:
    given: dict[str, Any] = {"trunk": {"name": "hf", "path": "M"}, "tuning": {"name": "lora"}}
    given |= changes
    given["trunk"] = {**given["trunk"], "quantization": "nf4"}
    found = [str(p) for p in broken_rules(Config(**given), TASK_TYPES, {"task"})]
    assert any(says in one for one in found if "trunk.quantization" in one)


class Linear4bit(nn.Linear):
    """Stands for the package's layer."""

    __module__ = "bitsandbytes.nn.modules"
    compute_dtype = None


def in_four_bits(trunk: Trunk, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """Round a trunk's linear layers; returns what they are rounded to."""
    found = {}
    for name, module in list(trunk.model.named_modules()):
        if isinstance(module, nn.Linear):
            four = Linear4bit(module.in_features, module.out_features, module.bias is not None)
            with torch.no_grad():
                four.weight.copy_((module.weight * 8).round())
                if module.bias is not None:
                    four.bias.copy_(module.bias)
            four.weight.requires_grad_(False)
            trunk.model.set_submodule(name, four)
            found[name] = four.weight.detach() / 8

    def dequantize(module: Any) -> torch.Tensor:
        made: torch.Tensor = module.weight / 8
        return made

    monkeypatch.setattr("peft.utils.integrations.dequantize_module_weight", dequantize)
    return found


@pytest.mark.parametrize("merge", [True, False])
def test_what_is_saved_is_whole(load: Load, merge: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    trunk = load("bert")
    rounded = in_four_bits(trunk, monkeypatch)
    tune(trunk, "lora", rank=2, target_modules=["query"])
    layers: dict[str, Any] = dict(adapters(trunk.model))
    for layer in layers.values():
        nn.init.normal_(layer.lora_B["default"].weight)
    added = {name: layer.get_delta_weight("default") for name, layer in layers.items()}
    assert added
    trunk.model.config.quantization_config = types.SimpleNamespace()
    before = {name: id(module) for name, module in trunk.model.named_modules()}
    with whole(trunk.model, merge=merge):
        state = trunk.model.state_dict()
        assert not hasattr(trunk.model.config, "quantization_config")
        assert not any(isinstance(module, Linear4bit) for module in trunk.model.modules())
        for name, weight in rounded.items():
            wanted = weight + added[name] if merge and name in added else weight
            torch.testing.assert_close(state[f"{name}.weight"], wanted)
    assert {name: id(module) for name, module in trunk.model.named_modules()} == before
    assert hasattr(trunk.model.config, "quantization_config")


def test_products_are_made_in_the_precision_of_training(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    trunk = load("bert")
    in_four_bits(trunk, monkeypatch)
    layers: list[Any] = [m for m in trunk.model.modules() if isinstance(m, Linear4bit)]
    for precision, kind in (("bf16-mixed", torch.bfloat16), ("32-true", torch.float32)):
        compute_in(trunk.model, precision)
        assert {layer.compute_dtype for layer in layers} == {kind}
