"""Adapters of vectors: far fewer weights than low-rank products have."""

from __future__ import annotations

import warnings

from mtl.config.schema import TuningConfig
from mtl.errors import ConfigError, Problem
from mtl.trunk.trunk import Trunk
from mtl.trunk.tuning.adapters import adapt, chosen, linear_layers, those, transposed
from mtl.trunk.tuning.base import TUNINGS


@TUNINGS.register("ia3")
def ia3(trunk: Trunk, options: TuningConfig) -> None:
    """Let factors of keys, values and of what feed-forward layers read learn (Liu et al. 2022).

    Raises:
        ConfigError: If the layers are neither named nor known for such a trunk.
    """
    from peft import IA3Config, IA3Model

    layers, forward = options.target_modules, options.feedforward_modules
    known = _known(trunk)
    if layers is None and known is None:
        expected = "to name the layers for keys, values and feed-forward inputs"
        found = f"it is null, and they are not known for a {trunk.config.model_type} model"
        raise ConfigError(
            Problem(
                "tuning.target_modules",
                expected,
                found,
                "Name those that read feed-forward inputs in `tuning.feedforward_modules`, too; "
                "or choose tuning=lora.",
            )
        )
    names = those(list(linear_layers(trunk.model)), layers if layers is not None else known[0])  # type: ignore[index]
    if forward is not None:
        reads = those(names, forward, "feedforward_modules") if forward else []
    else:
        ends = known[1] if known is not None else []
        reads = [n for n in names if any(n == end or n.endswith(f".{end}") for end in ends)]
    config = IA3Config(
        target_modules=names,
        feedforward_modules=reads,
        fan_in_fan_out=transposed(trunk, names),
    )
    adapt(trunk, IA3Model, config, names)


def _known(trunk: Trunk) -> tuple[list[str], list[str]] | None:
    """Return ends of names: of all layers with factors, and of those whose inputs have them."""
    from peft.utils.constants import (
        TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING as FORWARD,
    )
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING as LAYERS

    kind = trunk.config.model_type
    return (LAYERS[kind], FORWARD[kind]) if kind in LAYERS and kind in FORWARD else None


@TUNINGS.register("vera")
def vera(trunk: Trunk, options: TuningConfig) -> None:
    """Let two vectors beside each layer learn (Kopiczko et al. 2024, equation 2).

    ``W x + diag(b) B diag(d) A x``, where A and B are random and the same for all layers. They are
    drawn again wherever a model is made, from the same seed.
    """
    from peft import VeraConfig, VeraModel

    names = chosen(trunk, options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # It says that they are drawn again.
        config = VeraConfig(
            r=options.rank,
            vera_dropout=options.dropout,
            target_modules=names,
            fan_in_fan_out=transposed(trunk, names),
            save_projection=False,
            bias="none",
        )
    adapt(trunk, VeraModel, config, names)
