"""What the methods with adapters share: where adapters stand, and what becomes of them.

An adapter is a module of peft's around a linear layer. Adapters are the trunk's, and no head has
any. Where all tasks share one, it is merged into the weights when a model is saved, and nothing is
left of it; where each task has its own (:attr:`mtl.trunk.trunk.Trunk.readers`), they stay beside.
"""

from __future__ import annotations

import contextlib
import copy
import difflib
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch
from torch import nn

from mtl.config.schema import TuningConfig
from mtl.errors import ConfigError
from mtl.trunk.trunk import Trunk
from mtl.trunk.tuning.base import layer_lists

if TYPE_CHECKING:
    from peft import PeftConfig
    from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
    from transformers import PreTrainedModel

ADAPTER = "default"
SHOWN = 4
"""How many names a message offers."""
LEARNS = ("lora_", "ia3_", "vera_lambda_")
"""How the names of what learns in an adapter begin."""
B = TypeVar("B", bound="BaseTuner")
T = TypeVar("T")


def adapt(trunk: Trunk, tuner: type[B], config: PeftConfig, names: Sequence[str]) -> B:
    """Put adapters beside some layers of a trunk, and let them learn and nothing else of it.

    Their first weights are drawn from PyTorch's generator.

    Args:
        trunk: Without adapters.
        tuner: peft's class for the method.
        config: Its options.
        names: Of the layers, as :func:`chosen` has them.

    Returns:
        What peft keeps of them; most methods need it no more.
    """
    build = cast(Any, tuner)
    first, *others = trunk.readers or (ADAPTER,)
    seed = torch.initial_seed()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # What it would say is decided here.
        made: B = _drawn(seed, first, lambda: build(trunk.model, copy.deepcopy(config), first))
        for name in others:
            made.peft_config[name] = copy.deepcopy(config)
            _drawn(seed, name, partial(made.inject_adapter, trunk.model, name))
    trunk.train(trunk.training)  # What is new starts in training mode.
    found = adapters(trunk.model)
    assert sorted(found) == sorted(names), "peft adapted other layers than it was told"
    trunk.requires_grad_(False)
    for layer in found.values():
        for name, parameter in cast(nn.Module, layer).named_parameters():
            parameter.requires_grad_(name.startswith(LEARNS))
    return made


def _drawn(seed: int, name: str, make: Callable[[], T]) -> T:
    """Make an adapter, whose weights follow from its task's name, whatever tasks are beside it."""
    if name != ADAPTER:
        torch.manual_seed((seed + zlib.crc32(name.encode())) % 2**63)
    return make()


def chosen(trunk: Trunk, options: TuningConfig) -> list[str]:
    """Return the names of the layers that have an adapter.

    Raises:
        ConfigError: If `options.target_modules` names a layer that there is not.
    """
    return those(list(linear_layers(trunk.model)), options.target_modules)


def transposed(trunk: Trunk, names: Sequence[str]) -> bool:
    """Whether any layer holds its weights the other way round, as GPT-2's do."""
    linear = linear_layers(trunk.model)
    return any(_transposed(linear[name]) for name in names)


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


def those(
    names: Sequence[str], asked: Sequence[str] | None, key: str = "target_modules"
) -> list[str]:
    """Return the names that are, or end with, one of those asked for; all where none are.

    Raises:
        ConfigError: If there is none, with the option that asked.
    """
    if asked is None:
        return list(names)
    found: list[str] = []
    for end in asked:
        fitting = [n for n in names if n == end or n.endswith(f".{end}")]
        if not fitting:
            raise ConfigError(_not_found(end, names, key))
        found += [n for n in fitting if n not in found]
    if not found:
        raise ConfigError(
            f"Expected `tuning.{key}` to name at least one linear layer of the trunk, but "
            "got an empty list; null adapts all of them."
        )
    return found


def _not_found(asked: str, names: Sequence[str], key: str) -> str:
    """Return the sentence for a layer that there is not, with the names that are nearest."""
    ends = list(dict.fromkeys(name.rpartition(".")[2] for name in names))
    wanted = asked.rpartition(".")[2]
    near = difflib.get_close_matches(wanted, ends, n=SHOWN, cutoff=0.5) or ends[: 2 * SHOWN]
    return (
        f"Expected `tuning.{key}` to name linear layers of the trunk's blocks, such as "
        f"{{{', '.join(near)}}}, but got '{asked}'."
    )


def adapters(model: nn.Module) -> dict[str, BaseTunerLayer]:
    """Return a model's layers that have an adapter, by name; none if there are none."""
    found = {name: module for name, module in model.named_modules() if adapted(module)}
    return cast("dict[str, BaseTunerLayer]", found)


def adapted(module: nn.Module) -> bool:
    """Whether a module is a linear layer with an adapter."""
    return hasattr(module, "base_layer") and hasattr(module, "merged_adapters")


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
            model.set_submodule(name, cast(nn.Module, layer))


@contextlib.contextmanager
def merged(model: nn.Module) -> Iterator[None]:
    """Let a model have plain layers for a while, with the adapters merged into their weights.

    Afterwards every weight is what it was, bit for bit.
    """
    found = adapters(model)
    layers = [layer.get_base_layer() for layer in found.values()]
    before = [(p, p.data) for layer in layers for p in layer.parameters(recurse=False)]
    try:
        for parameter, values in before:
            parameter.data = values.clone()
        with torch.no_grad():
            for layer in found.values():
                layer.merge(adapter_names=[ADAPTER])
        with without_adapters(model):
            yield
    finally:
        for parameter, values in before:
            parameter.data = values
        for layer in found.values():
            layer.merged_adapters.clear()
            getattr(layer, "_caches", {}).clear()  # DoRA keeps norms there, to unmerge by.
