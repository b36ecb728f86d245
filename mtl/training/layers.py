"""Which layers of the trunk each task's head reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from mtl.errors import ConfigError, Problem
from mtl.heads.layers import LayerMix, OneLayer
from mtl.tasks import Task
from mtl.trunk import Trunk
from mtl.trunk.inner import InnerLayers
from mtl.trunk.tuning import layer_list


def attach_layers(trunk: Trunk, tasks: Sequence[Task], heads: nn.ModuleDict) -> None:
    """Let the trunk give the layers that tasks ask for, and each head read its own.

    Does nothing where all read the last one.

    Raises:
        ConfigError: If there is no such layer, or it cannot be had.
    """
    asking = [t for t in tasks if t.head_options.layer is not None or t.head_options.layer_mix]
    if not asking:
        return
    count = _count(trunk, asking)
    inner: set[int] = set()
    for task in asking:
        mixes, layer = task.head_options.layer_mix, task.head_options.layer
        inner |= set(range(1, count)) if mixes else {layer} - {count}
    numbers = sorted(inner)
    if not numbers:
        return
    trunk.inner = InnerLayers(trunk.model, numbers)
    options = {task.head_name: task.head_options for task in tasks}
    for name, head in heads.items():
        found: Any = options[name]
        if found.layer_mix:
            head.selection = LayerMix(trunk.hidden_size, count)
        else:
            place = 0 if found.layer in (None, count) else 1 + numbers.index(found.layer)
            head.selection = OneLayer(trunk.hidden_size, place)


def _count(trunk: Trunk, asking: Sequence[Task]) -> int:
    """Return how many layers there are to choose from, after a look at who asks.

    Raises:
        ConfigError: If one of them cannot have what it asks for.
    """
    for task in asking:
        options = task.head_options
        mixes = options.layer_mix
        key = f"tasks.{task.name}.head.{'layer_mix' if mixes else 'layer'}"
        found = f"got {'true' if mixes else options.layer}"
        if mixes and options.layer is not None:
            expected = "to be unset beside `layer_mix`, which reads all layers"
            raise ConfigError(Problem(f"tasks.{task.name}.head.layer", expected, found))
        if task.traits.writes:
            expected = "to be unset, because texts are written from the last layer"
            raise ConfigError(Problem(key, expected, found))
        if trunk.architecture == "encoder-decoder":
            expected = "to be unset with an encoder-decoder, which has layers of two kinds"
            raise ConfigError(Problem(key, expected, found))
        try:
            count = len(layer_list(trunk.model)[1])
        except ConfigError as error:
            kind = trunk.config.model_type
            expected = f"to be unset with a {kind} model, whose layers cannot be told apart"
            raise ConfigError(Problem(key, expected, found)) from error
        if not mixes and options.layer > count:
            expected = f"to be at most {count}, the layers of the trunk"
            raise ConfigError(Problem(key, expected, found))
    return count
