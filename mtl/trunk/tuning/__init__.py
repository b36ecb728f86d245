"""Which parameters of the trunk learn: one file a method, each under its name in `TUNINGS`."""

from mtl.trunk.tuning import adalora, gradual, lora, vectors
from mtl.trunk.tuning.adapters import adapted, adapters, merged, without_adapters
from mtl.trunk.tuning.base import TUNINGS, layer_list, layer_lists
from mtl.trunk.tuning.depth import depths
from mtl.trunk.tuning.parts import frozen, full, last
from mtl.trunk.tuning.saving import load_adapters, save_adapters

__all__ = [
    "TUNINGS",
    "adalora",
    "adapted",
    "adapters",
    "depths",
    "frozen",
    "full",
    "gradual",
    "last",
    "layer_list",
    "layer_lists",
    "load_adapters",
    "lora",
    "merged",
    "save_adapters",
    "vectors",
    "without_adapters",
]
