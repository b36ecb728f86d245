"""The trunk's own parameters learn: all, none, or those of its last layers."""

from __future__ import annotations

from mtl.config.schema import TuningConfig
from mtl.errors import ConfigError
from mtl.trunk.trunk import Trunk
from mtl.trunk.tuning.base import TUNINGS, layer_list


@TUNINGS.register("full")
def full(trunk: Trunk, options: TuningConfig) -> None:
    """Let every parameter learn."""
    del options
    trunk.requires_grad_(True)


@TUNINGS.register("frozen")
def frozen(trunk: Trunk, options: TuningConfig) -> None:
    """Let only the heads learn."""
    del options
    trunk.requires_grad_(False)


@TUNINGS.register("last")
def last(trunk: Trunk, options: TuningConfig) -> None:
    """Let the last `options.layers` layers, and what follows them, learn.

    Raises:
        ConfigError: If the trunk has fewer layers.
    """
    owner, found = layer_list(trunk.model)
    if options.layers > len(found):
        raise ConfigError(
            f"Expected `tuning.layers` to be at most {len(found)}, the layers of the trunk, but "
            f"got {options.layers}."
        )
    trunk.requires_grad_(False)
    for layer in found[len(found) - options.layers :]:
        layer.requires_grad_(True)
    for name, module in owner.named_children():
        if ("norm" in name or name.startswith("ln_f")) and "embed" not in name:
            module.requires_grad_(True)
