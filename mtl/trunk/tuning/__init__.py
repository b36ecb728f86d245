"""Which parameters of the trunk learn: one file a method, each under its name in `TUNINGS`."""

from mtl.trunk.tuning.base import TUNINGS, layer_list, layer_lists
from mtl.trunk.tuning.lora import adapted, adapters, merged, without_adapters
from mtl.trunk.tuning.parts import frozen, full, last

__all__ = [
    "TUNINGS",
    "adapted",
    "adapters",
    "frozen",
    "full",
    "last",
    "layer_list",
    "layer_lists",
    "merged",
    "without_adapters",
]
