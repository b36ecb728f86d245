"""Low-rank adapters on a trunk whose own parameters stay as they are.

LoRA (Hu et al. 2022, equation 3): a linear layer computes ``W x + (alpha / rank) B A x``, and only
A, shape (rank, inputs), and B, shape (outputs, rank), learn. B starts at zero, so that the trunk
first gives what it gave before.
"""

from __future__ import annotations

from mtl.config.schema import TuningConfig
from mtl.trunk.trunk import Trunk
from mtl.trunk.tuning.adapters import adapt, chosen, transposed
from mtl.trunk.tuning.base import TUNINGS


@TUNINGS.register("lora")
def lora(trunk: Trunk, options: TuningConfig) -> None:
    """Let a low-rank product beside each linear layer learn."""
    _low_rank(trunk, options)


@TUNINGS.register("rslora")
def rslora(trunk: Trunk, options: TuningConfig) -> None:
    """Scale the product by ``alpha / sqrt(rank)`` (Kalajdzievski 2023, equation 4)."""
    _low_rank(trunk, options, stabilized=True)


@TUNINGS.register("dora")
def dora(trunk: Trunk, options: TuningConfig) -> None:
    """Let the norm of each output's weights learn by itself, too (Liu et al. 2024, equation 5)."""
    _low_rank(trunk, options, magnitudes=True)


def _low_rank(
    trunk: Trunk, options: TuningConfig, *, stabilized: bool = False, magnitudes: bool = False
) -> None:
    from peft import LoraConfig, LoraModel

    names = chosen(trunk, options)
    config = LoraConfig(
        r=options.rank,
        lora_alpha=options.alpha,  # type: ignore[arg-type]  # Any number; only their ratio counts.
        lora_dropout=options.dropout,
        target_modules=names,
        fan_in_fan_out=transposed(trunk, names),
        bias="none",
        use_rslora=stabilized,
        use_dora=magnitudes,
    )
    adapt(trunk, LoraModel, config, names)
