"""How deep below the top of a trunk each parameter lies."""

from __future__ import annotations

from mtl.errors import ConfigError, Problem
from mtl.trunk.trunk import Trunk
from mtl.trunk.tuning.base import layer_lists


def depths(trunk: Trunk, key: str, otherwise: str) -> dict[int, int]:
    """Return by each parameter's `id` how many layers lie above it.

    The last layer of each side, and what follows it, have 0; embeddings have as many as there are
    layers. An output layer that is tied to embeddings is one of them.

    Args:
        trunk: Any.
        key: The configuration's that asks, for the message.
        otherwise: What that key has to be, if layers cannot be told apart.

    Raises:
        ConfigError: If they cannot.
    """
    try:
        lists = layer_lists(trunk.model)
    except ConfigError as error:
        found = f"the layers of a {trunk.config.model_type} model cannot be told apart"
        raise ConfigError(Problem(key, otherwise, found)) from error
    deepest = max(map(len, lists))
    inputs = {id(p) for p in trunk.model.get_input_embeddings().parameters()}
    output = trunk.projection.parameters() if trunk.projection is not None else ()
    depth = {id(p): 0 for p in output}
    for name, parameter in trunk.model.named_parameters():
        follows = ("norm" in name or "ln_f" in name) and "embed" not in name
        if id(parameter) in inputs or not follows:
            depth[id(parameter)] = deepest
        else:
            depth[id(parameter)] = 0
    for layers in lists:
        for above, layer in enumerate(reversed(layers)):
            depth.update((id(p), above) for p in layer.parameters() if id(p) not in inputs)
    return depth
