"""Low-rank adapters on a trunk whose own parameters stay as they are.

LoRA (Hu et al. 2022, equation 3): a linear layer computes ``W x + (alpha / rank) B A x``, and only
A, shape (rank, inputs), and B, shape (outputs, rank), learn. B starts at zero, so that the trunk
first gives what it gave before. The adapters are the trunk's: all tasks share them, and no head
has any. When a model is saved they are added to the weights, and nothing is left of them.
"""

from __future__ import annotations

import contextlib
import difflib
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

import torch
from torch import nn

from mtl.config.schema import TuningConfig
from mtl.errors import ConfigError
from mtl.trunk.trunk import Trunk
from mtl.trunk.tuning.base import TUNINGS, layer_lists

if TYPE_CHECKING:
    from peft.tuners.lora import Linear
    from transformers import PreTrainedModel

ADAPTER = "default"
SHOWN = 4
"""How many names a message offers."""


@TUNINGS.register("lora")
def lora(trunk: Trunk, options: TuningConfig) -> None:
    """Let adapters beside linear layers of the trunk learn, and nothing else of it.

    Their first weights are drawn from PyTorch's generator.

    Raises:
        ConfigError: If `options.target_modules` names a layer that there is not.
    """
    from peft import LoraConfig, inject_adapter_in_model

    linear = linear_layers(trunk.model)
    names = _chosen(list(linear), options.target_modules)
    config = LoraConfig(
        r=options.rank,
        lora_alpha=options.alpha,  # type: ignore[arg-type]  # Any number; only their ratio counts.
        lora_dropout=options.dropout,
        target_modules=names,
        # GPT-2's layers hold their weights the other way round.
        fan_in_fan_out=any(_transposed(linear[name]) for name in names),
        bias="none",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # What it would say is decided here.
        inject_adapter_in_model(config, trunk.model, ADAPTER)
    trunk.train(trunk.training)  # What is new starts in training mode.
    found = adapters(trunk.model)
    assert sorted(found) == sorted(names), "peft adapted other layers than it was told"
    trunk.requires_grad_(False)
    for layer in found.values():
        for name, parameter in layer.named_parameters():
            parameter.requires_grad_(name.startswith("lora_"))


def linear_layers(model: PreTrainedModel) -> dict[str, nn.Module]:
    """Return the linear layers inside a transformer's blocks, by name.

    Embeddings and the output layer stand outside the blocks and are not among them.
    """
    blocks = {id(m) for layers in layer_lists(model) for m in layers.modules()}
    return {
        name: module
        for name, module in model.named_modules()
        if id(module) in blocks and (isinstance(module, nn.Linear) or _transposed(module))
    }


def _transposed(module: nn.Module) -> bool:
    from transformers.pytorch_utils import Conv1D

    return isinstance(module, Conv1D)


def _chosen(names: Sequence[str], asked: Sequence[str] | None) -> list[str]:
    """Return the names that are, or end with, one of those asked for."""
    if asked is None:
        return list(names)
    found: list[str] = []
    for end in asked:
        fitting = [n for n in names if n == end or n.endswith(f".{end}")]
        if not fitting:
            raise ConfigError(_not_found(end, names))
        found += [n for n in fitting if n not in found]
    if not found:
        raise ConfigError(
            "Expected `tuning.target_modules` to name at least one linear layer of the trunk, but "
            "got an empty list; null adapts all of them."
        )
    return found


def _not_found(asked: str, names: Sequence[str]) -> str:
    """Return the sentence for a layer that there is not, with the names that are nearest."""
    ends = list(dict.fromkeys(name.rpartition(".")[2] for name in names))
    wanted = asked.rpartition(".")[2]
    near = difflib.get_close_matches(wanted, ends, n=SHOWN, cutoff=0.5) or ends[: 2 * SHOWN]
    return (
        f"Expected `tuning.target_modules` to name linear layers of the trunk's blocks, such as "
        f"{{{', '.join(near)}}}, but got '{asked}'."
    )


def adapters(model: nn.Module) -> dict[str, Linear]:
    """Return a model's layers that have an adapter, by name; none if there are none."""
    found = {name: module for name, module in model.named_modules() if adapted(module)}
    return cast("dict[str, Linear]", found)


def adapted(module: nn.Module) -> bool:
    """Whether a module is a linear layer with an adapter."""
    return isinstance(getattr(module, "lora_A", None), nn.ModuleDict)


@contextlib.contextmanager
def without_adapters(model: nn.Module) -> Iterator[None]:
    """Let a model have its own layers, under their own names, for a while."""
    found = adapters(model)
    for name, layer in found.items():
        model.set_submodule(name, layer.get_base_layer())
    try:
        yield
    finally:
        for name, layer in found.items():
            model.set_submodule(name, layer)


@contextlib.contextmanager
def merged(model: nn.Module) -> Iterator[None]:
    """Let a model have plain layers for a while, with the adapters added to their weights.

    Afterwards every weight is what it was, bit for bit.
    """
    found = adapters(model)
    weights = {n: layer.get_base_layer().get_parameter("weight") for n, layer in found.items()}
    before = {name: weight.data for name, weight in weights.items()}
    with torch.no_grad():
        for name, layer in found.items():
            delta = layer.get_delta_weight(ADAPTER).to(before[name].dtype)
            weights[name].data = before[name] + delta
    try:
        with without_adapters(model):
            yield
    finally:
        for name, weight in weights.items():
            weight.data = before[name]
