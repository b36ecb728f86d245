"""Which parameters of the trunk learn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

from mtl.errors import ConfigError
from mtl.registry import Registry
from mtl.trunk.trunk import Trunk

TUNINGS: Registry[Callable[[Trunk, int], None]] = Registry("tuning.name")
"""Name to a function of the trunk and a number of layers that marks what learns."""


@TUNINGS.register("full")
def full(trunk: Trunk, layers: int) -> None:
    """Let every parameter learn."""
    del layers
    trunk.requires_grad_(True)


@TUNINGS.register("frozen")
def frozen(trunk: Trunk, layers: int) -> None:
    """Let only the heads learn."""
    del layers
    trunk.requires_grad_(False)


@TUNINGS.register("last")
def last(trunk: Trunk, layers: int) -> None:
    """Let the last `layers` layers, and what follows them, learn.

    Raises:
        ConfigError: If the trunk has fewer layers.
    """
    owner, found = layer_list(trunk.model)
    if layers > len(found):
        raise ConfigError(
            f"Expected `tuning.layers` to be at most {len(found)}, the layers of the trunk, but "
            f"got {layers}."
        )
    trunk.requires_grad_(False)
    for layer in found[len(found) - layers :]:
        layer.requires_grad_(True)
    for name, module in owner.named_children():
        if ("norm" in name or name.startswith("ln_f")) and "embed" not in name:
            module.requires_grad_(True)


def layer_list(model: Any) -> tuple[nn.Module, nn.ModuleList]:
    """Return a transformer's layers, the encoder's if it has one, and the module that owns them.

    They are its longest list of modules, of those that stand in no other list.

    Raises:
        ConfigError: If it has none.
    """
    two = getattr(getattr(model, "config", None), "is_encoder_decoder", False)
    lists = list(_outermost_lists(model.get_encoder() if two else model))
    if not lists:
        raise ConfigError(
            "Expected `tuning.name` to be full or frozen for this trunk, whose layers cannot be "
            "told apart."
        )
    return max(lists, key=lambda pair: len(pair[1]))


def _outermost_lists(module: nn.Module) -> Iterator[tuple[nn.Module, nn.ModuleList]]:
    for child in module.children():
        if isinstance(child, nn.ModuleList):
            yield module, child
        else:
            yield from _outermost_lists(child)
