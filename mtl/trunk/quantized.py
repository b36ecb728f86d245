"""Trunks whose weights are held in four bits, beside which adapters learn (QLoRA).

Dettmers et al. 2023: the linear layers' weights are stored as 4-bit floats, ``nf4`` with levels
that suit normal weights, and are made whole again, block by block, wherever they are multiplied.
They never learn. What is saved is a plain model: the weights made whole, the adapters merged.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from mtl.config.schema import TrunkConfig
from mtl.errors import ConfigError, Problem
from mtl.trunk.tuning.adapters import ADAPTER, adapted

if TYPE_CHECKING:
    from transformers import BitsAndBytesConfig, PreTrainedModel

KEY = "trunk.quantization"
PACKAGE = "bitsandbytes"
LAYER = "Linear4bit"
"""The package's class of a linear layer in four bits."""


def check_quantization(options: TrunkConfig, accelerator: str) -> None:
    """Refuse four bits where they cannot be.

    Args:
        options: The section ``trunk``.
        accelerator: Of ``trainer``.

    Raises:
        ConfigError: If there is no GPU of CUDA, it is not to be used, or the package is missing.
    """
    if options.quantization == "none":
        return
    expected = "to be none without a CUDA GPU, on which weights of four bits are multiplied"
    advice = f"Leave {KEY} out; tuning=lora alone needs a fraction of full tuning's memory, too."
    if not torch.cuda.is_available():
        raise ConfigError(Problem(KEY, expected, f"got {options.quantization}", advice))
    if accelerator not in ("auto", "gpu", "cuda"):
        found = f"got {options.quantization} with trainer.accelerator={accelerator}"
        raise ConfigError(Problem(KEY, expected, found, advice))
    if find_spec(PACKAGE) is None:
        expected = f"to be none where {PACKAGE} is not installed"
        advice = "Run `pip install 'mtl[quantization]'`."
        raise ConfigError(Problem(KEY, expected, f"got {options.quantization}", advice))


def loading(options: TrunkConfig) -> dict[str, Any]:
    """Return what ``from_pretrained`` is given so that weights are held in four bits."""
    if options.quantization == "none":
        return {}
    device = int(os.environ.get("LOCAL_RANK", 0))
    return {"quantization_config": four_bits(options.quantization), "device_map": {"": device}}


def four_bits(kind: str) -> BitsAndBytesConfig:
    """Return transformers' configuration: blocks' scales are quantized, too, products in float32.

    Args:
        kind: ``nf4`` or ``fp4``.
    """
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=kind,
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
    )


def compute_in(model: nn.Module, precision: str) -> None:
    """Let products of weights in four bits be made in the precision of training."""
    kinds = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
    for layer in model.modules():
        if is_quantized(layer):
            cast(Any, layer).compute_dtype = kinds.get(precision, torch.float32)


def is_quantized(module: nn.Module) -> bool:
    """Whether a module is a linear layer whose weights are held in four bits."""
    return any(
        kind.__name__ == LAYER and PACKAGE in kind.__module__ for kind in type(module).__mro__
    )


@contextlib.contextmanager
def whole(model: PreTrainedModel, *, merge: bool) -> Iterator[None]:
    """Let a model have plain layers for a while, which can be saved.

    Args:
        model: With layers of four bits, some of which may have low-rank adapters.
        merge: Whether what the shared adapter adds is added to the weights.
    """
    outer = {n: m for n, m in model.named_modules() if adapted(m)}
    inner = {
        name: module
        for name, module in model.named_modules()
        if is_quantized(module) and not any(name.startswith(f"{one}.") for one in outer)
    }
    kept = {key: model.__dict__.pop(key) for key in ("hf_quantizer",) if key in model.__dict__}
    config = model.config.__dict__.pop("quantization_config", None)
    try:
        for name, module in {**outer, **inner}.items():
            model.set_submodule(name, _plain(module, merge=merge))
        yield
    finally:
        for name, module in {**outer, **inner}.items():
            model.set_submodule(name, module)
        model.__dict__.update(kept)
        if config is not None:
            model.config.quantization_config = config


def _plain(module: nn.Module, *, merge: bool) -> nn.Linear:
    """Return a layer with whole weights, on the CPU."""
    from peft.utils.integrations import dequantize_module_weight

    layer: Any = module
    base = layer.get_base_layer() if adapted(module) else layer
    with torch.no_grad():
        weight = dequantize_module_weight(base).detach().float()
        if merge and adapted(module):
            weight = weight + layer.get_delta_weight(ADAPTER).float()
        plain = nn.Linear(base.in_features, base.out_features, bias=base.bias is not None)
        plain.weight.copy_(weight.cpu())
        if base.bias is not None:
            plain.bias.copy_(base.bias.detach().float().cpu())
    return plain
