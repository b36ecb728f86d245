"""What the tuning methods share: their registry, and where a trunk's layers are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from torch import nn

from mtl.errors import ConfigError
from mtl.registry import Registry
from mtl.trunk.schedule import TuningSchedule
from mtl.trunk.trunk import Trunk

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TUNINGS: Registry[Callable[[Trunk, Any], TuningSchedule | None]] = Registry(
    "tuning.name", "mtl.tuning"
)
"""Name to a function that marks what learns in a trunk, and adds what the method needs. It is given
the section ``tuning``, or the method's own options where it is registered with some, and returns
what is to be done from step to step, if anything is."""


def layer_list(model: PreTrainedModel) -> tuple[nn.Module, nn.ModuleList]:
    """Return a transformer's layers, the encoder's if it has one, and the module that owns them.

    They are its longest list of modules, of those that stand in no other list.

    Raises:
        ConfigError: If it has none.
    """
    return _longest(model.get_encoder() if _two_sided(model) else model)


def layer_lists(model: PreTrainedModel) -> list[nn.ModuleList]:
    """Return a transformer's lists of layers: the encoder's and the decoder's where it has both.

    Raises:
        ConfigError: If it has none.
    """
    sides = [model.get_encoder(), model.get_decoder()] if _two_sided(model) else [model]
    return [_longest(side)[1] for side in sides]


def _two_sided(model: PreTrainedModel) -> bool:
    return bool(getattr(getattr(model, "config", None), "is_encoder_decoder", False))


def _longest(module: nn.Module) -> tuple[nn.Module, nn.ModuleList]:
    lists = list(_outermost_lists(module))
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
